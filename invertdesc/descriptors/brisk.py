"""BRISK through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from invertdesc.descriptors._opencv import Array, OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Brisk(OpenCVDescriptor):
    """BRISK: 512 comparisons of blurred points on rings.

    Units of OpenCV, converted to those of invertdesc: scale = size / 2.7; orientation = angle in
    radians, which BRISK always finds itself; score = response. Smaller keypoints are described as
    if they had size 7.2; the scale is set accordingly.

    Attributes:
        threshold: Detector threshold; a lower value gives more keypoints.
        octaves: Number of octaves of the scale space.

    Source: Leutenegger, Chli, Siegwart, "BRISK: binary robust invariant scalable keypoints",
    ICCV 2011.
    """

    detector: str = "brisk"
    threshold: int = 20
    octaves: int = 3

    name: ClassVar[str] = "brisk"
    native: ClassVar[str | None] = "brisk"
    dim: ClassVar[int] = 512
    width: ClassVar[int] = 64
    packed: ClassVar[bool] = True
    frame: ClassVar[Frame] = Frame(support=7.5)
    diameter: ClassVar[float] = 2.7
    orients: ClassVar[bool] = True

    def _tool(self) -> Any:
        return find_class("BRISK").create(self.threshold, self.octaves)

    def _used(self, scales: Array, image_size: tuple[int, int]) -> Array:
        return np.maximum(scales, 7.2 / self.diameter)
