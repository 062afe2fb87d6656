"""The VGG group's learned descriptor through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from invertdesc.descriptors._opencv import SCALE_FACTOR, OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Vgg(OpenCVDescriptor):
    """VGG: learned poolings of gradient directions in a patch of 13.5 scales, 120 numbers.

    Units of OpenCV, converted to those of invertdesc: scale = size / 2 with OpenCV's factor 6.75,
    for any detector; orientation = angle in radians.

    Source: Simonyan, Vedaldi, Zisserman, "Learning local feature descriptors using convex
    optimisation", TPAMI 2014.
    """

    detector: str = "sift"

    name: ClassVar[str] = "vgg"
    dim: ClassVar[int] = 120
    width: ClassVar[int] = 120
    frame: ClassVar[Frame] = Frame(support=2 * SCALE_FACTOR)

    def _tool(self) -> Any:
        return find_class("VGG").create(scale_factor=SCALE_FACTOR)
