"""BinBoost, of the family BoostDesc, through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from invertdesc.descriptors._opencv import SCALE_FACTOR, OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class BoostDesc(OpenCVDescriptor):
    """BinBoost: 256 bits, boosted from gradient directions in a patch of 13.5 scales, turned.

    Units of OpenCV, converted to those of invertdesc: scale = size / 2 with OpenCV's factor 6.75,
    for any detector; orientation = angle in radians. OpenCV 4 and 5 differ in about one bit of 300.

    Source: Trzcinski, Christoudias, Fua, Lepetit, "Boosting binary keypoint descriptors", CVPR
    2013.
    """

    detector: str = "sift"

    name: ClassVar[str] = "boostdesc"
    dim: ClassVar[int] = 256
    width: ClassVar[int] = 32
    packed: ClassVar[bool] = True
    frame: ClassVar[Frame] = Frame(support=2 * SCALE_FACTOR)

    def _tool(self) -> Any:
        return find_class("BoostDesc").create(scale_factor=SCALE_FACTOR)
