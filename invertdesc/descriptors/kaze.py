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

    Units of OpenCV and ours: scale = size / 2; orientation = angle in radians, which KAZE always
    finds itself; score = response. At given keypoints the nearest level of its scale space is
    taken, whose blur may differ from the scale's.

    Attributes:
        threshold: The lower, the more keypoints.
        octaves: Of its scale space.
        octave_layers: Levels to an octave.

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
    frame: ClassVar[Frame] = Frame(support=20.0)  # of 24, the outer ones tell less
    orients: ClassVar[bool] = True

    def _tool(self) -> Any:
        return find_class("KAZE").create(
            threshold=self.threshold, nOctaves=self.octaves, nOctaveLayers=self.octave_layers
        )

    def level(self, scales: Array, image_size: tuple[int, int]) -> tuple[Array, Array]:
        """Return the octave and class_id fields of keypoints, int, as OpenCV sets them."""
        level = np.rint(self.octave_layers * np.log2(scales / 1.6))
        # Its derivatives are not computed at level 0, and the vector would be NaN.
        level = np.clip(level, 1, self.octaves * self.octave_layers - 1).astype(int)
        return level // self.octave_layers, level
