"""The up-convolutional inverse of sparse SIFT by Dosovitskiy and Brox 2016."""

from dataclasses import replace
from typing import Any, ClassVar

from torch import nn

from invertdesc.methods.base import Needs
from invertdesc.methods.network import CellMethod
from invertdesc.methods.networks.upconv import Upconv as Network
from invertdesc.methods.networks.upconv import UpconvConfig
from invertdesc.methods.recipe import PAPER, LossWeights, TrainConfig


class Upconv(CellMethod):
    """Turn descriptors, with their geometry, in cells of 4 x 4 pixels into a colour picture.

    Trained by squared error alone, so that what it does not know it blurs.

    Source: Dosovitskiy, Brox, "Inverting visual representations with convolutional networks", CVPR
    2016, section 3. Of several keypoints in a cell the source takes one at random; ours follow
    `place_keypoints`.
    """

    name: ClassVar[str] = "upconv"
    needs: ClassVar[Needs] = Needs(fields=("scales", "orientations"))
    geometry: ClassVar[bool] = True

    @classmethod
    def recipe(cls) -> TrainConfig:
        """Return the paper's recipe."""
        return replace(PAPER, method=cls.name, network=UpconvConfig(), losses=LossWeights(l2=1.0))

    @classmethod
    def build(cls, config: dict[str, Any]) -> nn.Module:
        """Make the network from its config as read from a file."""
        return Network(UpconvConfig(**config))

    @staticmethod
    def cells(network: Any) -> tuple[int, ...]:
        """Return the cell sizes of the maps that a network takes."""
        return (int(network.config.cell),)
