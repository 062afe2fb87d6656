# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call, misc"
"""Triton kernels for placing and filling on CUDA; README.md has the rule.

This module is imported only for CUDA tensors or Triton's interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from invertdesc.ops._rule import candidates, map_sizes

# The bits of a key, from the highest: not at home (1), score, best first (32), index (30).
INDEX_BITS = tl.constexpr(30)
INDEX = tl.constexpr(2**30 - 1)
AWAY_BIT = tl.constexpr(62)
FREE = tl.constexpr(2**63 - 1)


@triton.jit
def _image_of(keypoint, offsets, images, open_, HALVINGS: tl.constexpr):
    """Find the image that each keypoint lies in, by halving."""
    low = tl.zeros_like(keypoint)
    high = low + images
    for _ in range(HALVINGS):
        middle = (low + high) // 2
        searched = open_ & (low < high)
        end = tl.load(offsets + middle + 1, mask=searched, other=0)
        low = tl.where(searched & (end <= keypoint), middle + 1, low)
        high = tl.where(searched & (end > keypoint), middle, high)
    return low


@triton.jit
def _home(keypoint, points, side, mask):
    """Return row and column of the cell under each keypoint."""
    x = tl.load(points + 2 * keypoint, mask=mask, other=0.0)
    y = tl.load(points + 2 * keypoint + 1, mask=mask, other=0.0)
    row = tl.maximum(tl.floor(y).to(tl.int64), 0) // side
    column = tl.maximum(tl.floor(x).to(tl.int64), 0) // side
    return row, column


@triton.jit
def _key(keypoint, scores, away, mask, SCORED: tl.constexpr):
    """Return the key by which each keypoint claims a cell: the smallest wins."""
    key = keypoint
    if SCORED:
        score = tl.load(scores + keypoint, mask=mask, other=0.0)
        bits = score.to(tl.int32, bitcast=True)
        bits = tl.where(bits == -0x80000000, 0, bits)  # -0 ties with 0
        rising = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(tl.int64)
        key |= (0x7FFFFFFF - rising) << INDEX_BITS
    return key | (away.to(tl.int64) << AWAY_BIT)


# Numbers that differ between batches are not specialized, since this would compile again.
@triton.jit(do_not_specialize=["total", "images", "candidates", "radius"])
def _place(
    points,
    offsets,
    scores,
    keys,
    steps,
    numbers,
    levels,
    total,
    images,
    candidates,
    radius,
    SCORED: tl.constexpr,
    HALVINGS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Move one keypoint per lane down its list; a lane that displaces another moves that one on.

    Atomics are relaxed, since a lane uses only the values that its own atomics returned.
    """
    level = levels + tl.program_id(1) * 4
    side, rows, columns = tl.load(level), tl.load(level + 1), tl.load(level + 2)
    base = tl.load(level + 3) * images
    carried = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    walking = carried < total
    # Looked up once: all keypoints of a lane belong to one image.
    first = base + _image_of(carried, offsets, images, walking, HALVINGS) * rows * columns
    step = tl.zeros([BLOCK], tl.int64)
    while tl.max(walking.to(tl.int32), 0) > 0:
        home_row, home_column = _home(carried, points, side, walking)
        row = home_row + tl.load(steps + 2 * step, mask=walking, other=0)
        column = home_column + tl.load(steps + 2 * step + 1, mask=walking, other=0)
        inside = walking & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        key = _key(carried, scores, step > 0, walking, SCORED)
        place = keys + first + row * columns + column
        before = tl.atomic_min(place, key, mask=inside, sem="relaxed")
        won = inside & (key < before)
        settled = won & (before == FREE)
        displaced = won & (before != FREE)
        other = before & INDEX
        other_row, other_column = _home(other, points, side, displaced)
        down, right = row - other_row + radius, column - other_column + radius
        number = tl.load(numbers + down * (2 * radius + 1) + right, mask=displaced, other=0)
        carried = tl.where(displaced, other, carried)
        step = tl.where(displaced, number, step) + 1
        walking = walking & (settled == 0) & (step < candidates)


@triton.jit(do_not_specialize=["images", "blocks"])
def _settle(keys, owners, moved, dropped, offsets, levels, images, blocks, BLOCK: tl.constexpr):
    """Convert keys to owners, and count keypoints that were moved and that were dropped."""
    image, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    number = tl.program_id(1)
    level = levels + number * 4
    cells = tl.load(level + 1) * tl.load(level + 2)
    place = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < cells
    place += tl.load(level + 3) * images + image * cells
    key = tl.load(keys + place, mask=inside, other=FREE)
    owned = key != FREE
    tl.store(owners + place, tl.where(owned, key & INDEX, -1).to(tl.int32), mask=inside)
    away = owned & ((key >> AWAY_BIT) > 0)
    without = -tl.sum(owned.to(tl.int64), 0)
    if block == 0:
        without += tl.load(offsets + image + 1) - tl.load(offsets + image)
    count = number * images + image
    tl.atomic_add(moved + count, tl.sum(away.to(tl.int64), 0), sem="relaxed")
    tl.atomic_add(dropped + count, without, sem="relaxed")


