"""Unfolded pieces to sums over pixels: 300 keypoints per image, 256 x 256 with stride 2.

    pytest benchmarks/bench_painting.py --benchmark-json=benchmarks/results/painting-cpu.json

Each keypoint has three channels of 8 x 8 cells; scales and orientations are those of SIFT
keypoints. Every contender ends with all sums on the device: the loop and the boxes in float32,
invertdesc in float64 and with the same bits on every run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from invertdesc import FeatureBatch, FieldRasterizer, LocalFeatures, create_descriptor
from invertdesc.ops import paint_pieces

Record = Callable[..., None]
EACH, SIZE, STRIDE, GRID, CHANNELS = 300, 256, 2, 8, 3
SIDE = SIZE // STRIDE
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class Case:
    """Pieces of a batch, on a device."""

    def __init__(self, images: int, device: str, like: FeatureBatch) -> None:
        draw = torch.Generator().manual_seed(0)
        total = images * EACH
        assert like.scales is not None
        assert like.orientations is not None
        drawn = torch.randint(0, len(like.keypoints), (total,), generator=draw)
        features = [
            LocalFeatures(
                keypoints=torch.rand(EACH, 2, generator=draw) * (SIZE - 1),
                descriptors=like.descriptors[some],
                image_size=(SIZE, SIZE),
                descriptor="sift",
                scales=like.scales[some],
                orientations=like.orientations[some],
            )
            for some in drawn.split(EACH)
        ]
        self.images = images
        self.batch = FeatureBatch.collate(features).to(device)
        unfolding = create_descriptor("sift").unfolding
        assert unfolding is not None
        self.sides = unfolding.frame.sides(self.batch).double() / STRIDE
        self.turns = unfolding.frame.turns(self.batch).double()
        self.centers = (self.batch.keypoints + 0.5) / STRIDE - 0.5
        self.offsets = self.batch.offsets
        self.pieces = torch.randn(total, CHANNELS, GRID, GRID, generator=draw).to(device)
        self.image = torch.arange(images, device=device).repeat_interleave(EACH)
        self.field = FieldRasterizer("sift", stride=STRIDE)


def ours(case: Case) -> Tensor:
    return paint_pieces(
        case.pieces, case.centers, case.sides, case.turns, case.offsets, (SIDE, SIDE)
    )


def whole_field(case: Case) -> Tensor:
    """Measure the whole rasterizer: unfolding, painting and Poisson's equation."""
    return torch.cat(case.field(case.batch), 1)


def loop(case: Case) -> Tensor:
    """Loop over keypoints, with array operations over the pixels around each."""
    sums = np.zeros((case.images, CHANNELS, SIDE, SIDE), np.float32)
    parts = (case.image, case.centers, case.sides, case.turns, case.pieces)
    for image, (x, y), side, turn, piece in zip(*(part.numpy() for part in parts), strict=True):
        cos, sin = np.cos(turn), np.sin(turn)
        cell, reach = side / GRID, side / 2 * (abs(cos) + abs(sin))
        ys = np.arange(max(0, int(y - reach)), min(SIDE, int(y + reach) + 2))[:, None]
        xs = np.arange(max(0, int(x - reach)), min(SIDE, int(x + reach) + 2))
        column = np.floor(((xs - x) * cos + (ys - y) * sin) / cell + GRID / 2).astype(int)
        row = np.floor(((ys - y) * cos - (xs - x) * sin) / cell + GRID / 2).astype(int)
        inside = (row >= 0) & (row < GRID) & (column >= 0) & (column < GRID)
        place = (ys + 0 * xs)[inside], (xs + 0 * ys)[inside]
        sums[image][:, *place] += piece[:, row[inside], column[inside]]
    return torch.from_numpy(sums)


def torch_boxes(case: Case) -> Tensor:
    """Boxes of pixels around all keypoints of about one size at once, added with index_add."""
    planes = case.pieces.new_zeros(CHANNELS, case.images * SIDE * SIDE)
    cos, sin = case.turns.cos(), case.turns.sin()
    reach = case.sides / 2 * (cos.abs() + sin.abs())
    for low in 2 ** torch.arange(8):
        least = 0 if low == 1 else low
        most = 2 * low if low < 128 else torch.inf
        group = ((reach >= least) & (reach < most)).nonzero().flatten()
        if not len(group):
            continue
        wide = min(SIDE, 2 * int(min(most, SIDE)) + 2)
        for some in group.split(max(1, 2**21 // wide**2)):  # limits the pixels at a time
            x, y = case.centers[some].double().unbind(1)
            steps = torch.arange(wide, device=x.device)
            first = [(at - reach[some]).floor().clamp(min=0) for at in (x, y)]
            xs, ys = (one[:, None].long() + steps for one in first)
            dx, dy = (xs - x[:, None])[:, None], (ys - y[:, None])[..., None]
            c, s = cos[some, None, None], sin[some, None, None]
            cell = case.sides[some, None, None] / GRID
            column = ((dx * c + dy * s) / cell + GRID / 2).floor().long()
            row = ((dy * c - dx * s) / cell + GRID / 2).floor().long()
            inside = (row >= 0) & (row < GRID) & (column >= 0) & (column < GRID)
            inside &= (xs < SIDE)[:, None] & (ys < SIDE)[..., None]
            number, i, j = inside.nonzero(as_tuple=True)
            where = (case.image[some][number] * SIDE + ys[number, i]) * SIDE + xs[number, j]
            cells = row[inside], column[inside]
            planes.index_add_(1, where, case.pieces[some[number], :, *cells].T)
    return planes.view(CHANNELS, case.images, SIDE, SIDE).transpose(0, 1)


CONTENDERS = [ours, torch_boxes, loop, whole_field]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("images", [1, 8, 64])
@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda one: one.__name__)
def test_painting(
    benchmark: Any,
    record: Record,
    sift_batch: FeatureBatch,
    images: int,
    device: str,
    contender: Callable[[Case], Any],
) -> None:
    if device == "cuda" and contender is loop:
        pytest.skip("works on the CPU")
    case = Case(images, device, sift_batch)
    benchmark.group = f"painting, {EACH} keypoints, stride {STRIDE}, batch {images}, {device}"
    record(contender=contender.__name__, images=images, keypoints=EACH, size=SIZE, device=device)

    def run() -> None:
        contender(case)
        if device == "cuda":
            torch.cuda.synchronize()

    slow = device == "cpu" and images > 8
    with torch.inference_mode():
        benchmark.pedantic(run, rounds=3 if slow else 15, warmup_rounds=1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("contender", [loop, torch_boxes], ids=lambda one: one.__name__)
def test_all_paint_the_same(
    sift_batch: FeatureBatch, device: str, contender: Callable[[Case], Tensor]
) -> None:
    if device == "cuda" and contender is loop:
        pytest.skip("works on the CPU")
    case = Case(2, device, sift_batch)
    off = (contender(case) - ours(case)).abs()
    # If a pixel's centre is on an edge, float32 may choose the other side.
    assert float((off > 1e-4).float().mean()) < 1e-3
