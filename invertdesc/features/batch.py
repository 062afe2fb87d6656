"""Features of several images, stored one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor

from invertdesc.errors import InputError, MissingFieldError
from invertdesc.features._checks import (
    ROW_FIELDS,
    changed_rows,
    check_alike,
)
from invertdesc.features.local import LocalFeatures
from invertdesc.features.provenance import Provenance


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureBatch:
    """Features of B images of one size, packed: M keypoints in all, no padding.

    Made by `collate`; see `LocalFeatures` for units.

    Attributes:
        keypoints: (M, 2).
        descriptors: (M, D).
        offsets: (B + 1,) int64; image b owns rows `offsets[b]` to `offsets[b + 1]`.
        image_size: (H, W), the same for all.
        descriptor: Registry name of the descriptor of the vectors.
        scales: (M,) or None.
        orientations: (M,) or None.
        scores: (M,) or None.
        colors: (M, 3) or None.
        provenances: Provenance of each image.

    >>> batch = FeatureBatch.collate([])
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected at least one LocalFeatures to collate, got none.
    """

    keypoints: Tensor
    descriptors: Tensor
    offsets: Tensor
    image_size: tuple[int, int]
    descriptor: str
    scales: Tensor | None = None
    orientations: Tensor | None = None
    scores: Tensor | None = None
    colors: Tensor | None = None
    provenances: tuple[Provenance, ...] = ()

    def __repr__(self) -> str:
        height, width = self.image_size
        return (
            f"FeatureBatch({len(self.offsets) - 1} images of {width} x {height}, "
            f"{len(self.keypoints)} x {self.descriptor!r} of {self.descriptors.shape[1]} "
            f"{str(self.descriptors.dtype).removeprefix('torch.')})"
        )

    @classmethod
    def collate(cls, features: Sequence[LocalFeatures]) -> Self:
        """Pack the features of several images.

        Raises:
            InputError: The list is empty, or features differ in image size, descriptor, vector
                length, device or in the fields that they have.
        """
        if not features:
            raise InputError("Expected at least one LocalFeatures to collate, got none.")
        check_alike(features)
        first = features[0]
        counts = torch.tensor([0, *map(len, features)], device=first.device)
        rows = {
            name: None
            if getattr(first, name) is None
            else _joined([getattr(f, name) for f in features])
            for name in ROW_FIELDS
        }
        return cls(
            offsets=counts.cumsum(0),
            image_size=first.image_size,
            descriptor=first.descriptor,
            provenances=tuple(f.provenance for f in features),
            **rows,  # type: ignore[arg-type]
        )

    def __len__(self) -> int:
        """Return B, the number of images."""
        return self.offsets.shape[0] - 1

    def __getitem__(self, image: int) -> LocalFeatures:
        """Return the features of one image."""
        if not -len(self) <= image < len(self):
            raise IndexError(f"Expected an image among {len(self)}, got index {image}.")
        image %= len(self)
        rows = slice(*self.offsets[image : image + 2].tolist())
        return LocalFeatures(
            image_size=self.image_size,
            descriptor=self.descriptor,
            provenance=self.provenances[image],
            **changed_rows(self, lambda value: value[rows]),
        )

    def split(self) -> list[FeatureBatch]:
        """Return a batch of one image for each image, with views of the rows."""
        return [self._part(image, rows) for image, rows in enumerate(self.rows)]

    def _part(self, image: int, rows: slice) -> FeatureBatch:
        return replace(
            self,
            offsets=self.offsets.new_tensor([0, rows.stop - rows.start]),
            provenances=self.provenances[image : image + 1],
            **changed_rows(self, lambda value: value[rows]),
        )

    @property
    def rows(self) -> list[slice]:
        """The rows of each image's keypoints."""
        return [slice(*ends) for ends in pairwise(self.offsets.tolist())]

    @property
    def device(self) -> torch.device:
        """The device that holds the tensors."""
        return self.keypoints.device

    @property
    def images(self) -> Tensor:
        """(M,) int64: the image that each keypoint belongs to."""
        counts = self.offsets.diff()
        numbers = torch.arange(len(self), device=self.device)
        return numbers.repeat_interleave(counts, output_size=self.keypoints.shape[0])

    def to(self, device: torch.device | str) -> FeatureBatch:
        """Return the same batch on another device."""
        return replace(
            self,
            offsets=self.offsets.to(device),
            **changed_rows(self, lambda value: value.to(device)),
        )

    def require(self, names: Sequence[str], *, needed_by: str) -> None:
        """Check that optional fields are not missing.

        Args:
            names: Names among `"scales"`, `"orientations"`, `"scores"`.
            needed_by: What needs them, for the message.

        Raises:
            MissingFieldError: A field is missing.
        """
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            guess = ", ".join(f"{name}=..." for name in missing)
            raise MissingFieldError(
                f"Expected features with {' and '.join(missing)}, which {needed_by} needs; got "
                f"some without. Guess with features.assume({guess}) or choose another method."
            ).with_hint(assume=[f"{name}=..." for name in missing])


def _joined(parts: list[Tensor]) -> Tensor:
    """Return the rows of all parts; of one part itself, since it may be large."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)
