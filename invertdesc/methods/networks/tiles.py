"""Run networks on large pictures in overlapping tiles, which bounds their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Read = Callable[[slice, slice], Tensor]
"""Return some rows and columns of a map (1, C, h, w); fewer where they leave the map."""

PIXELS = 1 << 20  # of a tile, for networks that take 200 to 400 bytes of memory per pixel
LEVEL = 4  # maps of cells of 2^LEVEL pixels fit into memory, also for 100 megapixels
# Cells of this level that layers before and after it reach: convolutions of 4 x 4 with stride 2
# reach 14 pixels; upsampling with convolutions of 3 x 3 reaches 16; transposed convolutions of
# 5 x 5 with convolutions of 3 x 3 reach 32 to the left and 48 to the right.
_BEFORE, _AFTER = 1, 3


class Tiled(Protocol):
    """A network from cell maps to a picture that can read its maps window by window."""

    def in_tiles(self, reads: Sequence[Read], image_size: tuple[int, int]) -> Tensor:
        """Return the picture (1, 3, H, W) of maps that are read in parts."""


class Tile(NamedTuple):
    """Rows and columns that a tile reads, and the first row and column that it is for."""

    rows: slice
    columns: slice
    top: int
    left: int


def run_in_tiles(
    run: Callable[[slice, slice], Tensor],
    size: tuple[int, int],
    *,
    reach: int,
    step: int = 1,
    scale: int = 1,
    most: int,
) -> Tensor:
    """Return (B, C, h * scale, w * scale) from a function that computes rows and columns of it.

    What overlaps is computed twice and taken from where it is right, so there are no seams.

    Args:
        run: Returns the result for some rows and columns of the input, each a multiple of `step`,
            except for the last ones. It may add up to `step - 1` further rows and columns.
        size: (h, w) of the input.
        reach: Distance in samples of the input beyond which it has no effect; a multiple of `step`.
        step: Multiple at which tiles start.
        scale: Number of samples of the result per sample of the input, per side.
        most: Number of samples of a tile; smaller tiles than `2 * reach + step` are not useful.

    >>> blur = torch.nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    >>> picture = torch.rand(1, 3, 20, 30)
    >>> run = lambda rows, columns: blur(picture[..., rows, columns])
    >>> torch.equal(run_in_tiles(run, (20, 30), reach=1, most=64), blur(picture))
    True
    """
    height, width = (side * scale for side in size)
    result = torch.empty(0)
    for number, (rows, columns, top, left) in enumerate(tiles_of(size, reach, step, most)):
        made = run(rows, columns)
        if not number:
            result = made.new_empty(*made.shape[:2], height, width)
        made = made[..., (top - rows.start) * scale :, (left - columns.start) * scale :]
        there = result[..., top * scale :, left * scale :]
        down, across = map(min, made.shape[2:], there.shape[2:])
        there[..., :down, :across] = made[..., :down, :across]
    return result


def tiles_of(size: tuple[int, int], reach: int, step: int, most: int) -> Iterator[Tile]:
    """Yield overlapping tiles of at most so many samples; a later one overwrites earlier ones.

    Args:
        size: (h, w).
        reach: Number of samples of a tile's edge that are wrong, where others go on.
        step: Multiple at which tiles start.
        most: Number of samples.
    """
    down, across = _sides(size, reach, step, most)
    for y, top in _starts(size[0], down, reach, step):
        for x, left in _starts(size[1], across, reach, step):
            yield Tile(slice(y, y + down), slice(x, x + across), top, left)


def _sides(size: tuple[int, int], reach: int, step: int, most: int) -> tuple[int, int]:
    """Return the sides of tiles for the least work; all have the same, so memory is used again."""
    overlap = 2 * reach
    height, width = (
        [_up_to(-(-(n * overlap + length) // (n + 1)), step) for n in range(64)] for length in size
    )
    ways = [
        (rows * columns * one * other, one, other)
        for rows, one in enumerate(height, 1)
        for columns, other in enumerate(width, 1)
        if one * other <= most
        and (one > overlap or rows == 1)
        and (other > overlap or columns == 1)
    ]
    _, one, other = min(ways, default=(0, overlap + step, overlap + step))
    return one, other


def _starts(length: int, side: int, reach: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield the starts of tiles, and of what each is for."""
    last = max(0, _up_to(length - side, step))
    for start in range(0, last + side, max(side - 2 * reach, step)):
        here = min(start, last)
        yield here, here + reach * (here > 0)
        if here == last:
            return


def _up_to(length: int, step: int) -> int:
    """Return the next multiple of a step."""
    return -(-length // step) * step


class Stages(NamedTuple):
    """The layers of a contracting and expanding network, split at `LEVEL`.

    The first and the last are run in tiles of little overlap. Those between see the whole picture
    from far, at a small fraction of its memory.
    """

    first: nn.Sequential
    middle: nn.Sequential
    last: nn.Sequential
    level: int  # of the maps between the stages

    @classmethod
    def of(cls, layers: nn.Module, cell: int) -> Stages:
        """Split layers whose input has cells of `cell` pixels; each doubles or halves them."""
        each = list(layers.children())
        level, enters, leaves = cell.bit_length() - 1, 0, len(each)
        for number, layer in enumerate(each):
            if isinstance(layer, nn.Conv2d) and layer.stride[0] == 2:
                enters = number if level == LEVEL else enters
                level += 1
            elif isinstance(layer, nn.Upsample | nn.ConvTranspose2d):
                leaves = number if level == LEVEL else leaves
                level -= 1
        between = max(LEVEL, cell.bit_length() - 1)
        first, middle, last = (
            nn.Sequential(*part) for part in (each[:enters], each[enters:leaves], each[leaves:])
        )
        return cls(first, middle, last, between)

    def whole(self, read: Read, cell: int, size: tuple[int, int]) -> Tensor:
        """Return (1, C, h, w) of cells of 2^LEVEL pixels, the result of all but the last stage.

        Args:
            read: Input of the first layer.
            cell: Pixels per cell of the input.
            size: (H, W) of the padded picture.
        """
        whole = (1 << self.level) // cell

        def run(rows: slice, columns: slice) -> Tensor:
            rows, columns = (
                slice(part.start * whole, part.stop * whole) for part in (rows, columns)
            )
            part = read(rows, columns)
            below = rows.stop - rows.start - part.shape[-2]
            right = columns.stop - columns.start - part.shape[-1]
            cells: Tensor = self.first(F.pad(part, (0, right, 0, below)))
            return cells

        down, across = (side >> self.level for side in size)
        most = PIXELS >> (2 * self.level)
        found: Tensor = self.middle(run_in_tiles(run, (down, across), reach=_BEFORE, most=most))
        return found


def run_last(stages: Sequence[Stages], inputs: list[Tensor]) -> Tensor:
    """Return the mean (1, 3, H, W) of what the last stages make, after a sigmoid, in tiles.

    Args:
        stages: One for each input.
        inputs: Results of `Stages.whole`, of one size.
    """

    def run(rows: slice, columns: slice) -> Tensor:
        made = [
            stage.last(part[..., rows, columns]).float().sigmoid()
            for stage, part in zip(stages, inputs, strict=True)
        ]
        return torch.stack(made).mean(0)

    down, across = inputs[0].shape[-2:]
    most = PIXELS >> (2 * LEVEL)
    return run_in_tiles(run, (down, across), reach=_AFTER, scale=1 << LEVEL, most=most)
