"""Measure how well the descriptors of a reconstruction agree with the stored ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.errors import InvertDescError

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.local import LocalFeatures


def agreement(
    adapter: Descriptor, features: LocalFeatures, picture: Tensor
) -> tuple[float, float] | None:
    """Return the agreement of a picture's descriptors with the stored ones, and its floor.

    Args:
        adapter: Adapter of the descriptor.
        features: The stored features; the picture is described at these keypoints.
        picture: (3, H, W) in [0, 1].

    Returns:
        Mean cosine, or for descriptors of bits the mean share of bits that agree; and the same with
        the stored descriptors shuffled among the keypoints by a fixed seed. None if the adapter
        cannot describe pictures, or this picture, at given keypoints.
    """
    # Not isinstance: on Python 3.11 it reads every property, and one of these reads a file.
    if not hasattr(adapter, "describe") or not len(features):
        return None
    numbered = replace(features, scores=torch.arange(len(features), dtype=torch.float32))
    try:
        again = cast("Any", adapter).describe(picture, numbered)
    except InvertDescError:
        return None
    if not len(again):
        return None
    rows = again.scores.long()  # which keypoints were described; some at the border may be missing
    mixed = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    made = adapter.encode(again.descriptors)
    given = adapter.encode(features.descriptors)
    bits = features.descriptors.dtype == torch.uint8
    values = [_mean_agreement(made, given[order], bits) for order in (rows, mixed)]
    return values[0], values[1]


def _mean_agreement(one: Tensor, other: Tensor, bits: bool) -> float:
    cosine = F.cosine_similarity(one, other, dim=1).mean()
    return float((1 + cosine) / 2 if bits else cosine)  # of -1 and +1: the share that agrees