@triton.jit(do_not_specialize=["cells", "height", "width"])
def _fill(
    rows,
    geometry,
    owners,
    out,
    cells,
    height,
    width,
    side,
    length,
    BYTES: tl.constexpr,
    LENGTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    LANES: tl.constexpr,
    CELLS: tl.constexpr,
):
    """Write every value of a channels-last map once: a cell's own row, or zeros.

    A tile has a few whole cells. 64-bit computations are done once per cell. If the bytes of a cell
    are a multiple of 16, a thread stores 16 bytes at once.
    """
    cell = tl.program_id(0).to(tl.int64) * CELLS + tl.arange(0, CELLS)[:, None]
    inside = cell < cells
    owner = tl.load(owners + cell, mask=inside, other=-1).to(tl.int64)
    target = out + cell * CHANNELS
    channel = tl.arange(0, LANES)[None, :]
    vector = (owner >= 0) & (channel < LENGTH)
    if BYTES:
        byte = tl.load(rows + owner * length + channel // 8, mask=vector, other=0).to(tl.int32)
        value = tl.where(vector, ((byte >> (channel % 8)) & 1) * 2 - 1, 0).to(tl.float32)
    else:
        value = tl.load(rows + owner * length + channel, mask=vector, other=0.0)
    tl.store(target + channel, value.to(out.dtype.element_ty), mask=inside & (channel < LENGTH))
    if CHANNELS > LENGTH:
        extra = tl.arange(0, 8)[None, :]
        is_geometry = (owner >= 0) & (extra < CHANNELS - LENGTH)
        number = tl.load(
            geometry + owner * (CHANNELS - LENGTH) + extra, mask=is_geometry, other=0.0
        )
        column, row = cell % width, cell // width % height
        middle = (tl.where(extra == 0, column, row).to(tl.float32) + 0.5) * side - 0.5
        apart = number - middle
        # For float32, / is not rounded to nearest.
        apart = tl.div_rn(apart, side) if apart.dtype == tl.float32 else apart / side
        value = tl.where(is_geometry, tl.where(extra < 2, apart, number), 0.0)
        tl.store(
            target + LENGTH + extra,
            value.to(out.dtype.element_ty),
            mask=inside & (extra < CHANNELS - LENGTH),
        )


def place(
    keypoints: Tensor,
    offsets: Tensor,
    scores: Tensor | None,
    image_size: Sequence[int],
    cell_sizes: Sequence[int],
    radius: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Place keypoints; see `place_keypoints.py` for shapes."""
    device, total, images = keypoints.device, keypoints.shape[0], offsets.shape[0] - 1
    cells = [rows * columns for rows, columns in map_sizes(image_size, cell_sizes)]
    with torch.cuda.device_of(keypoints):
        levels, steps, numbers = _tables(tuple(image_size), tuple(cell_sizes), radius, device)
        keys = torch.full((images * sum(cells),), FREE.value, dtype=torch.int64, device=device)
        owners = torch.empty(len(keys), dtype=torch.int32, device=device)
        moved = torch.zeros(len(cells), images, dtype=torch.int64, device=device)
        dropped = torch.zeros_like(moved)
        if total:
            _place[(triton.cdiv(total, 128), len(cells))](
                keypoints.float().contiguous(),
                offsets,
                keypoints if scores is None else scores.float().contiguous(),
                keys,
                steps,
                numbers,
                levels,
                total,
                images,
                len(numbers),
                radius,
                SCORED=scores is not None,
                HALVINGS=max(1, images.bit_length()),
                BLOCK=128,
                enable_fp_fusion=False,
            )
        blocks = triton.cdiv(max(cells), 1024)
        _settle[(images * blocks, len(cells))](
            keys,
            owners,
            moved,
            dropped,
            offsets,
            levels,
            images,
            blocks,
            BLOCK=1024,
            enable_fp_fusion=False,
        )
    return owners, moved, dropped


@lru_cache(maxsize=64)
def _tables(
    image_size: tuple[int, int], cell_sizes: tuple[int, ...], radius: int, device: torch.device
) -> tuple[Tensor, ...]:
    """Return the lookup tables for placing, cached, since copying them makes the device wait.

    The tables are: side, rows, columns and first cell (per image) of each map; the steps of the
    candidates; and the number of the candidate at each step.
    """
    first, levels = 0, []
    for cell, (rows, columns) in zip(cell_sizes, map_sizes(image_size, cell_sizes), strict=True):
        levels += [cell, rows, columns, first]
        first += rows * columns
    listed = candidates(radius)
    order = {step: number for number, step in enumerate(listed)}
    reach = range(-radius, radius + 1)
    steps = [part for step in listed for part in step]
    numbers = [order[down, right] for down in reach for right in reach]
    return tuple(
        torch.tensor(table, dtype=torch.int64).to(device) for table in (levels, steps, numbers)
    )


def fill(
    rows: Tensor,
    owners: Tensor,
    geometry: Tensor | None,
    cell_size: int,
    length: int,
    dtype: torch.dtype,
) -> Tensor:
    """Fill cells; see `fill_cells.py` for shapes."""
    count, height, width = owners.shape
    channels = length + (0 if geometry is None else geometry.shape[1])
    out = torch.empty(owners.numel(), channels, dtype=dtype, device=rows.device)
    lanes = triton.next_power_of_2(length)
    at_once = max(1, 8192 // lanes)
    if out.numel():
        with torch.cuda.device_of(rows):
            _fill[(triton.cdiv(owners.numel(), at_once),)](
                rows.contiguous(),
                rows if geometry is None else geometry.contiguous(),
                owners.contiguous(),
                out,
                owners.numel(),
                height,
                width,
                float(cell_size),
                rows.shape[1],
                BYTES=rows.dtype == torch.uint8,
                LENGTH=length,
                CHANNELS=channels,
                LANES=lanes,
                CELLS=at_once,
                num_warps=8,
                enable_fp_fusion=False,
            )
    return out.view(count, height, width, channels).permute(0, 3, 1, 2)
