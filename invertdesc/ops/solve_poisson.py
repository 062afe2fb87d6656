"""Compute the picture whose gradients are closest to a field."""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

# Pixels of a side from which Fourier transforms take less time: on a CPU 1.5 (matrices) and 2.0 ms
# for 256 x 256, 10.8 and 6.0 ms for 512 x 512, 233 and 42 ms for 1080 x 1920.
LONG, LONG_ON_CPU = 2048, 384
ROWS_AT_ONCE = 1 << 20  # values


def solve_poisson(field: Tensor, screening: float = 1e-4) -> Tensor:
    """Solve Poisson's equation with mirrored borders, by discrete cosine transforms.

    Minimises ``|grad u - field|^2 + screening * |u|^2`` over pictures u; the result has mean 0. The
    transforms are matrix products, 4 * H * W * (H + W) multiplications on any device, or Fourier
    transforms if a side is longer than 2048, on a CPU 384: square matrices of that side would take
    more time and memory.

    Args:
        field: (B, 2, H, W) float; gx towards the next column and gy towards the next row.
        screening: Pull towards 0, in 1 / pixels^2; it removes structures larger than about 1 /
            sqrt(screening) pixels.

    Returns:
        (B, H, W), in the unit of the field times pixels.

    >>> ramp = torch.zeros(1, 2, 4, 4).index_fill(1, torch.tensor(0), 1.0)
    >>> solve_poisson(ramp, screening=0.0)[0, 0]
    tensor([-1.5000, -0.5000,  0.5000,  1.5000])

    Source: Desolneux, Leclaire 2017 (MS-Poisson); the normal equations of the least squares above.
    Makhoul, "A fast cosine transform in one and two dimensions", 1980, for the Fourier transforms.
    """
    gx, gy = field.unbind(1)
    divergence = torch.zeros_like(gx)
    divergence[..., :-1] += gx[..., :-1]
    divergence[..., 1:] -= gx[..., :-1]
    divergence[..., :-1, :] += gy[..., :-1, :]
    divergence[..., 1:, :] -= gy[..., :-1, :]
    del field, gx, gy  # the largest tensors, where the caller has no use for them
    height, width = divergence.shape[-2:]
    if is_long(divergence):
        return _solve_long(divergence, screening)
    rows, columns = (_cosines(n, divergence.dtype, divergence.device) for n in (height, width))
    laplacian = (
        _eigenvalues(height, divergence)[:, None] + _eigenvalues(width, divergence) - screening
    )
    laplacian[0, 0] = math.inf  # the mean is free; it is set to 0
    return rows.T @ (rows @ divergence @ columns.T / laplacian) @ columns


def is_long(maps: Tensor) -> bool:
    """Return whether Fourier transforms of maps (..., H, W) take less time or memory."""
    return max(maps.shape[-2:]) > (LONG_ON_CPU if maps.device.type == "cpu" else LONG)


def _solve_long(divergence: Tensor, screening: float) -> Tensor:
    """Solve for a divergence (B, H, W), which is overwritten, with one more tensor of its size."""
    height, width = divergence.shape[-2:]
    waves = _by_rows(_waves, divergence, divergence)
    waves = _by_rows(_waves, waves.mT)  # (B, W, H)
    high = _eigenvalues(height, divergence) - screening
    for column, low in enumerate(_eigenvalues(width, divergence)):
        waves[:, column] /= low + high
    waves[:, 0, 0] = 0  # the mean is free; it is set to 0
    _by_rows(_unwaved, waves, waves)
    return _by_rows(_unwaved, waves.mT, divergence)


def _by_rows(
    transform: Callable[[Tensor], Tensor], values: Tensor, out: Tensor | None = None
) -> Tensor:
    """Transform (B, H, W) along the last axis, some rows at a time to save memory.

    Args:
        transform: Function of some rows.
        values: (B, H, W).
        out: Where to write the result, which may be the values; None for a new tensor.
    """
    at_once = max(1, ROWS_AT_ONCE // (values.shape[0] * values.shape[2]))
    if out is None:
        out = torch.empty_like(values, memory_format=torch.contiguous_format)
    for start in range(0, values.shape[1], at_once):
        some = slice(start, start + at_once)
        out[:, some] = transform(values[:, some])
    return out


def _waves(values: Tensor) -> Tensor:
    """Return the orthonormal DCT-II of (..., n)."""
    n = values.shape[-1]
    folded = torch.cat([values[..., ::2], values[..., 1::2].flip(-1)], -1)
    turned = torch.fft.rfft(folded) * _twist(n, values).conj()
    rest = -turned.imag[..., 1 : (n + 1) // 2].flip(-1)
    waves = torch.cat([turned.real, rest], -1) * math.sqrt(2 / n)
    return torch.cat([waves[..., :1] / math.sqrt(2), waves[..., 1:]], -1)


def _unwaved(waves: Tensor) -> Tensor:
    """Return (..., n), the inverse of `_waves`."""
    n = waves.shape[-1]
    waves = torch.cat([waves[..., :1] * math.sqrt(2), waves[..., 1:]], -1) * math.sqrt(n / 2)
    mirrored = torch.cat([torch.zeros_like(waves[..., :1]), waves[..., 1:].flip(-1)], -1)
    half = n // 2 + 1
    turned = torch.complex(waves[..., :half], -mirrored[..., :half]) * _twist(n, waves)
    folded = torch.fft.irfft(turned, n)
    front, back = folded[..., : (n + 1) // 2], folded[..., (n + 1) // 2 :].flip(-1)
    values = torch.empty_like(folded)
    values[..., ::2], values[..., 1::2] = front, back
    return values


def _twist(n: int, like: Tensor) -> Tensor:
    """Return (n // 2 + 1,) complex phase factors for the waves of a folded row."""
    angles = torch.arange(n // 2 + 1, dtype=torch.float64, device=like.device) * (math.pi / (2 * n))
    return torch.polar(torch.ones_like(angles), angles).to(like.dtype.to_complex())


def _eigenvalues(n: int, like: Tensor) -> Tensor:
    waves = torch.arange(n, dtype=torch.float64, device=like.device) * (math.pi / n)
    return (2 * torch.cos(waves) - 2).to(like.dtype)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # the cached tensor must also work with autograd
def _cosines(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the (n, n) orthonormal DCT-II matrix."""
    steps = torch.arange(n, dtype=torch.float64)
    matrix = torch.cos((steps + 0.5) * steps[:, None] * (math.pi / n)) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device, dtype)
