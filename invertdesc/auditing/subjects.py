"""The images of an audit: stored features, and the original if there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.evaluation.faces import find_faces
from invertdesc.features.local import Box, LocalFeatures
from invertdesc.features.resize import resize_features
from invertdesc.image import fit_size, shrink_image

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

CUT_OFF = 1.1  # sizes that are not stored are estimated from keypoints, hence too small


@dataclass(frozen=True, eq=False)
class Subject:
    """One image.

    Attributes:
        name: Name of the image.
        features: All that is stored.
        image: (3, H, W) RGB in [0, 1], the original, or None.
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


def shrink_subject(subject: Subject, side: int, adapter: Descriptor) -> Subject:
    """Scale stored features to a picture of at most `side` pixels, as an attacker may do.

    Features of a descriptor with a window of fixed size in pixels are not changed.
    """
    size = subject.features.image_size
    if max(size) <= side or not adapter.frame.scaled:
        return subject
    small = resize_features(subject.features, fit_size(size, side))
    image = None if subject.image is None else shrink_image(subject.image, side)
    return Subject(subject.name, small, image)


def with_original(name: str, features: LocalFeatures, image: Tensor) -> Subject:
    """Join stored features and an original.

    If the image size of the features is a little smaller, as when a store has no sizes, the size of
    the original is used.

    Raises:
        InputError: The sizes do not fit.
    """
    true, stored = tuple(image.shape[1:]), features.image_size
    if all(
        small <= large <= small * CUT_OFF + 8 for small, large in zip(stored, true, strict=True)
    ):
        features = replace(features, image_size=(true[0], true[1]))
    return Subject(name, features, image)
