"""The coarse network R of Wu et al. 2019, on cell maps of two sizes."""

from dataclasses import replace
from typing import Any, ClassVar

from torch import nn

from invertdesc.methods.network import CellMethod
from invertdesc.methods.networks.coarse import Coarse as Network
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.recipe import JOINT, PAPER, TrainConfig


class Coarse(CellMethod):
    """Turn descriptors in cells of 4 x 4 and of 2 x 2 pixels into a colour picture.

    It knows neither scale nor orientation, and each descriptor needs weights of its own. A blurred
    picture: `coarse+cgan` sharpens it.

    Source: Wu, Zhou, Li 2019, sections III-A and III-B.
    """

    name: ClassVar[str] = "coarse"

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the paper's recipe, of section III-D."""
        return replace(PAPER, method=cls.name, network=CoarseConfig(), losses=JOINT)

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Make the network from its config as read from a file."""
        return Network(CoarseConfig(**config))

    @staticmethod
    def cells(network: Any) -> tuple[int, ...]:
        """Return the cell sizes of the maps that a network takes."""
        return tuple(network.config.cells)
