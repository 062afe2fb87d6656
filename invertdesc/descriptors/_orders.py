"""The orders in which programs write vectors, and the inverse of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

from invertdesc.features.bits import pack_bits, unpack_bits

Reading: TypeAlias = Callable[[Tensor], Tensor]

NATURAL, UNKNOWN = "in order", "unknown"


def readings(name: str, raw: Tensor) -> dict[str, Reading]:
    """Return, by name, the inverse of each known order for a kind of vectors (N, D)."""
    if name in ("sift", "rootsift", "sift-kornia"):
        return {
            order: lambda v, c=columns: v[:, list(c)]  # type: ignore[misc]
            for order, columns in sift_orders(name == "sift-kornia").items()
        }
    found: dict[str, Reading] = {NATURAL: lambda v: v}
    if raw.dtype == torch.uint8:
        found |= {
            "bits of each byte turned round": _turned_bits,
            "bytes turned round": lambda v: v.flip(1),
            "all bits turned round": lambda v: _turned_bits(v).flip(1),
        }
    elif name != "hog":
        found["columns turned round"] = lambda v: v.flip(1)
    return found


@lru_cache
def sift_orders(kornia: bool) -> Mapping[str, tuple[int, ...]]:
    """Return, for the order of each program, the columns that convert it to an adapter's order.

    Args:
        kornia: Whether the adapter has the order of kornia instead of OpenCV.

    Source: the documentation of VLFeat, OpenMVG and kornia; OpenCV has [row][column][bin].
    """
    opencv = torch.arange(128).view(4, 4, 8)
    mirrored = opencv[..., [0, 7, 6, 5, 4, 3, 2, 1]]
    written = {
        "OpenCV's order": opencv,
        "VLFeat's order": mirrored,
        "a transposed grid": opencv.transpose(0, 1),
        "OpenMVG's order": mirrored.transpose(0, 1),
        "kornia's order": mirrored.permute(2, 0, 1),
    }
    own = "kornia's order" if kornia else "OpenCV's order"
    return {
        NATURAL if key == own else key: tuple(
            order.flatten().argsort()[written[own].flatten()].tolist()
        )
        for key, order in written.items()
    }


def _turned_bits(raw: Tensor) -> Tensor:
    return pack_bits(unpack_bits(raw).flip(1)).flip(1)
