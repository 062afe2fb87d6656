"""KAZE through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from invertdesc.descriptors._opencv import Array, OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Kaze(OpenCVDescriptor):
    """KAZE: sums of gradients and of their sizes in 4 x 4 cells, 64 numbers of length 1.

    Units of OpenCV, converted to those of invertdesc: scale = size / 2; orientation = angle in
    radians, which KAZE always finds itself; score = response. At given keypoints the nearest level
    of its scale space is used, whose blur may differ from the scale's.

    Attributes:
        threshold: Detector threshold; a lower value gives more keypoints.
        octaves: Number of octaves of the scale space.
        octave_layers: Number of levels per octave.

    Source: Alcantarilla, Bartoli, Davison, "KAZE features", ECCV 2012.
    """

    detector: str = "kaze"
    threshold: float = 1e-3
    octaves: int = 4
    octave_layers: int = 4

    name: ClassVar[str] = "kaze"
    native: ClassVar[str | None] = "kaze"
    dim: ClassVar[int] = 64
    width: ClassVar[int] = 64
    frame: ClassVar[Frame] = Frame(support=20.0)  # of 24; the outer scales matter less
    orients: ClassVar[bool] = True

    def _tool(self) -> Any:
        return find_class("KAZE").create(
            threshold=self.threshold, nOctaves=self.octaves, nOctaveLayers=self.octave_layers
        )

    def level(self, scales: Array, image_size: tuple[int, int]) -> tuple[Array, Array]:
        """Return the octave and class_id fields of keypoints, int, as OpenCV sets them."""
        level = np.rint(self.octave_layers * np.log2(scales / 1.6))
        # OpenCV computes no derivatives at level 0; the vector would be NaN.
        level = np.clip(level, 1, self.octaves * self.octave_layers - 1).astype(int)
        return level // self.octave_layers, level
