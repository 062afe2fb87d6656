"""The coarse network R: cell maps of one or several sizes to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc.errors import InputError
from invertdesc.methods.networks.norm import BatchNorm
from invertdesc.methods.networks.tiles import Read, Stages, run_last

DEEPEST = 6  # the deepest map is 2^6 times smaller than the picture


@dataclass(frozen=True)
class CoarseConfig:
    """Size of a `Coarse`.

    Attributes:
        inputs: Number of channels of the maps.
        cells: Cell sizes, each a power of 2 below 64; one subnetwork for each.
        width: Number of channels before the last convolution; each lower level has twice as many,
            up to 8 x width. The paper probably has 64.
    """

    inputs: int = 128
    cells: tuple[int, ...] = (4, 2)
    width: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(self.cells))
        if not self.cells or any(cell not in (1, 2, 4, 8, 16, 32) for cell in self.cells):
            raise InputError(f"Expected cell sizes among 1, 2, 4, 8, 16 and 32, got {self.cells}.")


class Coarse(nn.Module):
    """Network from a map (B, inputs, h, w) for each cell size to a picture (B, 3, H, W) in [0, 1].

    For d = 4 a subnetwork is 4 convolutions of stride 2 and 6 of stride 1, each after upsampling;
    for d = 2 it is 5 and 6; their pictures are averaged. Batch normalisation and LeakyReLU 0.2
    follow all but the last. H and W are the maps' size in pixels, rounded up to multiples of 64.

    >>> network = Coarse(CoarseConfig(inputs=5, width=4))
    >>> network(torch.zeros(1, 5, 16, 20), torch.zeros(1, 5, 32, 40)).shape
    torch.Size([1, 3, 64, 128])

    Source: Wu et al. 2019, section III-B. The figure with its numbers of channels is not available;
    these were chosen here.
    """

    def __init__(self, config: CoarseConfig) -> None:
        super().__init__()
        self.config = config
        self.branches = nn.ModuleList(
            nn.Sequential(*contraction(config.inputs, cell, config.width), *_expansion(config))
            for cell in config.cells
        )

    def forward(self, *maps: Tensor) -> Tensor:
        """Return the picture; maps have the order of `config.cells`."""
        sizes = {pad_cells(x, cell).shape[-1] * cell for x, cell in self._paired(maps)}
        if len(sizes) > 1:
            raise InputError(f"Expected maps of one picture, got widths of {sorted(sizes)} pixels.")
        pictures = [
            branch(pad_cells(x, cell))
            for branch, (x, cell) in zip(self.branches, self._paired(maps), strict=True)
        ]
        return torch.stack([picture.float().sigmoid() for picture in pictures]).mean(0)

    def in_tiles(self, reads: Sequence[Read], image_size: tuple[int, int]) -> Tensor:
        """Return the picture of one image, whose memory is proportional to the picture.

        Args:
            reads: Functions that return a part of a map; they have the order of `config.cells`.
            image_size: (H, W) of the image.
        """
        size = pad_size(image_size)
        pairs = list(zip(self.config.cells, reads, self.branches, strict=True))
        stages = [Stages.of(branch, cell) for cell, _, branch in pairs]
        seen = [
            stage.whole(read, cell, size)
            for stage, (cell, read, _) in zip(stages, pairs, strict=True)
        ]
        return run_last(stages, seen)

    def _paired(self, maps: tuple[Tensor, ...]) -> list[tuple[Tensor, int]]:
        if len(maps) != len(self.config.cells):
            raise InputError(f"Expected {len(self.config.cells)} maps, got {len(maps)}.")
        return list(zip(maps, self.config.cells, strict=True))


def pad_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Return (H, W), rounded up to multiples of 64 pixels."""
    height, width = (side + -side % 2**DEEPEST for side in image_size)
    return height, width


def pad_cells(x: Tensor, cell: int) -> Tensor:
    """Append empty cells to a map (B, C, h, w) until it covers a multiple of 64 pixels."""
    whole = 2**DEEPEST // cell
    return F.pad(x, (0, -x.shape[-1] % whole, 0, -x.shape[-2] % whole))


def contraction(inputs: int, cell: int, width: int, norm: bool = True) -> list[nn.Module]:
    """Return convolutions of stride 2 down to cells of 64 x 64 pixels, with 8 x width channels."""
    layers: list[nn.Module] = []
    for level in range(cell.bit_length(), DEEPEST + 1):
        outputs = channels(level, width)
        layers += [
            nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=not norm),
            *([BatchNorm(outputs)] if norm else []),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        inputs = outputs
    return layers


def channels(level: int, width: int) -> int:
    """Return the channels of a map whose cells are 2^level pixels wide."""
    return width * min(1 << max(level - 1, 0), 8)


def _expansion(config: CoarseConfig) -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = channels(DEEPEST, config.width)
    for level in reversed(range(1, DEEPEST)):
        outputs = channels(level, config.width)
        layers += [
            nn.Upsample(scale_factor=2.0),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            BatchNorm(outputs),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        inputs = outputs
    return [*layers, nn.Upsample(scale_factor=2.0), nn.Conv2d(inputs, 3, 3, padding=1)]
