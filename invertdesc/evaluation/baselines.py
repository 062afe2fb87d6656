"""Compute the floors, to which every method is compared."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from invertdesc.features.changes import shuffle_rows
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_image
from invertdesc.methods.poisson import FLAT

FLOORS = ("orientation unknown", "shuffled", "flat", "mean picture")


def flat_picture(size: tuple[int, ...]) -> Tensor:
    """Return a gray picture (3, H, W) of a size (H, W) in pixels.

    >>> flat_picture((2, 3)).shape
    torch.Size([3, 2, 3])
    """
    return torch.full((3, *size), FLAT)


def shuffled(features: LocalFeatures) -> LocalFeatures:
    """Return features with their descriptors shuffled among the keypoints, by a fixed seed."""
    return shuffle_rows(features, torch.Generator().manual_seed(0))


class MeanPicture:
    """The mean of pictures of one size: an estimate of a face without any descriptor."""

    def __init__(self, total: Tensor, count: int) -> None:
        self.total, self.count = total, count

    @classmethod
    def of(cls, sources: Iterable[object]) -> MeanPicture | None:
        """Return the mean of some images; None if their sizes differ, or if there is only one."""
        total, count = None, 0
        for source in sources:
            image = to_image(source).double()
            if total is not None and image.shape != total.shape:
                return None
            total = image if total is None else total + image
            count += 1
        return None if total is None or count < 2 else cls(total, count)

    def without(self, image: Tensor) -> Tensor:
        """Return the mean of all images except one."""
        return ((self.total - image.double()) / (self.count - 1)).float().clamp(0, 1)
