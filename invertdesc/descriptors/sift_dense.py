"""SIFT on a regular grid, upright and at one scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc.descriptors.describing import Described
from invertdesc.descriptors.sift import Sift
from invertdesc.features.local import LocalFeatures
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding


@dataclass(frozen=True, kw_only=True)
class SiftDense(Sift):
    """SIFT at the middles of squares that tile the picture, as used by bags of words.

    Squares that cross the right or lower border of the picture are left out. There are neither
    orientations nor scores. `encode` is that of `Sift`, so methods for SIFT work with both.

    Attributes:
        step: Side of a square in pixels.
        scale: Scale of all keypoints in pixels; a vector describes a square of `12 * scale` pixels.

    >>> SiftDense(step=8).extract(torch.rand(3, 20, 32))
    LocalFeatures(8 x 'sift-dense' of 128 float32, image 32 x 20, without orientations, scores)

    Source: Fei-Fei, Perona, "A Bayesian hierarchical model for learning natural scene categories",
    CVPR 2005, for the grid.
    """

    step: int = 16
    scale: float = 2.0

    name: ClassVar[str] = "sift-dense"
    encoding: ClassVar[str] = "sift"
    native: ClassVar[str | None] = None
    on_grid: ClassVar[bool] = True
    frame: ClassVar[Frame] = Frame(support=12.0, rotated=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("step", self.step, 1)
        check_range("scale", self.scale, above=0)

    @cached_property
    def unfolding(self) -> Unfolding:
        """The map of `Sift`, for upright keypoints."""
        return replace(super().unfolding, frame=self.frame)

    def extract(self, image: Tensor) -> LocalFeatures:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at all points of its grid."""
        height, width = image.shape[-2:]
        rows, columns = (
            torch.arange(side // self.step) * float(self.step) + (self.step - 1) / 2
            for side in (height, width)
        )
        keypoints = torch.cartesian_prod(rows, columns).view(-1, 2).flip(1)
        grid = LocalFeatures(
            keypoints=keypoints,
            descriptors=torch.zeros(len(keypoints), self.width),
            image_size=(height, width),
            descriptor=self.name,
            scales=torch.full_like(keypoints[:, 0], self.scale),
        )
        return self.describe(image, grid).features

    def describe(self, image: Tensor, features: LocalFeatures) -> Described:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at given keypoints, upright."""
        return super().describe(image, features.without("orientations"))
