"""BRIEF through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from invertdesc.descriptors._opencv import OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Brief(OpenCVDescriptor):
    """BRIEF: 512 comparisons of small means in a window of 48 pixels, neither scaled nor turned.

    It has no orientation. Scales are those of the detector: its size divided by its size for a
    sigma of 1 pixel, which is 13.5 for ORB.

    Source: Calonder, Lepetit, Strecha, Fua, "BRIEF: binary robust independent elementary
    features", ECCV 2010.
    """

    detector: str = "orb"

    name: ClassVar[str] = "brief"
    dim: ClassVar[int] = 512
    width: ClassVar[int] = 64
    packed: ClassVar[bool] = True
    frame: ClassVar[Frame] = Frame(support=48.0, scaled=False, rotated=False)

    def _tool(self) -> Any:
        return find_class("BriefDescriptorExtractor").create(self.width, use_orientation=False)
