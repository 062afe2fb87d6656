"""Keypoints into cells, by the rule that README.md beside this file states and proves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.ops._rule import candidates, map_sizes

MOST = 2**30 - 1  # keypoints of a batch: an index has 30 bits of a key, see _kernels.py


class Placement(NamedTuple):
    """Who owns which cell.

    Attributes:
        owners: (B, h, w) int32; index of the owning keypoint among the M packed ones, -1 for none.
        moved: (B,) int64; keypoints that own a cell other than their home.
        dropped: (B,) int64; keypoints that own none.
    """

    owners: Tensor
    moved: Tensor
    dropped: Tensor


def place_keypoints(
    keypoints: Tensor,
    offsets: Tensor,
    image_size: tuple[int, int],
    *,
    cell_size: int,
    radius: int = 1,
    scores: Tensor | None = None,
) -> Placement:
    """Give each keypoint the cell under it, or an empty one nearby where that is taken.

    In each image, the keypoint that is first in priority (highest score, then lowest index) owns
    its home cell (floor(y / d), floor(x / d)). The others, in priority order, take the first empty
    cell of a fixed list: ring by ring, then by distance, row and column. One that finds none is
    dropped. The result is the same to the bit on every device.

    Args:
        keypoints: (M, 2) xy in pixels, packed over B images; M < 2^30.
        offsets: (B + 1,) int64, first row of each image, then M.
        image_size: (H, W) of all images, in pixels.
        cell_size: Side d of a cell in pixels, at least 1.
        radius: How many rings of neighbours to try, at least 0.
        scores: (M,) float32 or None; without them the order of the rows is the priority.

    Raises:
        InputError: `cell_size` or `radius` is too small, or there are too many keypoints.

    >>> points = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    >>> place_keypoints(points, torch.tensor([0, 2]), (4, 8), cell_size=4).owners
    tensor([[[0, 1]]], dtype=torch.int32)

    Source: Wu, Zhou, Li 2019, section III-A; made exact in README.md.
    """
    (placement,) = place_at_sizes(
        keypoints, offsets, image_size, cell_sizes=(cell_size,), radius=radius, scores=scores
    )
    return placement


def place_at_sizes(
    keypoints: Tensor,
    offsets: Tensor,
    image_size: tuple[int, int],
    *,
    cell_sizes: Sequence[int],
    radius: int = 1,
    scores: Tensor | None = None,
) -> list[Placement]:
    """Place keypoints into the cells of several maps at once; see `place_keypoints`."""
    if not cell_sizes or min(cell_sizes) < 1 or radius < 0:
        raise InputError(
            f"Expected cell_size >= 1 and radius >= 0, got {tuple(cell_sizes)} and {radius}."
        )
    if keypoints.shape[0] > MOST:
        raise InputError(
            f"Expected at most {MOST} keypoints in a batch, got {keypoints.shape[0]}. Use smaller "
            "batches."
        )
    flat, moved, dropped = torch.ops.invertdesc.place_keypoints(
        keypoints, offsets, scores, list(image_size), list(cell_sizes), radius
    )
    count = offsets.shape[0] - 1
    shapes = [(count, *size) for size in map_sizes(image_size, cell_sizes)]
    parts = flat.split([math.prod(shape) for shape in shapes])
    return [
        Placement(part.view(shape), moved[number], dropped[number])
        for number, (part, shape) in enumerate(zip(parts, shapes, strict=True))
    ]


@torch.library.custom_op("invertdesc::place_keypoints", mutates_args=(), device_types="cpu")
def _place(
    keypoints: Tensor,
    offsets: Tensor,
    scores: Tensor | None,
    image_size: Sequence[int],
    cell_sizes: Sequence[int],
    radius: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return owners of all maps end to end, int32; moved and dropped, (sizes, B) int64.

    Rounds of `scatter_reduce(amin)` over all keypoints that are still on their way: no more rounds
    than the longest chain of displacements, about four, each a few passes over the few who walk.
    """
    total = keypoints.shape[0]
    count = offsets.shape[0] - 1
    image = torch.repeat_interleave(offsets.diff(), output_size=total)
    # Whole pixels first, then integer division: exact on every device.
    pixel = keypoints.floor().long().clamp(min=0).flip(1)  # (M, 2) row, column
    rank = _ranks(scores, total)
    found = [
        _place_one(pixel // cell, image, rank, count, size, radius)
        for cell, size in zip(cell_sizes, map_sizes(image_size, cell_sizes), strict=True)
    ]
    owners, moved, dropped = zip(*found, strict=True)
    return torch.cat(owners), torch.stack(moved), torch.stack(dropped)


@_place.register_fake
def _(
    keypoints: Tensor,
    offsets: Tensor,
    scores: Tensor | None,
    image_size: Sequence[int],
    cell_sizes: Sequence[int],
    radius: int,
) -> tuple[Tensor, Tensor, Tensor]:
    count = offsets.shape[0] - 1
    cells = sum(rows * columns for rows, columns in map_sizes(image_size, cell_sizes))
    counts = offsets.new_empty(len(cell_sizes), count)
    return keypoints.new_empty(count * cells, dtype=torch.int32), counts, torch.empty_like(counts)


@_place.register_kernel("cuda")
def _(
    keypoints: Tensor,
    offsets: Tensor,
    scores: Tensor | None,
    image_size: Sequence[int],
    cell_sizes: Sequence[int],
    radius: int,
) -> tuple[Tensor, Tensor, Tensor]:
    from invertdesc.ops import _kernels

    return _kernels.place(keypoints, offsets, scores, image_size, cell_sizes, radius)


def _place_one(
    home: Tensor, image: Tensor, rank: Tensor, count: int, size: tuple[int, int], radius: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return owners (B * h * w,), moved and dropped (B,) of one map."""
    total, (height, width) = rank.shape[0], size
    ring = torch.tensor(candidates(radius))  # (K, 2)
    free = 2 * total  # larger than any key: priority + M * (not at home)
    keys = torch.full((count * height * width,), free, dtype=torch.int64)
    step = torch.zeros(total, dtype=torch.int64)
    claim = torch.full((total,), -1, dtype=torch.int64)  # the cell that each one holds or wants
    key = rank.clone()
    walking = torch.arange(total)
    while walking.numel():
        cell = home[walking] + ring[step[walking]]
        inside = ((cell >= 0) & (cell < cell.new_tensor([height, width]))).all(1)
        flat = (image[walking] * height + cell[:, 0]) * width + cell[:, 1]
        claim[walking] = torch.where(inside, flat, -1)
        key[walking] = rank[walking] + total * (step[walking] > 0)
        keys.scatter_reduce_(0, flat[inside], key[walking[inside]], "amin")
        # Who lost a claim, just now or to somebody who came later, tries the next cell.
        lost = ((claim < 0) | (keys[claim.clamp(min=0)] != key)) & (step < len(ring))
        step += lost
        walking = (lost & (step < len(ring))).nonzero().flatten()

    placed = step < len(ring)
    owners = torch.full_like(keys, -1, dtype=torch.int32)
    owners[claim[placed]] = torch.arange(total, dtype=torch.int32)[placed]
    moved = torch.bincount(image[placed & (step > 0)], minlength=count)
    return owners, moved, torch.bincount(image[~placed], minlength=count)


def _ranks(scores: Tensor | None, total: int) -> Tensor:
    """Return (M,) priorities, 0 for the first; images share one order, since they share no cell."""
    rank = torch.arange(total)
    if scores is None:
        return rank
    order = scores.argsort(descending=True, stable=True)
    return torch.empty_like(rank).scatter_(0, order, rank)
