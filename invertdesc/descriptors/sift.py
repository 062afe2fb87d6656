"""SIFT and RootSIFT through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._options import check_range
from invertdesc.descriptors._histograms import SoftHistograms, find_level, root
from invertdesc.descriptors._opencv import Array, OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding

if TYPE_CHECKING:
    from invertdesc.features.batch import FeatureBatch


@dataclass(frozen=True, kw_only=True)
class Sift(OpenCVDescriptor):
    """SIFT: 4 x 4 histograms of 8 gradient directions, 128 numbers of 0 to 255.

    Units of OpenCV, converted to those of invertdesc: scale = size / 2, orientation = angle in
    radians, score = response.

    Attributes:
        detector: Detector of keypoints, by OpenCV's name in lower case.
        contrast_threshold: Detector threshold for contrast; a lower value gives more keypoints.
        edge_threshold: Detector threshold for edges; a higher value gives more keypoints along
            edges.
        octave_layers: Number of scales per octave.
        sigma: Blur of the first scale, in pixels.
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        gray: Gray mode `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.

    Source: Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004.
    """

    detector: str = "sift"
    contrast_threshold: float = 0.04
    edge_threshold: float = 10.0
    octave_layers: int = 3
    sigma: float = 1.6

    name: ClassVar[str] = "sift"
    native: ClassVar[str | None] = "sift"
    dim: ClassVar[int] = 128
    width: ClassVar[int] = 128
    frame: ClassVar[Frame] = Frame(support=12.0)  # 4 cells of 3 sigma each
    reach: ClassVar[float] = 16.0
    """Distance, in scales, beyond which no pixel changes a vector: half the diagonal of 5 cells,
    and the blur of the pyramid."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("octave_layers", self.octave_layers, 1)
        check_range("sigma", self.sigma, above=0)

    @cached_property
    def unfolding(self) -> Unfolding:
        """The map of the package, fitted to photographs."""
        return Unfolding.shipped("sift")

    @cached_property
    def known_unfolding(self) -> Unfolding:
        """The map that follows from the definition: each bin is a direction at a position.

        It undoes SIFT's Gaussian of 2 cells. It ignores the correlation of neighbouring cells,
        unlike a fit.
        """
        return Unfolding.from_histograms(cells=4, bins=8, frame=self.frame, window=2.0)

    def respond(self, gray: Tensor, batch: FeatureBatch) -> Tensor:
        """Describe one gray image (H, W) at the keypoints of a batch of one; differentiable.

        The result is close to OpenCV's, but not equal: see `SoftHistograms`. Vectors have length 1.
        """
        if not len(batch.keypoints):
            return gray.new_zeros(0, self.dim)
        vectors, _ = self.histograms(batch)(gray)
        return self._emit(vectors)

    def histograms(self, batch: FeatureBatch) -> SoftHistograms:
        """Return the histograms of a gray image, for the keypoints of a batch of one."""
        by_opencv = (batch.provenances[0].producer or "").startswith("opencv")
        return SoftHistograms(
            batch, self.frame, layers=self.octave_layers, sigma=self.sigma, rounded=by_opencv
        )

    def _tool(self) -> Any:
        # OpenCV's default upscaling moves every keypoint by a quarter pixel; this setting does not.
        return find_class("SIFT").create(
            0,
            self.octave_layers,
            self.contrast_threshold,
            self.edge_threshold,
            self.sigma,
            enable_precise_upscale=True,
        )

    def level(self, scales: Array, image_size: tuple[int, int]) -> tuple[Array, Array]:
        """Return the octave and class_id fields of keypoints, int, as OpenCV sets them."""
        # The format of OpenCV: the octave, from -1, in the low byte, and the layer, from 1, above
        # it.
        level, octave = find_level(
            torch.from_numpy(scales), image_size, layers=self.octave_layers, sigma=self.sigma
        )
        packed = ((octave & 255) | (level - self.octave_layers * octave << 8)).numpy()
        return packed, np.zeros_like(packed)


@dataclass(frozen=True, kw_only=True)
class RootSift(Sift):
    """RootSIFT: the square root of SIFT divided by its sum; 128 numbers of length 1.

    Parameters and units are those of `Sift`. `encode` squares, so methods for SIFT work with both.

    Source: Arandjelovic, Zisserman, "Three things everyone should know to improve object
    retrieval", CVPR 2012, section 2.
    """

    name: ClassVar[str] = "rootsift"
    encoding: ClassVar[str] = "sift"

    def encode(self, raw: Tensor) -> Tensor:
        """Square vectors and scale them to length 1; the result equals that of `Sift.encode`."""
        return super().encode(raw.float().square())

    def _emit(self, vectors: Tensor) -> Tensor:
        return root(F.normalize(vectors, p=1, dim=1))
