"""Compute sparse non-negative codes of many vectors at once."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 4096  # rows coded at once, to limit the memory
STRIDE = 20  # steps between two checks of finished rows


def positive_lasso(
    atoms: Tensor, vectors: Tensor, penalty: float, *, tolerance: float = 1e-4, most: int = 2000
) -> Tensor:
    """Minimise ``|y - a @ atoms|^2 / 2 + penalty * sum(a)`` over a >= 0, for each vector y.

    This is accelerated proximal gradient descent. The momentum of a row is reset if it points
    uphill. A row is finished when it meets the optimality conditions, so no row depends on others.

    Args:
        atoms: (K, D) float, the dictionary.
        vectors: (N, D) float, the vectors to encode.
        penalty: Weight of the sum of a code, at least 0.
        tolerance: Largest `residual` of a finished row.
        most: Maximum number of steps.

    Returns:
        (N, K) codes.

    >>> positive_lasso(torch.eye(3), torch.tensor([[0.5, -1.0, 0.25]]), 0.25)
    tensor([[0.2500, 0.0000, 0.0000]])

    Source: Beck, Teboulle, "A fast iterative shrinkage-thresholding algorithm", 2009; O'Donoghue,
    Candes, "Adaptive restart for accelerated gradient schemes", 2015, section 3.2.
    """
    gram = atoms @ atoms.T
    # The largest sum of a row bounds the largest eigenvalue; for similar atoms the bound is loose.
    steepness = torch.linalg.eigvalsh(gram.double())[-1].clamp(min=1e-12).to(gram) * 1.001
    parts = [
        _descend(gram, rows @ atoms.T - penalty, steepness, tolerance, most)
        for rows in torch.split(vectors, ROWS)
    ]
    return torch.cat(parts) if parts else vectors.new_zeros(0, len(atoms))


def residual(codes: Tensor, slopes: Tensor) -> Tensor:
    """Return (N,), the distance of codes from the optimality conditions.

    At the minimum the gradient is 0 where a code is positive, and at least 0 where it is 0.

    Args:
        codes: (N, K), at least 0.
        slopes: (N, K), gradient of the objective at the codes.
    """
    return torch.where(codes > 0, slopes.abs(), (-slopes).clamp(min=0)).amax(1)


def _descend(
    gram: Tensor, target: Tensor, steepness: Tensor, tolerance: float, most: int
) -> Tensor:
    """Return the codes (N, K) for `target`, the products with all atoms minus the penalty."""
    codes = torch.zeros_like(target)
    left = torch.arange(len(target), device=target.device)
    code = ahead = torch.zeros_like(target)
    momentum = target.new_ones(len(target), 1)
    for step in range(1, most + 1):
        new = (ahead - (ahead @ gram - target) / steepness).clamp(min=0)
        uphill = ((ahead - new) * (new - code)).sum(1, keepdim=True) > 0
        later = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
        ahead = torch.where(uphill, new, new + (momentum - 1) / later * (new - code))
        code, momentum = new, torch.where(uphill, 1.0, later)
        if step % STRIDE == 0 or step == most:
            rest = residual(code, code @ gram - target) > tolerance
            codes[left] = code
            if step == most or not bool(rest.any()):
                break
            left, target, code, ahead, momentum = (
                part[rest] for part in (left, target, code, ahead, momentum)
            )
    return codes
