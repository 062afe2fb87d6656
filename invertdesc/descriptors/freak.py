"""FREAK through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from invertdesc.descriptors._opencv import Array, OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Freak(OpenCVDescriptor):
    """FREAK: 512 comparisons of blurred points, denser in the middle as on a retina.

    Units of OpenCV, converted to those of invertdesc: size = 2.7 scale, as of FAST and AGAST;
    orientation = angle in radians, which FREAK always finds itself. Smaller keypoints are described
    as if they had size 7; the scale is set accordingly.

    Source: Alahi, Ortiz, Vandergheynst, "FREAK: fast retina keypoint", CVPR 2012.
    """

    detector: str = "fast"

    name: ClassVar[str] = "freak"
    dim: ClassVar[int] = 512
    width: ClassVar[int] = 64
    packed: ClassVar[bool] = True
    frame: ClassVar[Frame] = Frame(support=13.0)
    diameter: ClassVar[float] = 2.7
    orients: ClassVar[bool] = True

    def _tool(self) -> Any:
        return find_class("FREAK").create()

    def _used(self, scales: Array, image_size: tuple[int, int]) -> Array:
        return np.maximum(scales, 7.0 / self.diameter)
