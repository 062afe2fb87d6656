"""TFeat through kornia: a shallow network from a patch to 128 numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from invertdesc.descriptors._weights import Remote
from invertdesc.descriptors.hardnet import HardNet
from invertdesc.unfolding.unfolding import Unfolding


@dataclass(frozen=True, kw_only=True)
class TFeat(HardNet):
    """TFeat: a network from a patch of 32 x 32 pixels to 128 numbers.

    The attributes are those of `HardNet`. Its unfolding is of the weights that kornia downloads,
    `tfeat-liberty.params`; fit another for other weights.

    Source: Balntas, Riba, Ponsa, Mikolajczyk, "Learning local feature descriptors with triplets and
    shallow convolutional neural networks", BMVC 2016.
    """

    name: ClassVar[str] = "tfeat"
    kornia_class: ClassVar[str] = "TFeat"
    remote: ClassVar[Remote] = Remote("tfeat-liberty.params", 2.4)

    @cached_property
    def unfolding(self) -> Unfolding:
        """The map of the package, fitted to photographs."""
        return Unfolding.shipped(self.name)
