"""Networks with the refiner G of a conditional GAN behind them."""

from typing import Any, ClassVar

from torch import nn

from invertdesc.methods.coarse import Coarse
from invertdesc.methods.networks.refiner import Refined, RefinerConfig
from invertdesc.methods.unfold import Unfold


class CoarseCGAN(Coarse):
    """Run R, then a network G that learned to make R's pictures look real.

    Source: Wu, Zhou, Li 2019, section III.
    """

    name: ClassVar[str] = "coarse+cgan"
    base: ClassVar[str | None] = Coarse.name

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
    base: ClassVar[str | None] = Unfold.name

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Make the network from its config as read from a file."""
        return Refined(super().build(config["base"]), RefinerConfig(**config["refiner"]))

    @staticmethod
    def stride(network: Any) -> int:
        """Return the pixels between the samples of the field that a network takes."""
        return Unfold.stride(network.base)
