"""Place keypoints into cells by the rule in README.md in this folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.ops._define import define_fake, define_op
from invertdesc.ops._rule import candidates, map_sizes

Whole: TypeAlias = NDArray[np.int64]
MOST = 2**30 - 1  # keypoints of a batch: an index has 30 bits in a key, see _kernels.py


class Placement(NamedTuple):
    """The owners of cells.

    Attributes:
        owners: (B, h, w) int32; index of the owner among the M keypoints of the batch, -1 for none.
        moved: (B,) int64; number of keypoints that own a cell other than their home.
        dropped: (B,) int64; number of keypoints that own no cell.
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
    """Assign each keypoint to the cell under it, or to an empty cell nearby if that is taken.

    In each image, the keypoint that is first in priority (highest score, then lowest index) owns
    its home cell (floor(y / d), floor(x / d)). The others, in priority order, take the first empty
    cell of a fixed list: ring by ring, then by distance, row and column. A keypoint that finds no
    empty cell is dropped. The result has the same bits on every device.

    Args:
        keypoints: (M, 2) xy in pixels, packed over B images; M < 2^30.
        offsets: (B + 1,) int64, first row of each image, then M.
        image_size: (H, W) of all images, in pixels.
        cell_size: Side d of a cell in pixels, at least 1.
        radius: Number of rings of neighbours to try, at least 0.
        scores: (M,) float32 or None; without them the order of the rows is the priority.

    Raises:
        InputError: `cell_size` or `radius` is too small, or there are too many keypoints.

    >>> points = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    >>> place_keypoints(points, torch.tensor([0, 2]), (4, 8), cell_size=4).owners
    tensor([[[0, 1]]], dtype=torch.int32)

    Source: Wu et al. 2019, section III-A; README.md has the exact rule.
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


@define_op("place_keypoints", "cpu")
def _place(
    keypoints: Tensor,
    offsets: Tensor,
    scores: Tensor | None,
    image_size: Sequence[int],
    cell_sizes: Sequence[int],
    radius: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return owners of all maps one after another, int32; moved and dropped, (sizes, B) int64.

    This uses NumPy, whose calls are faster than torch's for the few hundred keypoints of an image.
    Rounds of `minimum.at` run over all keypoints at home, then over the few that must move. There
    are at most as many rounds as the longest chain of displacements.
    """
    total, count = keypoints.shape[0], offsets.shape[0] - 1
    image = np.repeat(np.arange(count), np.diff(offsets.numpy()))
    # First integer pixels, then integer division: exact on every device.
    pixel = np.maximum(np.floor(keypoints.detach().float().numpy()), 0).astype(np.int64)[:, ::-1]
    rank = _ranks(scores, total)
    sizes = map_sizes(image_size, cell_sizes)
    cells = [count * height * width for height, width in sizes]
    owners = np.full(sum(cells), -1, np.int32)
    counts = [
        _place_one(pixel // cell, image, rank, count, size, radius, part)
        for cell, size, part in zip(
            cell_sizes, sizes, np.split(owners, np.cumsum(cells)[:-1]), strict=True
        )
    ]
    moved, dropped = (torch.from_numpy(np.stack(one)) for one in zip(*counts, strict=True))
    return torch.from_numpy(owners), moved, dropped


@define_fake("place_keypoints")
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


@torch.library.impl("invertdesc::place_keypoints", "cuda")
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
    home: Whole,
    image: Whole,
    rank: NDArray[np.int32],
    count: int,
    size: tuple[int, int],
    radius: int,
    owners: NDArray[np.int32],
) -> tuple[Whole, Whole]:
    """Write the owners (B * h * w,) of one map over -1; return moved and dropped (B,)."""
    total, (height, width) = len(rank), size
    keys = np.full(len(owners), 2 * total, np.int32)  # larger than any key
    cell_at_home = (image * height + home[:, 0]) * width + home[:, 1]
    np.minimum.at(keys, cell_at_home, rank)
    owns = keys[cell_at_home] == rank
    owners[cell_at_home[owns]] = np.flatnonzero(owns)

    others = np.flatnonzero(~owns)
    ring = np.array(candidates(radius))  # (K, 2), the first at home
    key = rank[others] + total  # after all keypoints at home
    step = np.ones(len(others), np.int64)
    claim = np.full(len(others), -1)  # the cell that each one has or wants
    walking = np.flatnonzero(step < len(ring))
    while walking.size:
        who = others[walking]
        cell = home[who] + ring[step[walking]]
        inside = ((cell >= 0) & (cell < size)).all(1)
        claim[walking] = np.where(
            inside, (image[who] * height + cell[:, 0]) * width + cell[:, 1], -1
        )
        np.minimum.at(keys, claim[walking[inside]], key[walking[inside]])
        # A keypoint that lost its claim, now or to a later one, tries the next cell.
        lost = ((claim < 0) | (keys[claim] != key)) & (step < len(ring))
        step += lost
        walking = np.flatnonzero(lost & (step < len(ring)))
    placed = step < len(ring)
    owners[claim[placed]] = others[placed]
    moved = np.bincount(image[others[placed]], minlength=count)
    return moved, np.bincount(image[others[~placed]], minlength=count)


def _ranks(scores: Tensor | None, total: int) -> NDArray[np.int32]:
    """Return (M,) priorities, 0 for the first; one order for all images is enough."""
    rank = np.arange(total, dtype=np.int32)
    if scores is None:
        return rank
    order = np.argsort(-scores.detach().float().numpy(), kind="stable")
    rank[order] = np.arange(total, dtype=np.int32)
    return rank
