# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call, misc"
"""The CUDA side of placing and filling, as Triton kernels; README.md has the rule they follow.

Imported only where a CUDA tensor asks for it, or Triton's interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from invertdesc.ops._rule import candidates, map_sizes

# A key is, from its highest bit: not at home (1), score, best first (32), index (30).
INDEX_BITS = tl.constexpr(30)
INDEX = tl.constexpr(2**30 - 1)
AWAY_BIT = tl.constexpr(62)
FREE = tl.constexpr(2**63 - 1)


@triton.jit
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
    """Each lane carries one keypoint down its list; who displaces another carries that one on."""
    level = levels + tl.program_id(1) * 4
    side, rows, columns = tl.load(level), tl.load(level + 1), tl.load(level + 2)
    base = tl.load(level + 3)
    carried = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    walking = carried < total
    low = tl.zeros([BLOCK], tl.int64)
    high = low + images
    for _ in range(HALVINGS):  # the image that owns the row; whom a lane carries never leaves it
        middle = (low + high) // 2
        open_ = walking & (low < high)
        end = tl.load(offsets + middle + 1, mask=open_, other=0)
        low = tl.where(open_ & (end <= carried), middle + 1, low)
        high = tl.where(open_ & (end > carried), middle, high)
    first = base + low * rows * columns
    step = tl.zeros([BLOCK], tl.int64)
    while tl.max(walking.to(tl.int32), 0) > 0:
        x = tl.load(points + 2 * carried, mask=walking, other=0.0)
        y = tl.load(points + 2 * carried + 1, mask=walking, other=0.0)
        home_row = tl.maximum(tl.floor(y).to(tl.int64), 0) // side
        home_column = tl.maximum(tl.floor(x).to(tl.int64), 0) // side
        row = home_row + tl.load(steps + 2 * step, mask=walking, other=0)
        column = home_column + tl.load(steps + 2 * step + 1, mask=walking, other=0)
        inside = walking & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        key = carried
        if SCORED:
            score = tl.load(scores + carried, mask=walking, other=0.0) + 0.0  # -0 ties with 0
            bits = score.to(tl.int32, bitcast=True)
            rising = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(tl.int64)
            key |= (0x7FFFFFFF - rising) << INDEX_BITS
        key |= (step > 0).to(tl.int64) << AWAY_BIT
        place = keys + first + row * columns + column
        before = tl.atomic_min(place, key, mask=inside)
        won = inside & (key < before)
        settled = won & (before == FREE)
        displaced = won & (before != FREE)
        other = before & INDEX
        x = tl.load(points + 2 * other, mask=displaced, other=0.0)
        y = tl.load(points + 2 * other + 1, mask=displaced, other=0.0)
        down = row - tl.maximum(tl.floor(y).to(tl.int64), 0) // side + radius
        right = column - tl.maximum(tl.floor(x).to(tl.int64), 0) // side + radius
        number = tl.load(numbers + down * (2 * radius + 1) + right, mask=displaced, other=0)
        carried = tl.where(displaced, other, carried)
        step = tl.where(displaced, number, step) + 1
        walking = walking & (settled == 0) & (step < candidates)


@triton.jit
def _settle(keys, owners, counts, levels, images, BLOCK: tl.constexpr):
    """Turn keys into owners, and count who owns a cell, and who one away from home."""
    image, number = tl.program_id(1), tl.program_id(2)
    level = levels + number * 4
    cells = tl.load(level + 1) * tl.load(level + 2)
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < cells
    place += tl.load(level + 3) + image * cells
    key = tl.load(keys + place, mask=inside, other=FREE)
    owned = key != FREE
    tl.store(owners + place, tl.where(owned, key & INDEX, -1).to(tl.int32), inside)
    away = (owned & ((key >> AWAY_BIT) > 0)).to(tl.int64)
    counter = counts + 2 * (number * images + image)
    tl.atomic_add(counter, tl.sum(owned.to(tl.int64), 0))
    tl.atomic_add(counter + 1, tl.sum(away, 0))


@triton.jit
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
    BLOCK: tl.constexpr,
):
    """Write every value of a channels-last map once: a cell's own row, or zeros."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < cells * CHANNELS
    cell, channel = place // CHANNELS, place % CHANNELS
    owner = tl.load(owners + cell, mask=inside, other=-1).to(tl.int64)
    vector = (owner >= 0) & (channel < LENGTH)
    if BYTES:
        byte = tl.load(rows + owner * length + channel // 8, mask=vector, other=0).to(tl.int32)
        value = (((byte >> (channel % 8).to(tl.int32)) & 1) * 2 - 1).to(tl.float32)
        value = tl.where(vector, value, 0.0)
    else:
        value = tl.load(rows + owner * length + channel, mask=vector, other=0.0).to(tl.float32)
    if CHANNELS > LENGTH:
        told = (owner >= 0) & (channel >= LENGTH)
        extra = channel - LENGTH
        number = tl.load(geometry + owner * 5 + extra, mask=told, other=0.0)
        column = (cell % width).to(tl.float32)
        row = (cell // width % height).to(tl.float32)
        middle = (tl.where(extra == 0, column, row) + 0.5) * side - 0.5
        number = tl.where(extra < 2, (number - middle) / side, number)
        value = tl.where(told, number, value)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=inside)


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
    sizes = map_sizes(image_size, cell_sizes)
    base, table, largest = 0, [], 1
    for cell, (rows, columns) in zip(cell_sizes, sizes, strict=True):
        table += [cell, rows, columns, base]
        base += images * rows * columns
        largest = max(largest, rows * columns)
    listed = candidates(radius)
    numbers = {step: number for number, step in enumerate(listed)}
    reach = range(-radius, radius + 1)
    flat = [part for step in listed for part in step]
    ints = table + flat + [numbers[dy, dx] for dy in reach for dx in reach]
    small = torch.tensor(ints, dtype=torch.int64).to(device, non_blocking=True)
    levels, steps, inverse = small.split([len(table), len(flat), len(listed)])
    keys = torch.full((base,), FREE.value, dtype=torch.int64, device=device)
    owners = torch.empty(base, dtype=torch.int32, device=device)
    counts = torch.zeros(len(sizes), images, 2, dtype=torch.int64, device=device)
    if total:
        _place[(triton.cdiv(total, 128), len(sizes))](
            keypoints.float().contiguous(),
            offsets,
            keypoints if scores is None else scores.float().contiguous(),
            keys,
            steps,
            inverse,
            levels,
            total,
            images,
            len(listed),
            radius,
            SCORED=scores is not None,
            HALVINGS=max(1, images.bit_length()),
            BLOCK=128,
        )
    _settle[(triton.cdiv(largest, 1024), images, len(sizes))](
        keys, owners, counts, levels, images, BLOCK=1024
    )
    return owners, counts[..., 1].clone(), offsets.diff() - counts[..., 0]


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
    channels = length + (0 if geometry is None else 5)
    out = torch.empty(count * height * width, channels, dtype=dtype, device=rows.device)
    block = 2048
    if out.numel():
        _fill[(triton.cdiv(out.numel(), block),)](
            rows.contiguous(),
            rows if geometry is None else geometry.float().contiguous(),
            owners,
            out,
            owners.numel(),
            height,
            width,
            cell_size,
            rows.shape[1],
            BYTES=rows.dtype == torch.uint8,
            LENGTH=length,
            CHANNELS=channels,
            BLOCK=block,
        )
    return out.view(count, height, width, channels).permute(0, 3, 1, 2)
