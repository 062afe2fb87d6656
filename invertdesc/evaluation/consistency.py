"""Measure how well the descriptors of a reconstruction agree with the stored ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.descriptors.describing import as_made, can_describe, describe_gray
from invertdesc.errors import InvertDescError
from invertdesc.image import to_gray

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
    if not can_describe(adapter) or not len(features):
        return None
    try:
        gray = to_gray(picture, features.provenance.gray_mode)
        again = describe_gray(as_made(adapter, features), gray, features)
    except InvertDescError:
        return None
    rows = again.rows
    if not len(rows):
        return None
    mixed = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    made = adapter.encode(again.features.descriptors)
    given = adapter.encode(features.descriptors)
    bits = features.descriptors.dtype == torch.uint8
    values = [_mean_agreement(made, given[order], bits) for order in (rows, mixed)]
    return values[0], values[1]


def _mean_agreement(one: Tensor, other: Tensor, bits: bool) -> float:
    cosine = F.cosine_similarity(one, other, dim=1).mean()
    return float((1 + cosine) / 2 if bits else cosine)  # of -1 and +1: the share that agrees
