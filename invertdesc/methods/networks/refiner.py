"""The refining network G of the conditional GAN, and a network followed by G."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc.methods.networks.norm import BatchNorm
from invertdesc.methods.networks.tiles import PIXELS, Read, run_in_tiles


@dataclass(frozen=True)
class RefinerConfig:
    """Size of a `Refiner`.

    Attributes:
        width: Number of channels at full resolution; residual blocks have 4 times as many.
        blocks: Number of residual blocks.
        dropout: Share of values of residual blocks that training sets to 0.
    """

    width: int = 64
    blocks: int = 9
    dropout: float = 0.5


class Refiner(nn.Module):
    """Network from a picture (B, 3, H, W) in [0, 1] to a sharper one of the same size and range.

    Two blocks of stride 2, residual blocks with dropout, two blocks that double, and a skip from
    the input to the output. It starts as the identity: the last convolution is 0.

    >>> picture = torch.rand(1, 3, 30, 45)
    >>> torch.equal(Refiner(RefinerConfig(width=4, blocks=1))(picture), picture)
    True

    Source: Wu et al. 2019, section III-C; Kupyn et al., "DeblurGAN", 2018, section 4 for the
    numbers of channels and the skip.
    """

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        last = nn.Conv2d(width, 3, 7)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            *_normed(nn.Conv2d(3, width, 7, bias=False)),
            *_normed(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False)),
            *_normed(nn.Conv2d(2 * width, 4 * width, 3, 2, 1, bias=False)),
            *(_Residual(4 * width, config.dropout) for _ in range(config.blocks)),
            nn.Upsample(scale_factor=2.0),
            *_normed(nn.Conv2d(4 * width, 2 * width, 3, padding=1, bias=False)),
            nn.Upsample(scale_factor=2.0),
            *_normed(nn.Conv2d(2 * width, width, 3, padding=1, bias=False)),
            nn.ReflectionPad2d(3),
            last,
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Return the result of the network; see the class."""
        height, width = picture.shape[-2:]
        if torch.is_grad_enabled() or self.training or height * width <= 2 * PIXELS:
            return self._run(picture)
        return run_in_tiles(
            lambda rows, columns: self._run(picture[..., rows, columns]),
            (height, width),
            reach=self.reach,
            step=4,
            most=2 * PIXELS // len(picture),
        )

    @property
    def reach(self) -> int:
        """Largest distance in pixels at which the picture has effect; a multiple of 4.

        A residual block reaches 2 pixels of maps that are four times smaller, all others 12.
        """
        return 8 * self.config.blocks + 16

    def _run(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        below, right = max(8 - height, -height % 4), max(8 - width, -width % 4)
        below += -(height + below) % 4
        right += -(width + right) % 4
        change = self.layers(F.pad(picture, (0, right, 0, below), mode="replicate") * 2 - 1)
        refined: Tensor = picture + change[..., :height, :width].float().tanh()
        return refined.clamp(0, 1)


class _Residual(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            *_normed(nn.Conv2d(width, width, 3, bias=False)),
            nn.Dropout(dropout),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3, bias=False),
            BatchNorm(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        whole: Tensor = x + self.layers(x)
        return whole


def _normed(layer: nn.Conv2d) -> list[nn.Module]:
    return [layer, BatchNorm(layer.out_channels), nn.ReLU(inplace=True)]


@dataclass(frozen=True)
class RefinedConfig:
    """Size of a `Refined`.

    Attributes:
        base: Size of the network in front, such as a `CoarseConfig`.
        refiner: Size of the refiner after it.
    """

    base: Any
    refiner: RefinerConfig = field(default_factory=RefinerConfig)


class Refined(nn.Module):
    """A network followed by a `Refiner`, trained end to end if `freeze_base` is not called.

    It returns two pictures: the refined one, and the one before refinement, which the discriminator
    also sees.
    """

    def __init__(self, base: nn.Module, refiner: RefinerConfig) -> None:
        super().__init__()
        self.base = base
        self.refiner = Refiner(refiner)
        self.config = RefinedConfig(base.config, refiner)
        self.frozen = False

    def freeze_base(self) -> None:
        """Keep the weights and statistics of the network in front as they are in training."""
        self.frozen = True
        self.base.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but for a frozen network in front."""
        super().train(mode)
        if self.frozen:
            self.base.eval()
        return self

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return (refined, coarse), each (B, 3, H, W) in [0, 1]."""
        coarse = self.base(*inputs).float()
        return self.refiner(coarse), coarse

    def in_tiles(self, reads: Sequence[Read], image_size: tuple[int, int]) -> Tensor:
        """Return the refined picture of one image, with a network in front that has `in_tiles`.

        Args:
            reads: Functions that return a part of a map.
            image_size: (H, W) of the image.
        """
        refined: Tensor = self.refiner(self.base.in_tiles(reads, image_size))  # type: ignore[operator]
        return refined


def picture_of(output: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Return the final picture of any network, with or without a refiner."""
    return output if torch.is_tensor(output) else output[0]
