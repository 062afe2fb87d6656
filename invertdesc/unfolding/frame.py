"""The square of the picture that a vector describes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from invertdesc.features.batch import FeatureBatch


@dataclass(frozen=True)
class Frame:
    """The square of the picture around a keypoint that its descriptor describes.

    Attributes:
        support: Side of the square, in units of the keypoint's scale, or in pixels if not `scaled`.
        scaled: Whether the square grows with the keypoint's scale.
        rotated: Whether the square turns with the keypoint's orientation.
        assumed: Scale of keypoints without one; None if features must have scales. Networks that
            read a whole picture give no scale: it is 1, unless the picture was resized first.

    >>> Frame(support=12.0, rotated=False).needs
    ('scales',)
    """

    support: float
    scaled: bool = True
    rotated: bool = True
    assumed: float | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The fields of features that determine the square, in addition to positions."""
        scales = self.scaled and self.assumed is None
        return ("scales",) * scales + ("orientations",) * self.rotated

    def sides(self, batch: FeatureBatch) -> Tensor:
        """Return (M,) float32, the sides of the squares in pixels."""
        if self.scaled and batch.scales is not None:
            return self.support * batch.scales
        alone = self.assumed if self.scaled and self.assumed is not None else 1.0
        return torch.full_like(batch.keypoints[:, 0], self.support * alone)

    def turns(self, batch: FeatureBatch) -> Tensor:
        """Return (M,) float32, the orientations of the squares in radians from +x towards +y."""
        zeros = torch.zeros_like(batch.keypoints[:, 0])
        return zeros if not self.rotated or batch.orientations is None else batch.orientations


def turned(right: Tensor, down: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
    """Turn gradients (M, ...) in keypoints' frames into the picture's, towards +x and +y."""
    angles = turns.view(-1, *[1] * (right.ndim - 1))
    cos, sin = angles.cos(), angles.sin()
    return right * cos - down * sin, right * sin + down * cos
