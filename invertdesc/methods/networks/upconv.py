"""The up-convolutional network: one cell map with geometry to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from invertdesc.methods.networks.coarse import (
    DEEPEST,
    channels,
    contraction,
    pad_cells,
    pad_size,
)
from invertdesc.methods.networks.norm import BatchNorm
from invertdesc.methods.networks.tiles import Read, Stages, run_last


@dataclass(frozen=True)
class UpconvConfig:
    """Size of an `Upconv`.

    Attributes:
        inputs: Number of channels of the map: those of the descriptor and five of geometry.
        cell: Cell size.
        width: Number of channels at full resolution; each lower level has twice as many, up to 8 x
            width.
        norm: Whether batch normalisation follows the convolutions. The source has none; it improves
            the result of a short training.
    """

    inputs: int = 133
    cell: int = 4
    width: int = 64
    norm: bool = True


class Upconv(nn.Module):
    """Network from a map (B, inputs, h, w) to a picture (B, 3, H, W) in [0, 1].

    Convolutions of stride 2 contract the map until it is 64 times smaller than the picture; then
    each level doubles it (values to the upper left of 2 x 2, zeros elsewhere, and a 5 x 5
    convolution, all in one transposed convolution) and convolves it once more, 3 x 3. H and W are
    the map's size in pixels, rounded up to multiples of 64.

    >>> import torch
    >>> Upconv(UpconvConfig(width=4))(torch.zeros(1, 133, 16, 20)).shape
    torch.Size([1, 3, 64, 128])

    Source: Dosovitskiy, Brox 2016, section 3.
    """

    def __init__(self, config: UpconvConfig) -> None:
        super().__init__()
        self.config = config
        layers = contraction(config.inputs, config.cell, config.width, config.norm)
        inputs = channels(DEEPEST, config.width)
        for level in reversed(range(1, DEEPEST)):
            outputs = channels(level, config.width)
            layers += [*_then(_double(inputs, outputs), outputs, config.norm)]
            layers += [*_then(nn.Conv2d(outputs, outputs, 3, padding=1), outputs, config.norm)]
            inputs = outputs
        self.layers = nn.Sequential(*layers, _double(inputs, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return the picture; see the class."""
        picture: Tensor = self.layers(pad_cells(x, self.config.cell))
        return picture.float().sigmoid()

    def in_tiles(self, reads: Sequence[Read], image_size: tuple[int, int]) -> Tensor:
        """Return the picture of one image, whose memory is proportional to the picture.

        Args:
            reads: A function that returns a part of the map.
            image_size: (H, W) of the image.
        """
        (read,), cell = reads, self.config.cell
        stages = Stages.of(self.layers, cell)
        return run_last([stages], [stages.whole(read, cell, pad_size(image_size))])


def _double(inputs: int, outputs: int) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


def _then(layer: nn.Module, outputs: int, norm: bool) -> list[nn.Module]:
    tail: list[nn.Module] = [BatchNorm(outputs)] if norm else []
    return [layer, *tail, nn.LeakyReLU(0.2, inplace=True)]
