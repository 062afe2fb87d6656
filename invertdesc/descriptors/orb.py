"""ORB through OpenCV."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from invertdesc.descriptors._opencv import Array, OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Orb(OpenCVDescriptor):
    """ORB: 256 comparisons of small means, in a patch of 31 pixels of a pyramid's level, turned.

    Units of OpenCV, converted to those of invertdesc: scale = size / 13.5, so size 31 of the first
    level is sigma 2.3; orientation = angle in radians; score = response (Harris). At given
    keypoints the nearest level of the pyramid is used, and the result has its scale.

    Attributes:
        max_num_keypoints: Maximum number of keypoints.
        fast_threshold: Threshold of FAST; a lower value gives more keypoints.
        scale_factor: Scale factor between levels of the pyramid.
        levels: Number of levels of the pyramid.
        edge_threshold: Smallest distance of keypoints from the border, in pixels.

    Source: Rublee, Rabaud, Konolige, Bradski, "ORB: an efficient alternative to SIFT or SURF",
    ICCV 2011.
    """

    detector: str = "orb"
    max_num_keypoints: int | None = 1000
    fast_threshold: int = 7
    scale_factor: float = 1.2
    levels: int = 8
    edge_threshold: int = 31

    name: ClassVar[str] = "orb"
    native: ClassVar[str | None] = "orb"
    dim: ClassVar[int] = 256
    width: ClassVar[int] = 32
    packed: ClassVar[bool] = True
    frame: ClassVar[Frame] = Frame(support=13.5)
    diameter: ClassVar[float] = 13.5

    def _tool(self) -> Any:
        return find_class("ORB").create(
            nfeatures=self.max_num_keypoints or 1_000_000,
            scaleFactor=self.scale_factor,
            nlevels=self.levels,
            edgeThreshold=self.edge_threshold,
            fastThreshold=self.fast_threshold,
        )

    def _used(self, scales: Array, image_size: tuple[int, int]) -> Array:
        octave, _ = self.level(scales, image_size)
        used: Array = 31 / self.diameter * self.scale_factor**octave
        return used

    def level(self, scales: Array, image_size: tuple[int, int]) -> tuple[Array, Array]:
        """Return the octave and class_id fields of keypoints, int, as OpenCV sets them."""
        level = np.log(scales * (self.diameter / 31)) / math.log(self.scale_factor)
        octave = np.clip(np.rint(level), 0, self.levels - 1).astype(int)
        return octave, np.zeros_like(octave)
