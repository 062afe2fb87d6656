"""Multiply the cosine waves of maps by factors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from invertdesc.ops.solve_poisson import _by_rows, _cosines, _unwaved, _waves, is_long


def filter_waves(maps: Tensor, factors: Callable[[Tensor], Tensor]) -> Tensor:
    """Filter maps with mirrored borders, by discrete cosine transforms.

    Args:
        maps: (C, H, W) float.
        factors: Function from the frequencies (H, W) of the waves, in cycles per sample, to their
            factors (H, W).

    Returns:
        (C, H, W).

    >>> ramp = torch.arange(12.0).view(1, 3, 4)
    >>> torch.allclose(filter_waves(ramp, torch.ones_like), ramp, atol=1e-4)
    True
    """
    height, width = maps.shape[-2:]
    down, right = (
        torch.arange(n, dtype=maps.dtype, device=maps.device) / (2 * n) for n in (height, width)
    )
    wanted = factors(torch.hypot(down[:, None], right))
    if is_long(maps):
        waves = _by_rows(_waves, _by_rows(_waves, maps).mT).mT * wanted
        return _by_rows(_unwaved, _by_rows(_unwaved, waves).mT).mT
    rows, columns = (_cosines(n, maps.dtype, maps.device) for n in (height, width))
    return rows.T @ (rows @ maps @ columns.T * wanted) @ columns
