"""Reconstruct descriptors without positions: each one's patch, in a mosaic."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.descriptors import Descriptor
from invertdesc.descriptors.base import JointUnfolding
from invertdesc.errors import NotApplicableError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.sample import sample_frames

PATCH, COLUMNS, MOST = 24, 12, 96  # pixels per side, patches per row, most patches
MARGIN = 4 / 3  # side of a tile divided by that of its patch; keeps neighbours apart
GAP = 2  # white pixels between shown patches
FINER = 4  # samples per pixel, along each axis, of the true patches


def lay_out(features: LocalFeatures, adapter: Descriptor) -> LocalFeatures:
    """Return the first descriptors at keypoints on a grid, upright and of one size.

    Only the vectors and their order are taken from the features.

    Raises:
        NotApplicableError: The index of a vector gives its position, or there is no descriptor.
    """
    if isinstance(adapter, JointUnfolding):
        raise NotApplicableError(
            f"The index of a vector of {adapter.name!r} gives its position, so leaving out "
            "positions hides nothing. See the result for everything that is stored."
        )
    count = min(len(features), MOST)
    if not count:
        raise NotApplicableError("There is no descriptor.")
    columns, rows = _grid(count)
    tile = _tile(adapter.frame)
    number = torch.arange(count)
    centres = torch.stack([number % columns, number // columns], 1) * float(tile)
    return LocalFeatures(
        keypoints=centres + (tile - 1) / 2,
        descriptors=features.descriptors[:count],
        image_size=(rows * tile, columns * tile),
        descriptor=features.descriptor,
        scales=torch.full((count,), PATCH / adapter.frame.support),
        orientations=torch.zeros(count),
        provenance=replace(features.provenance),
    )


def cut_out(picture: Tensor, frame: Frame, count: int) -> Tensor:
    """Cut the patches out of a mosaic.

    Args:
        picture: (rows * tile, columns * tile), the reconstruction of the features from `lay_out`.
        frame: Frame of the descriptor.
        count: Number of patches.

    Returns:
        (count, P, P), the square in the middle of each tile.
    """
    columns, rows = _grid(count)
    tile, side = _tile(frame), _side(frame)
    border = (tile - side) // 2
    tiles = picture.view(rows, tile, columns, tile).transpose(1, 2).flatten(0, 1)[:count]
    return tiles[:, border : border + side, border : border + side]


def show(patches: Tensor) -> Tensor:
    """Draw patches (count, P, P) side by side, each with full contrast; return (3, h, w)."""
    deviation, mean = torch.std_mean(patches, (1, 2), keepdim=True)
    shown = (0.5 + 0.25 * (patches - mean) / deviation.clamp(min=1e-6)).clamp(0, 1)
    columns, rows = _grid(len(patches))
    tiles = F.pad(shown, (GAP, 0, GAP, 0), value=1.0)
    tiles = torch.cat([tiles, tiles.new_ones(rows * columns - len(tiles), *tiles.shape[1:])])
    side = tiles.shape[1]
    sheet = tiles.view(rows, columns, side, side).transpose(1, 2).reshape(rows * side, -1)
    return F.pad(sheet, (0, GAP, 0, GAP), value=1.0).expand(3, -1, -1)


def true_patches(gray: Tensor, features: LocalFeatures, frame: Frame) -> Tensor:
    """Cut the squares described by the first descriptors out of the original.

    Args:
        gray: (H, W), the gray original.
        features: Features with positions.
        frame: Frame of the descriptor.

    Returns:
        (min(N, 96), P, P), turned upright.
    """
    batch = FeatureBatch.collate([features[:MOST]])
    side = _side(frame)
    sides, turns = frame.sides(batch), frame.turns(batch)
    seen = sample_frames(gray, batch.keypoints, sides, turns, side * FINER)
    return F.avg_pool2d(seen, FINER)[:, 0]


def _grid(count: int) -> tuple[int, int]:
    """Return the numbers of columns and rows."""
    columns = min(COLUMNS, count)
    return columns, math.ceil(count / columns)


def _side(frame: Frame) -> int:
    return PATCH if frame.scaled else round(frame.support)


def _tile(frame: Frame) -> int:
    return 2 * round(_side(frame) * MARGIN / 2)
