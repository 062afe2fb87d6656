"""Networks with the refiner G of a conditional GAN behind them."""

from dataclasses import replace
from typing import Any, ClassVar

from torch import nn

from invertdesc.methods.coarse import Coarse
from invertdesc.methods.network import NetworkMethod
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.networks.refiner import Refined, RefinedConfig, RefinerConfig
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.recipe import CGAN, PAPER, TrainConfig
from invertdesc.methods.unfold import Unfold


class CoarseCGAN(Coarse):
    """Run R, then a network G that learned to make R's pictures look real.

    Source: Wu, Zhou, Li 2019, section III.
    """

    name: ClassVar[str] = "coarse+cgan"
    base: ClassVar[type[NetworkMethod] | None] = Coarse

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the paper's recipe, of section III-D."""
        return replace(PAPER, method=cls.name, network=RefinedConfig(CoarseConfig()), losses=CGAN)

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Make the network from its config as read from a file."""
        return Refined(super().build(config["base"]), RefinerConfig(**config["refiner"]))

    @staticmethod
    def cells(network: Any) -> tuple[int, ...]:
        """Return the cell sizes of the maps that a network takes."""
        return Coarse.cells(network.base)


class UnfoldCGAN(Unfold):
    """Run the network of `unfold`, then the paper's G."""

    name: ClassVar[str] = "unfold+cgan"
    base: ClassVar[type[NetworkMethod] | None] = Unfold

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the paper's recipe for G, which loses keypoints as `unfold` does."""
        return replace(
            PAPER,
            method=cls.name,
            network=RefinedConfig(UNetConfig(), RefinerConfig(width=32)),
            losses=CGAN,
            drop=TrainConfig().drop,
        )

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Make the network from its config as read from a file."""
        return Refined(super().build(config["base"]), RefinerConfig(**config["refiner"]))

    @staticmethod
    def stride(network: Any) -> int:
        """Return the pixels between the samples of the field that a network takes."""
        return Unfold.stride(network.base)
