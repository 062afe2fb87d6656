"""BEBLID and TEBLID through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from invertdesc.descriptors._opencv import SCALE_FACTOR, OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Beblid(OpenCVDescriptor):
    """BEBLID: 512 learned differences of box means, in a patch of 13.5 scales, turned.

    Units of OpenCV, converted to those of invertdesc: scale = size / 2 with OpenCV's factor 6.75,
    for any detector; orientation = angle in radians.

    Source: Suarez, Sfeir, Buenaposada, Baumela, "BEBLID: boosted efficient binary local image
    descriptor", Pattern Recognition Letters 2020.
    """

    detector: str = "orb"

    name: ClassVar[str] = "beblid"
    dim: ClassVar[int] = 512
    width: ClassVar[int] = 64
    packed: ClassVar[bool] = True
    frame: ClassVar[Frame] = Frame(support=12.5)  # the border of the patch matters little

    def _tool(self) -> Any:
        return find_class("BEBLID").create(SCALE_FACTOR, 100)  # 100 means 512 bits


@dataclass(frozen=True, kw_only=True)
class Teblid(Beblid):
    """TEBLID: as `Beblid`, but its differences were learned from triplets.

    Source: Suarez, Buenaposada, Baumela, "Revisiting binary local image description for resource
    limited devices", RA-L 2021.
    """

    name: ClassVar[str] = "teblid"

    def _tool(self) -> Any:
        return find_class("TEBLID").create(SCALE_FACTOR, 103)  # 103 means 512 bits
