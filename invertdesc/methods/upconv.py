"""The up-convolutional inverse of sparse SIFT by Dosovitskiy and Brox 2016."""

from dataclasses import replace
from typing import Any, ClassVar

from torch import nn

from invertdesc.methods.base import Needs
from invertdesc.methods.cell_method import CellMethod
from invertdesc.methods.networks.upconv import Upconv as Network
from invertdesc.methods.networks.upconv import UpconvConfig
from invertdesc.methods.recipe import PAPER, LossWeights, TrainConfig


class Upconv(CellMethod):
    """Reconstruct a colour picture from descriptors, with geometry, in cells of 4 x 4 pixels.

    The network was trained by squared error alone, so uncertain parts are blurred.

    Source: Dosovitskiy, Brox, "Inverting visual representations with convolutional networks", CVPR
    2016, section 3. The source chooses one of several keypoints in a cell at random; this method
    uses `place_keypoints`.
    """

    name: ClassVar[str] = "upconv"
    needs: ClassVar[Needs] = Needs(fields=("scales", "orientations"))
    geometry: ClassVar[bool] = True

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the recipe, with squared error as in the source."""
        return replace(PAPER, method=cls.name, network=UpconvConfig(), losses=LossWeights(l2=1.0))

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Create the network from the config in a file."""
        return Network(UpconvConfig(**config))

    @staticmethod
    def cells(network: Any) -> tuple[int, ...]:
        """Return the cell sizes of the network's maps."""
        return (int(network.config.cell),)
