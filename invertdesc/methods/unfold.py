"""A network on the unfolded field: colour pictures, one network for every descriptor."""

from typing import Any, ClassVar

from torch import nn

from invertdesc.methods.network import FieldMethod
from invertdesc.methods.networks.unet import UNet, UNetConfig
from invertdesc.methods.recipe import TrainConfig


class Unfold(FieldMethod):
    """Turn the unfolded gradient field into a colour picture, by a small U-Net.

    The network sees only the field (Poisson picture, coverage, gradients), never the descriptor, so
    that one network serves all that have an unfolding, also some that it was not trained on.
    """

    name: ClassVar[str] = "unfold"

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return how the weights that ship were trained, but for their number of steps."""
        return TrainConfig(method=cls.name, network=UNetConfig())

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Make the network from its config as read from a file."""
        return UNet(UNetConfig(**config))

    @staticmethod
    def stride(network: Any) -> int:
        """Return the pixels between the samples of the field that a network takes."""
        return int(network.config.upscale)
