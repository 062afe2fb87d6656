"""Who is in a picture: faces as numbers, and the distance up to which two are one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.evaluation.faces import same_face
from invertdesc.features.local import Box

RATES = (0.01, 0.001)  # of false accepts, loose and strict
LEAST_PAIRS = 100  # of different people, to say what one in a hundred of them is


class Face(NamedTuple):
    """A face in a picture.

    Attributes:
        box: (x0, y0, x1, y1) in pixels.
        embedding: (E,) float32, near to those of other pictures of the same person.
    """

    box: Box
    embedding: Tensor


@dataclass(frozen=True)
class Bounds:
    """Distances up to which two faces count as one person.

    Attributes:
        loose: One in a hundred pairs of different people is as near.
        strict: One in a thousand is.
        source: What they were measured on.
    """

    loose: float
    strict: float
    source: str


class Recogniser(Protocol):
    """A face recogniser: it finds faces and tells people apart."""

    @property
    def name(self) -> str:
        """What a report calls it."""

    @property
    def bounds(self) -> Bounds | None:
        """Up to which distance two faces are one person; None where nobody measured it."""

    def faces(self, picture: Tensor) -> list[Face]:
        """Find the faces in a picture (3, H, W), RGB in [0, 1]."""

    def again(self, picture: Tensor, faces: Sequence[Face]) -> list[Face | None]:
        """Find those faces in another picture of the same scene; None where one is not found."""

    def distance(self, one: Tensor, other: Tensor) -> float:
        """Return how far two embeddings (E,) are apart, 0 for the same."""


@dataclass(frozen=True, eq=False)
class Bounded:
    """A recogniser with other bounds; see `Recogniser`.

    Attributes:
        recogniser: The recogniser, whose own bounds do not count.
        bounds: Bounds of its distance.
    """

    recogniser: Recogniser
    bounds: Bounds | None

    @property
    def name(self) -> str:
        """Name for reports."""
        return self.recogniser.name

    def faces(self, picture: Tensor) -> list[Face]:
        """Find the faces in a picture (3, H, W), RGB in [0, 1]."""
        return self.recogniser.faces(picture)

    def again(self, picture: Tensor, faces: Sequence[Face]) -> list[Face | None]:
        """Find those faces in another picture of the same scene; None where one is not found."""
        return self.recogniser.again(picture, faces)

    def distance(self, one: Tensor, other: Tensor) -> float:
        """Return how far two embeddings (E,) are apart, 0 for the same."""
        return self.recogniser.distance(one, other)


def bounds_of(recogniser: Recogniser, gallery: Sequence[Tensor], source: str) -> Bounds:
    """Measure up to which distance two faces are one person, on pictures of different people.

    Args:
        recogniser: Its `bounds` are not looked at.
        gallery: Pictures (3, H, W) in [0, 1], each of another person; the largest face counts.
        source: What the gallery is, in words.

    Raises:
        InputError: Too few pictures with a face.
    """
    found = [max(faces, key=_area) for one in gallery if (faces := recogniser.faces(one))]
    apart = [recogniser.distance(a.embedding, b.embedding) for a, b in combinations(found, 2)]
    if len(apart) < LEAST_PAIRS:
        raise InputError(
            f"Expected a gallery with at least 15 faces of different people, got {len(found)} in "
            f"{len(gallery)} pictures. A few hundred are better: one false accept in a thousand "
            "cannot be seen in fewer pairs."
        )
    loose, strict = torch.tensor(apart).quantile(torch.tensor(RATES)).tolist()
    return Bounds(loose, strict, f"{source}: {len(found)} faces, {len(apart):,} pairs")


def overlapping(found: Sequence[Face], faces: Sequence[Face]) -> list[Face | None]:
    """Return for each face the one of those found that lies where it does, or None."""
    return [next((f for f in found if same_face(f.box, face.box)), None) for face in faces]


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)
