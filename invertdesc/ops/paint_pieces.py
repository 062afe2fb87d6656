"""Paint square pieces, turned and scaled, into the picture, and sum them."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from invertdesc.ops._define import define_fake, define_op

_SPANS_AT_ONCE = 1 << 18  # limits the working memory: about 100 bytes per span
_PIECES_AT_ONCE = 1 << 15  # also limits it: about 3 kB per piece of 3 x 8 x 8 values
_SUMS_AT_ONCE = 1 << 20
MANY = 128  # pieces; for fewer, a group takes more time than the rows that it saves
_EDGE = 1e-7  # pixels; smaller than any relevant width, larger than rounding errors of float64


def paint_pieces(
    pieces: Tensor,
    centers: Tensor,
    sides: Tensor,
    turns: Tensor,
    offsets: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """Sum square pieces over the pixels that they cover; a pixel gets the cell under its centre.

    A centre on the edge of an upright cell belongs to the cell on its right or below it.

    A cell is a turned square, so it covers one run of pixels in each row. Only the two ends of a
    run are written (plus at its first pixel, minus after its last). A prefix sum along the rows
    then paints everything. The cost grows with the heights of cells, not with their areas.

    Sums are 64-bit integers, in units of the smallest power of two that cannot overflow for the
    image and channel: at most N * 2^-60 of the largest value of the image's N pieces. These sums
    depend neither on the order of keypoints nor on the order of additions on a device, so every run
    gives the same bits. README.md has the error bound.

    Args:
        pieces: (M, C, G, G) float, row by row in the piece's own frame.
        centers: (M, 2) xy of the piece's middle, in pixels; integers are pixel centres.
        sides: (M,) the piece's side in pixels, above 0.
        turns: (M,) orientation of the piece, in radians from +x towards +y.
        offsets: (B + 1,) int64, the first row of each image, then M.
        size: (h, w) of the result.

    Returns:
        (B, C, h, w) float64; 0 where nothing was painted.

    >>> piece, middle = torch.ones(1, 1, 2, 2), torch.tensor([[1.0, 1.0]])
    >>> paint_pieces(
    ...     piece, middle, torch.tensor([3.0]), torch.zeros(1), torch.tensor([0, 1]), (3, 4)
    ... )
    tensor([[[[1., 1., 1., 0.],
              [1., 1., 1., 0.],
              [1., 1., 1., 0.]]]], dtype=torch.float64)
    """
    painted: Tensor = torch.ops.invertdesc.paint_pieces(
        pieces, centers, sides, turns, offsets, list(size)
    )
    return painted


@define_op("paint_pieces")
def _paint(
    pieces: Tensor,
    centers: Tensor,
    sides: Tensor,
    turns: Tensor,
    offsets: Tensor,
    size: Sequence[int],
) -> Tensor:
    (total, channels), (height, width) = pieces.shape[:2], size
    count, device = offsets.shape[0] - 1, pieces.device
    image = torch.arange(count, device=device).repeat_interleave(offsets.diff(), output_size=total)
    units = _units(pieces, image, offsets)  # (B, C)
    canvas = torch.zeros(channels, count, height, width + 1, dtype=torch.int64, device=device)
    frames = torch.stack([*centers.unbind(1), sides, turns]).double()  # (4, M)
    paint = _paint_kernel if device.type == "cuda" else _paint_plain
    for start in range(0, total, _PIECES_AT_ONCE):
        some = slice(start, start + _PIECES_AT_ONCE)
        values = (pieces[some] / units[image[some]][..., None, None]).round_().to(torch.int64)
        values = values.transpose(0, 1).contiguous()  # (C, m, G, G)
        paint(values, frames[:, some], image[some], canvas)
    # Sums are converted to float64 in place, since a second canvas would double the memory.
    painted = canvas.view(torch.float64)
    at_once = max(1, _SUMS_AT_ONCE // (channels * count * (width + 1)))
    for start in range(0, height, at_once):
        rows = slice(start, start + at_once)
        painted[:, :, rows] = canvas[:, :, rows].cumsum(-1) * units.T[..., None, None]
    return painted[..., :width].transpose(0, 1)


def _paint_plain(values: Tensor, frames: Tensor, image: Tensor, canvas: Tensor) -> None:
    """Add the ends of all runs to a canvas (C, B, h, w + 1) of integer units."""
    grid, height, width = values.shape[-1], canvas.shape[-2], canvas.shape[-1] - 1
    planes = canvas.flatten(1)
    for chosen, rows in _by_height(frames, grid, height):
        row, first, last = _runs(frames[:, chosen], rows, grid, height, width)
        line = (image[chosen] * height + row) * (width + 1)
        first, last = ((line + end).movedim(-1, 0).flatten() for end in (first, last))
        for plane, value in zip(planes, values, strict=True):
            ends = value[chosen, None].expand(-1, rows, -1, -1).flatten()
            plane.scatter_add_(0, first, ends)  # on the CPU faster than `index_add_`: 1.1, 2.7 ns
            plane.scatter_add_(0, last, -ends)


def _paint_kernel(values: Tensor, frames: Tensor, image: Tensor, canvas: Tensor) -> None:
    """Add the ends of all runs in one kernel launch."""
    from invertdesc.ops._paint_kernel import paint

    x, y, side, turn = frames
    cos, sin = _away_from_zero(turn.cos()), _away_from_zero(turn.sin())
    rows = _rows(frames, values.shape[-1], canvas.shape[-2])
    paint(values, torch.stack([x - _EDGE, y - _EDGE, side, cos, sin]), rows, image, canvas)


@define_fake("paint_pieces")
def _(
    pieces: Tensor,
    centers: Tensor,
    sides: Tensor,
    turns: Tensor,
    offsets: Tensor,
    size: Sequence[int],
) -> Tensor:
    count, channels = offsets.shape[0] - 1, pieces.shape[1]
    height, width = size
    canvas = pieces.new_empty(channels, count, height, width + 1, dtype=torch.float64)
    return canvas[..., :width].transpose(0, 1)


def _units(pieces: Tensor, image: Tensor, offsets: Tensor) -> Tensor:
    """Return (B, C), the smallest powers of two in which no sum of an image exceeds 2^61."""
    largest = pieces.new_zeros(offsets.shape[0] - 1, pieces.shape[1])
    heights = pieces.abs().amax((2, 3))
    largest.scatter_reduce_(0, image[:, None].expand_as(heights), heights, "amax")
    bound = largest.double() * offsets.diff()[:, None]
    _, exponent = torch.frexp(bound.clamp(min=torch.finfo(torch.float32).tiny))
    return ((exponent.long() - 61 + 1023) << 52).view(torch.float64)  # float64's bits: exact


def _by_height(frames: Tensor, grid: int, height: int) -> Iterator[tuple[Tensor, int]]:
    """Yield groups of keypoints whose cells have about the same height, and this height in rows."""
    rows = _rows(frames, grid, height)
    for number in _steps(height, 1.25 if len(rows) >= MANY else 2.0):
        group = ((rows <= number) & (rows > 0)).nonzero().flatten()
        rows[group] = 0
        at_once = max(1, _SPANS_AT_ONCE // (grid * grid * number))
        for start in range(0, len(group), at_once):
            yield group[start : start + at_once], number


def _rows(frames: Tensor, grid: int, height: int) -> Tensor:
    """Return (M,) int64, the maximum number of rows that a cell touches."""
    _, _, side, turn = frames
    tall = side / grid * (turn.cos().abs() + turn.sin().abs())
    rows: Tensor = (tall.floor() + 1).clamp(max=height).long()
    return rows


def _steps(height: int, growth: float) -> list[int]:
    """Return row counts up to `height`, each at most `growth` times the one before."""
    steps = [2]
    while steps[-1] < height:
        steps.append(math.ceil(steps[-1] * growth))
    return [*steps[:-1], height]


def _runs(
    frames: Tensor, rows: int, grid: int, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the runs of pixels that the cells of n keypoints cover.

    Args:
        frames: (4, n) float64 x, y, side and turn.
        rows: Maximum number of rows that a cell touches inside the picture.
        grid: Number G of cells per side.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        Three (rows, G, G, n) int64 inside the canvas: row of the picture, first column, and the
        column after the last; the two columns are equal for an empty run.
    """
    x, y, side, turn = frames
    x, y = x - _EDGE, y - _EDGE  # as if pixel centres were that far to the right and below
    cell, cos, sin = side / grid, _away_from_zero(turn.cos()), _away_from_zero(turn.sin())
    edges = torch.arange(grid + 1, dtype=frames.dtype, device=frames.device)[:, None] - grid / 2
    # Frame axes: right = dx cos + dy sin, down = dy cos - dx sin, both in cells.
    tall = cell * (cos.abs() + sin.abs()) / 2
    middles = (edges[:-1] + 0.5) * cell  # (G, n)
    middle = y + middles[:, None] * cos + middles * sin  # (G, G, n)
    steps = torch.arange(rows, device=frames.device).view(-1, 1, 1, 1)
    row = (middle - tall).ceil_().clamp_(0, height) + steps  # (rows, G, G, n)
    dy = row - y

    crossings = edges * cell / cos  # (G + 1, n), of right = k
    right = torch.stack([crossings[:-1], crossings[1:]]).aminmax(dim=0)
    crossings = edges * cell / -sin  # of down = k
    lower = torch.stack([crossings[:-1], crossings[1:]]).aminmax(dim=0)
    across, along = x - dy * (sin / cos), x + dy * (cos / sin)
    first = torch.maximum(right.min + across, lower.min[:, None] + along)
    last = torch.minimum(right.max + across, lower.max[:, None] + along)
    first, last = (edge.ceil_().clamp_(0, width).long() for edge in (first, last))
    row = row.long()
    last = torch.where(row < height, torch.maximum(first, last), first)
    return row.clamp_(max=height - 1), first, last


def _away_from_zero(value: Tensor) -> Tensor:
    """Replace 0 in a divisor: the end of a run is then far outside the picture, on the right side.

    A turn by 90 degrees in float32 counts as exact, so its edges equal those of an upright piece.
    """
    return torch.where(value.abs() < 1e-6, 1e-12, value)
