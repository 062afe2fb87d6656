# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call, misc"
"""Triton kernel for painting on CUDA, with the same runs and the same integers as on the CPU.

Sums of integers do not depend on the order. Atomics therefore give the same bits on every run,
without sorting keypoints by tile.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit(do_not_specialize=["skip", "plane", "height", "width"])
def _paint(
    frames,
    image,
    values,
    canvas,
    skip,
    plane,
    height,
    width,
    GRID: tl.constexpr,
    CELLS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Write both ends of every run of one keypoint: one lane per cell, row by row."""
    keypoint = tl.program_id(0).to(tl.int64)
    frame = frames + keypoint * 6
    x, y, side = tl.load(frame), tl.load(frame + 1), tl.load(frame + 2)
    cos, sin = tl.load(frame + 3), tl.load(frame + 4)
    rows = tl.load(frame + 5).to(tl.int64)
    line = tl.load(image + keypoint) * height
    lane = tl.arange(0, CELLS)
    there = lane < GRID * GRID
    across, down = (lane % GRID).to(tl.float64), (lane // GRID).to(tl.float64)
    cell, half = side / GRID, GRID / 2
    tall = cell * (tl.abs(cos) + tl.abs(sin)) / 2
    middle = y + (down - half + 0.5) * cell * cos + (across - half + 0.5) * cell * sin
    top = tl.minimum(tl.maximum(tl.ceil(middle - tall), 0.0), height * 1.0).to(tl.int64)
    left, right = (across - half) * cell / cos, (across - half + 1) * cell / cos
    upper, lower = (down - half) * cell / -sin, (down - half + 1) * cell / -sin
    for step in range(rows):
        row = top + step
        dy = row.to(tl.float64) - y
        one, other = x - dy * (sin / cos), x + dy * (cos / sin)
        first = tl.maximum(tl.minimum(left, right) + one, tl.minimum(upper, lower) + other)
        last = tl.minimum(tl.maximum(left, right) + one, tl.maximum(upper, lower) + other)
        first = tl.minimum(tl.maximum(tl.ceil(first), 0.0), width * 1.0).to(tl.int64)
        last = tl.minimum(tl.maximum(tl.ceil(last), 0.0), width * 1.0).to(tl.int64)
        seen = there & (row < height) & (first < last)
        value = values + keypoint * (GRID * GRID) + lane
        ends = canvas + (line + row) * (width + 1)
        for _ in tl.static_range(CHANNELS):
            amount = tl.load(value, mask=seen, other=0)
            tl.atomic_add(ends + first, amount, mask=seen, sem="relaxed")
            tl.atomic_add(ends + last, -amount, mask=seen, sem="relaxed")
            value += skip
            ends += plane


def paint(values: Tensor, frames: Tensor, rows: Tensor, image: Tensor, canvas: Tensor) -> None:
    """Add the ends of all runs to a canvas.

    Args:
        values: (C, M, G, G) int64.
        frames: (5, M) float64: x, y, side, cosine and sine of the turn; the last two are not 0.
        rows: (M,) maximum number of rows that a cell touches.
        image: (M,) int64, the image of each keypoint.
        canvas: (C, B, h, w + 1) int64, changed in place.
    """
    channels, total, grid = values.shape[:3]
    _, _, height, width = canvas.shape
    cells = triton.next_power_of_2(grid * grid)
    if total and canvas.numel():
        with torch.cuda.device_of(canvas):
            _paint[(total,)](
                torch.cat([frames, rows[None].double()]).T.contiguous(),
                image,
                values,
                canvas,
                values.stride(0),
                canvas.stride(0),
                height,
                width - 1,
                GRID=grid,
                CELLS=cells,
                CHANNELS=channels,
                num_warps=min(4, max(1, cells // 32)),
                enable_fp_fusion=False,  # rounds as the CPU does
            )
