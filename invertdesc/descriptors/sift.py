"""SIFT and RootSIFT through OpenCV."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.descriptors.base import check_vectors
from invertdesc.errors import InputError
from invertdesc.features import LocalFeatures, Provenance
from invertdesc.image import GrayMode, to_gray, to_uint8
from invertdesc.unfolding import Frame, Unfolding

if TYPE_CHECKING:
    from collections.abc import Sequence

    import cv2


@dataclass(frozen=True, kw_only=True)
class Sift:
    """SIFT: 4 x 4 histograms of 8 gradient directions, 128 numbers of 0 to 255.

    Units of OpenCV and ours: scale = size / 2, orientation = angle in radians, score = response.

    Attributes:
        contrast_threshold: The lower, the more keypoints.
        edge_threshold: The higher, the more keypoints along edges.
        octave_layers: Scales to an octave.
        sigma: Blur of the first scale, in pixels.
        max_num_keypoints: Keep only that many, the highest scores; None for all.
        gray: `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.

    Source: Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004.
    """

    contrast_threshold: float = 0.04
    edge_threshold: float = 10.0
    octave_layers: int = 3
    sigma: float = 1.6
    max_num_keypoints: int | None = None
    gray: GrayMode = "gamma"

    name: ClassVar[str] = "sift"
    dim: ClassVar[int] = 128
    frame: ClassVar[Frame] = Frame(support=12.0)  # 4 cells of 3 sigma each

    def __post_init__(self) -> None:
        if self.max_num_keypoints is not None and self.max_num_keypoints < 1:
            raise InputError(
                f"Expected max_num_keypoints >= 1 or None, got {self.max_num_keypoints}."
            )

    @cached_property
    def unfolding(self) -> Unfolding:
        """The shipped map, fitted to photographs."""
        return Unfolding.shipped("sift")

    @cached_property
    def known_unfolding(self) -> Unfolding:
        """The map that follows from the definition: each bin is a direction at a place.

        It undoes SIFT's Gaussian, of 2 cells; how neighbouring cells go together, only a fit knows.
        """
        return Unfolding.from_histograms(cells=4, bins=8, frame=self.frame, window=2.0)

    def extract(self, image: Tensor) -> LocalFeatures:
        """Detect and describe the keypoints of an image of shape (3, H, W), RGB in [0, 1]."""
        import cv2

        # OpenCV's default upscaling moves every keypoint by a quarter pixel; this one does not.
        sift = cv2.SIFT.create(
            0,
            self.octave_layers,
            self.contrast_threshold,
            self.edge_threshold,
            self.sigma,
            enable_precise_upscale=True,
        )
        found, vectors = sift.detectAndCompute(to_uint8(to_gray(image, self.gray)), None)
        height, width = image.shape[-2:]
        features = LocalFeatures(
            image_size=(height, width),
            descriptor=self.name,
            descriptors=self._emit(
                torch.from_numpy(vectors) if found else torch.zeros(0, self.dim)
            ),
            provenance=Provenance(self.gray, f"opencv {cv2.__version__}", asdict(self)),
            **_keypoints(found, (height, width)),
        )
        return _strongest(features, self.max_num_keypoints)

    def encode(self, raw: Tensor) -> Tensor:
        """Scale vectors to length 1, so that it does not matter in which unit they were stored."""
        check_vectors(raw, self.dim, self.name)
        return F.normalize(raw.float(), dim=1)

    def _emit(self, vectors: Tensor) -> Tensor:
        return vectors


@dataclass(frozen=True, kw_only=True)
class RootSift(Sift):
    """RootSIFT: the square root of SIFT divided by its sum; 128 numbers of length 1.

    Parameters and units are those of `Sift`. `encode` squares, so that methods for SIFT
    serve both.

    Source: Arandjelovic, Zisserman, "Three things everyone should know to improve object
    retrieval", CVPR 2012, section 2.
    """

    name: ClassVar[str] = "rootsift"

    def encode(self, raw: Tensor) -> Tensor:
        """Square vectors and scale them to length 1: what `Sift.encode` gives for the same one."""
        return super().encode(raw.float().square())

    def _emit(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, p=1, dim=1).sqrt()


def _keypoints(found: Sequence[cv2.KeyPoint], image_size: tuple[int, int]) -> dict[str, Tensor]:
    """Convert OpenCV's keypoints to our units."""
    height, width = image_size
    rows = np.array([(*k.pt, k.size, k.angle, k.response) for k in found], np.float32).reshape(
        -1, 5
    )
    x, y, size, angle, response = torch.from_numpy(rows).unbind(1)
    return {
        "keypoints": torch.stack([x.clamp(-0.5, width - 0.5), y.clamp(-0.5, height - 0.5)], 1),
        "scales": size / 2,
        "orientations": angle * (math.pi / 180),
        "scores": response.clone(),
    }


def _strongest(features: LocalFeatures, most: int | None) -> LocalFeatures:
    """Keep the highest scores, in the order in which they came."""
    if most is None or len(features) <= most or features.scores is None:
        return features
    best = features.scores.argsort(descending=True, stable=True)[:most]
    return features[best.sort().values]
