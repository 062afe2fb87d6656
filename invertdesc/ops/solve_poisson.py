"""The picture whose gradient comes nearest to a field."""

import math
from functools import lru_cache

import torch
from torch import Tensor


def solve_poisson(field: Tensor, screening: float = 1e-4) -> Tensor:
    """Solve Poisson's equation with mirrored borders, by discrete cosine transforms.

    Minimises ``|grad u - field|^2 + screening * |u|^2`` over pictures u; the result has mean 0. The
    transforms are matrix products: 4 * H * W * (H + W) multiplications, on any device.

    Args:
        field: (B, 2, H, W) float; gx towards the next column and gy towards the next row.
        screening: Pull towards 0, in 1 / pixels^2; it forgets what is smoother than
            about 1 / sqrt(screening) pixels.

    Returns:
        (B, H, W), in the unit of the field times pixels.

    >>> ramp = torch.zeros(1, 2, 4, 4).index_fill(1, torch.tensor(0), 1.0)
    >>> solve_poisson(ramp, screening=0.0)[0, 0]
    tensor([-1.5000, -0.5000,  0.5000,  1.5000])

    Source: Desolneux, Leclaire 2017 (MS-Poisson); the normal equations of the least squares above.
    """
    gx, gy = field.unbind(1)
    divergence = torch.zeros_like(gx)
    divergence[..., :-1] += gx[..., :-1]
    divergence[..., 1:] -= gx[..., :-1]
    divergence[..., :-1, :] += gy[..., :-1, :]
    divergence[..., 1:, :] -= gy[..., :-1, :]
    height, width = divergence.shape[-2:]
    rows, columns = (_cosines(n, field.dtype, field.device) for n in (height, width))
    laplacian = _eigenvalues(height, field)[:, None] + _eigenvalues(width, field) - screening
    laplacian[0, 0] = math.inf  # the mean is free: take 0
    return rows.T @ (rows @ divergence @ columns.T / laplacian) @ columns


def _eigenvalues(n: int, like: Tensor) -> Tensor:
    waves = torch.arange(n, dtype=torch.float64, device=like.device) * (math.pi / n)
    return (2 * torch.cos(waves) - 2).to(like.dtype)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # a cached tensor must serve autograd too, whoever asks first
def _cosines(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the (n, n) orthonormal DCT-II matrix."""
    steps = torch.arange(n, dtype=torch.float64)
    matrix = torch.cos((steps + 0.5) * steps[:, None] * (math.pi / n)) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device, dtype)
