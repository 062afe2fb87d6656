"""Reconstruct colour pictures from the unfolded field by a network."""

from typing import Any, ClassVar

from torch import nn

from invertdesc.methods.network import FieldMethod
from invertdesc.methods.networks.unet import UNet, UNetConfig
from invertdesc.methods.recipe import TrainConfig


class Unfold(FieldMethod):
    """Reconstruct a colour picture from the unfolded gradient field by a small U-Net.

    The network sees only the field (Poisson picture, coverage, gradients), never the descriptor.
    One network therefore serves all descriptors with an unfolding, including some that it was not
    trained on.
    """

    name: ClassVar[str] = "unfold"

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the recipe of the package's weights, except for their number of steps."""
        return TrainConfig(method=cls.name, network=UNetConfig())

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Create the network from the config in a file."""
        return UNet(UNetConfig(**config))

    @staticmethod
    def stride(network: Any) -> int:
        """Return the distance in pixels between samples of the network's field."""
        return int(network.config.upscale)
