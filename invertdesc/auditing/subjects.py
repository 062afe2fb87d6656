"""The images of an audit: what is stored of each, and the original where there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from invertdesc.errors import InputError
from invertdesc.evaluation.faces import find_faces
from invertdesc.features.local import Box, LocalFeatures

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

CUT_OFF = 1.1  # a store that does not tell sizes takes them from keypoints, hence too small


@dataclass(frozen=True, eq=False)
class Subject:
    """One image.

    Attributes:
        name: As the user knows it.
        features: All that is stored.
        image: (3, H, W) RGB in [0, 1], the original; None where it is not at hand.
    """

    name: str
    features: LocalFeatures
    image: Tensor | None = None

    def __post_init__(self) -> None:
        if self.image is not None and tuple(self.image.shape[1:]) != self.features.image_size:
            raise InputError(
                f"Expected an original of (H, W) = {self.features.image_size} for {self.name!r}, "
                f"got {tuple(self.image.shape[1:])}."
            )

    @cached_property
    def faces(self) -> list[Box]:
        """Boxes of faces in the original; none without one."""
        return [] if self.image is None else find_faces(self.image)


def shrink_image(image: Tensor, side: int) -> Tensor:
    """Return a picture (3, H, W) of at most `side` pixels along the longer side."""
    height, width = image.shape[1:]
    if max(height, width) <= side:
        return image
    return _resize(image, _fitted((height, width), side))


def shrink_subject(subject: Subject, side: int, adapter: Descriptor) -> Subject:
    """Bring stored features to a picture of at most `side` pixels, as an attacker may.

    A descriptor whose window is a fixed count of pixels stays as it is.
    """
    size = subject.features.image_size
    if max(size) <= side or not adapter.frame.scaled:
        return subject
    fitted = _fitted(size, side)
    factor = max(fitted) / max(size)
    features = subject.features
    points = (features.keypoints + 0.5) * features.keypoints.new_tensor(
        [fitted[1] / size[1], fitted[0] / size[0]]
    ) - 0.5
    scales = None if features.scales is None else features.scales * factor
    small = replace(features, keypoints=points, scales=scales, image_size=fitted)
    image = None if subject.image is None else _resize(subject.image, fitted)
    return Subject(subject.name, small, image)


def with_original(name: str, features: LocalFeatures, image: Tensor) -> Subject:
    """Join stored features and an original.

    Where the features' picture is a little smaller, as when a store tells no size, the original's
    size is taken.

    Raises:
        InputError: The sizes do not fit.
    """
    true, told = tuple(image.shape[1:]), features.image_size
    if all(small <= large <= small * CUT_OFF + 8 for small, large in zip(told, true, strict=True)):
        features = replace(features, image_size=(true[0], true[1]))
    return Subject(name, features, image)


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    height, width = (max(1, round(length * side / max(size))) for length in size)
    return height, width


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    small = F.interpolate(image[None], size, mode="bicubic", antialias=True, align_corners=False)
    return small[0].clamp(0, 1)
