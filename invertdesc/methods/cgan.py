"""Networks followed by the refiner G of a conditional GAN."""

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
    """Run `coarse`, then a network G that was trained to make its pictures look real.

    Source: Wu et al. 2019, section III.
    """

    name: ClassVar[str] = "coarse+cgan"
    base: ClassVar[type[NetworkMethod] | None] = Coarse

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the recipe of Wu et al. 2019, section III-D."""
        return replace(PAPER, method=cls.name, network=RefinedConfig(CoarseConfig()), losses=CGAN)

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Create the network from the config in a file."""
        return Refined(super().build(config["base"]), RefinerConfig(**config["refiner"]))

    @staticmethod
    def cells(network: Any) -> tuple[int, ...]:
        """Return the cell sizes of the network's maps."""
        return Coarse.cells(network.base)


class UnfoldCGAN(Unfold):
    """Run the network of `unfold`, then G of Wu et al. 2019."""

    name: ClassVar[str] = "unfold+cgan"
    base: ClassVar[type[NetworkMethod] | None] = Unfold

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the recipe for G of Wu et al. 2019, with dropped keypoints as for `unfold`."""
        return replace(
            PAPER,
            method=cls.name,
            network=RefinedConfig(UNetConfig(), RefinerConfig(width=32)),
            losses=CGAN,
            drop=TrainConfig().drop,
        )

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Create the network from the config in a file."""
        return Refined(super().build(config["base"]), RefinerConfig(**config["refiner"]))

    @staticmethod
    def stride(network: Any) -> int:
        """Return the distance in pixels between samples of the network's field."""
        return Unfold.stride(network.base)
