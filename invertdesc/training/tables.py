"""Features of many pictures in a few large arrays, from which batches are gathered by index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invertdesc.features._checks import ROW_FIELDS
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.features.provenance import Provenance

Array = NDArray[Any]


class Rows(NamedTuple):
    """The features of one picture as arrays, as processes exchange them."""

    arrays: dict[str, Array | None]
    image_size: tuple[int, int]
    descriptor: str
    provenance: Provenance
    whole: bool  # vectors of whole numbers from 0 to 255 that are kept in 8 bits

    @classmethod
    def of(cls, features: LocalFeatures) -> Rows:
        """Take the arrays of features."""
        arrays = {
            name: None if (value := getattr(features, name)) is None else value.numpy()
            for name in ROW_FIELDS
        }
        vectors = arrays["descriptors"]
        whole = vectors is not None and _is_whole(vectors)
        if whole and vectors is not None:
            arrays["descriptors"] = vectors.astype(np.uint8)
        origin = features.provenance
        return cls(arrays, features.image_size, features.descriptor, origin, whole)


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of P pictures with one descriptor.

    Vectors of whole numbers, such as those of OpenCV's SIFT, are kept in 8 bits: a quarter of the
    memory.

    Attributes:
        features: All features, on any device, without scores.
        starts: (P + 1,) int64, on the CPU: the rows of each picture.
        keypoints: (M, 2) on the CPU, to choose keypoints by.
        scores: (M,) on the CPU, or None.
        whole: Whether the vectors are kept in 8 bits and are float32 otherwise.
    """

    features: FeatureBatch
    starts: Array
    keypoints: Tensor
    scores: Tensor | None
    whole: bool

    @classmethod
    def pack(cls, pictures: Iterable[Rows]) -> FeatureTable:
        """Put the features of pictures, at least one, behind one another."""
        every = list(pictures)
        whole = all(rows.whole for rows in every)
        fields: dict[str, Tensor | None] = {}
        for name in ROW_FIELDS:
            parts = [_widened(rows, name, whole) for rows in every]
            some = [part for part in parts if part is not None]
            complete = len(some) == len(parts)
            fields[name] = torch.from_numpy(np.concatenate(some)) if complete else None
        counts = [0, *(len(_given(rows.arrays["keypoints"])) for rows in every)]
        starts = np.cumsum(counts, dtype=np.int64)
        scores = fields.pop("scores")
        batch = FeatureBatch(
            offsets=torch.from_numpy(starts),
            image_size=every[0].image_size,
            descriptor=every[0].descriptor,
            provenances=tuple(rows.provenance for rows in every),
            **fields,  # type: ignore[arg-type]
        )
        return cls(batch, starts, batch.keypoints, scores, whole)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.starts) - 1

    @property
    def bytes(self) -> int:
        """Size of the features in memory."""
        given = (getattr(self.features, name) for name in ROW_FIELDS)
        return sum(one.numel() * one.element_size() for one in given if one is not None)

    def to(self, device: torch.device) -> FeatureTable:
        """Return the table with its features on another device."""
        return replace(self, features=self.features.to(device))

    def places(self, picture: int) -> tuple[Tensor, Tensor | None]:
        """Return keypoints (N, 2) and scores (N,) or None of one picture, on the CPU."""
        span = self._span(picture)
        return self.keypoints[span], None if self.scores is None else self.scores[span]

    def of(self, picture: int) -> LocalFeatures:
        """Return the features of one picture, with scores, on the CPU."""
        return replace(self.gather([picture]).to("cpu")[0], scores=self.places(picture)[1])

    def gather(
        self, pictures: Sequence[int], kept: Sequence[Tensor | None] | None = None
    ) -> FeatureBatch:
        """Return the features of some pictures, on the device of the table and without scores.

        Args:
            pictures: Indices of pictures.
            kept: Which of its keypoints to take for each picture, as int64 indices on the CPU; None
                takes all.
        """
        rows, counts = [], [0]
        for number, picture in enumerate(pictures):
            span = self._span(picture)
            some = None if kept is None else kept[number]
            indices = np.arange(span.start, span.stop)
            rows.append(indices if some is None else indices[some.numpy()])
            counts.append(len(rows[-1]))
        whole = self.features
        index = torch.from_numpy(np.concatenate(rows)).to(whole.device, non_blocking=True)
        offsets = torch.tensor(counts).cumsum(0).to(whole.device, non_blocking=True)
        fields = {
            name: None if (value := getattr(whole, name)) is None else value[index]
            for name in ROW_FIELDS
        }
        vectors = fields["descriptors"]
        if self.whole and vectors is not None:
            fields["descriptors"] = vectors.float()
        provenances = tuple(whole.provenances[picture] for picture in pictures)
        return replace(whole, offsets=offsets, provenances=provenances, **fields)  # type: ignore[arg-type]

    def _span(self, picture: int) -> slice:
        return slice(int(self.starts[picture]), int(self.starts[picture + 1]))


def _is_whole(vectors: Array) -> bool:
    if vectors.dtype != np.float32 or not vectors.size:
        return bool(vectors.dtype == np.float32)
    within = vectors.min() >= 0 and vectors.max() <= 255
    return bool(within and (vectors == np.rint(vectors)).all())


def _widened(rows: Rows, name: str, whole: bool) -> Array | None:
    value = rows.arrays[name]
    if name == "descriptors" and value is not None and rows.whole and not whole:
        return value.astype(np.float32)
    return value


def _given(value: Array | None) -> Array:
    if value is None:
        raise ValueError("Expected keypoints, got none.")
    return value
