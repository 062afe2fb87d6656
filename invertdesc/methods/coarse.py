"""The coarse network R of Wu et al. 2019, on cell maps of two sizes."""

from dataclasses import replace
from typing import Any, ClassVar

from torch import nn

from invertdesc.methods.cell_method import CellMethod
from invertdesc.methods.networks.coarse import Coarse as Network
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.recipe import JOINT, PAPER, TrainConfig


class Coarse(CellMethod):
    """Reconstruct a colour picture from descriptors in cells of 4 x 4 and of 2 x 2 pixels.

    The network sees neither scale nor orientation, and each descriptor needs its own weights. The
    picture is blurred; `coarse+cgan` sharpens it.

    Source: Wu et al. 2019, sections III-A and III-B.
    """

    name: ClassVar[str] = "coarse"

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the recipe of Wu et al. 2019, section III-D."""
        return replace(PAPER, method=cls.name, network=CoarseConfig(), losses=JOINT)

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Create the network from the config in a file."""
        return Network(CoarseConfig(**config))

    @staticmethod
    def cells(network: Any) -> tuple[int, ...]:
        """Return the cell sizes of the network's maps."""
        return tuple(network.config.cells)
