"""AKAZE's binary descriptor (M-LDB) through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from invertdesc.descriptors._opencv import Array, OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Akaze(OpenCVDescriptor):
    """AKAZE: 486 comparisons of means and derivatives between the cells of three grids (M-LDB).

    Units of OpenCV, converted to those of invertdesc: scale = size / 3, because size is twice 1.5
    sigma; orientation = angle in radians; score = response. At given keypoints the nearest level of
    its scale space is used, whose blur may differ from the scale's. The last byte's two upper bits
    are not used.

    Attributes:
        threshold: Detector threshold; a lower value gives more keypoints.
        octaves: Number of octaves of the scale space.
        octave_layers: Number of levels per octave.

    Source: Alcantarilla, Nuevo, Bartoli, "Fast explicit diffusion for accelerated features in
    nonlinear scale spaces", BMVC 2013.
    """

    detector: str = "akaze"
    threshold: float = 5e-4
    octaves: int = 4
    octave_layers: int = 4

    name: ClassVar[str] = "akaze"
    native: ClassVar[str | None] = "akaze"
    dim: ClassVar[int] = 486
    width: ClassVar[int] = 61
    packed: ClassVar[bool] = True
    frame: ClassVar[Frame] = Frame(support=30.0)
    diameter: ClassVar[float] = 3.0

    def _tool(self) -> Any:
        return find_class("AKAZE").create(
            threshold=self.threshold, nOctaves=self.octaves, nOctaveLayers=self.octave_layers
        )

    def level(self, scales: Array, image_size: tuple[int, int]) -> tuple[Array, Array]:
        """Return the octave and class_id fields of keypoints, int, as OpenCV sets them."""
        # Each octave halves the image, down to 80 x 40 pixels.
        height, width = image_size
        octaves = 1
        while octaves < self.octaves and width >> octaves >= 80 and height >> octaves >= 40:
            octaves += 1
        level = np.rint(self.octave_layers * np.log2(scales / 1.6))
        level = np.clip(level, 0, octaves * self.octave_layers - 1).astype(int)
        return level // self.octave_layers, level
