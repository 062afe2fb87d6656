"""LATCH through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from invertdesc.descriptors._opencv import OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Latch(OpenCVDescriptor):
    """LATCH: 512 comparisons of triplets of small patches in a window of 48 pixels, turned.

    Units of OpenCV, converted to those of invertdesc: orientation = angle in radians. The window
    does not grow with the scale. Scales are those of the detector: its size divided by its size for
    a sigma of 1 pixel, which is 13.5 for ORB.

    Source: Levi, Hassner, "LATCH: learned arrangements of three patch codes", WACV 2016.
    """

    detector: str = "orb"

    name: ClassVar[str] = "latch"
    dim: ClassVar[int] = 512
    width: ClassVar[int] = 64
    packed: ClassVar[bool] = True
    frame: ClassVar[Frame] = Frame(support=48.0, scaled=False)

    def _tool(self) -> Any:
        return find_class("LATCH").create(self.width)
