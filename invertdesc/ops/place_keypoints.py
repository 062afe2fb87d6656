"""Keypoints into cells, by the rule that README.md beside this file states and proves."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from invertdesc.errors import InputError


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
    dropped.

    Args:
        keypoints: (M, 2) xy in pixels, packed over B images.
        offsets: (B + 1,) int64, first row of each image, then M.
        image_size: (H, W) of all images, in pixels.
        cell_size: Side d of a cell in pixels, at least 1.
        radius: How many rings of neighbours to try, at least 0.
        scores: (M,) or None; without them the order of the rows is the priority.

    Raises:
        InputError: `cell_size` or `radius` is too small.

    >>> points = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    >>> place_keypoints(points, torch.tensor([0, 2]), (4, 8), cell_size=4).owners
    tensor([[[0, 1]]], dtype=torch.int32)

    Source: Wu, Zhou, Li 2019, section III-A; made exact in README.md.
    """
    if cell_size < 1 or radius < 0:
        raise InputError(
            f"Expected cell_size >= 1 and radius >= 0, got cell_size={cell_size}, radius={radius}."
        )
    total, device = keypoints.shape[0], keypoints.device
    count = offsets.shape[0] - 1
    height, width = (-(-side // cell_size) for side in image_size)
    image = torch.arange(count, device=device).repeat_interleave(offsets.diff(), output_size=total)
    # Whole pixels first, then integer division: exact on every device.
    home = keypoints.floor().long().clamp(min=0).flip(1) // cell_size  # (M, 2) row, column
    rank = _ranks(scores, total, device)
    ring = torch.tensor(_candidates(radius), device=device)  # (K, 2)

    free = 2 * total  # larger than any key: priority + M * (not at home)
    keys = torch.full((count * height * width,), free, dtype=torch.int64, device=device)
    step = torch.zeros(total, dtype=torch.int64, device=device)
    claim = torch.full(
        (total,), -1, dtype=torch.int64, device=device
    )  # the cell that each one holds or wants
    key = rank.clone()
    walking = torch.arange(total, device=device)
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
    owners[claim[placed]] = torch.arange(total, dtype=torch.int32, device=device)[placed]
    return Placement(
        owners=owners.view(count, height, width),
        moved=torch.bincount(image[placed & (step > 0)], minlength=count),
        dropped=torch.bincount(image[~placed], minlength=count),
    )


def _ranks(scores: Tensor | None, total: int, device: torch.device) -> Tensor:
    """Return (M,) priorities, 0 for the first; images share one order, since they share no cell."""
    rank = torch.arange(total, device=device)
    if scores is None:
        return rank
    order = scores.argsort(descending=True, stable=True)
    return torch.empty_like(rank).scatter_(0, order, rank)


@lru_cache
def _candidates(radius: int) -> tuple[tuple[int, int], ...]:
    """Return (row, column) steps: home, then rings by distance, row and column."""
    reach = range(-radius, radius + 1)
    steps = [(dy, dx) for dy in reach for dx in reach]
    return tuple(sorted(steps, key=lambda s: (max(map(abs, s)), s[0] ** 2 + s[1] ** 2, *s)))
