"""dlib's face recogniser: aligned faces, 128 numbers each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from invertdesc.errors import MissingDependencyError
from invertdesc.evaluation._dlib import NEEDED_BY, detect, embed, has_dlib
from invertdesc.evaluation.recognition import Bounds, Face, overlapping


class DlibRecogniser:
    """dlib's recogniser, with its public models; see `Recogniser`.

    A face is found, turned upright by its five landmarks, and made 128 numbers of. dlib calls two
    faces of a distance below 0.6 one person. That accepts 13 % of the pairs of different people
    that `bounds` were measured on, so that `bounds` are tighter. Errors differ between groups of
    people: bring a gallery of your own kind of faces (`bounds_of`) where you have one.

    Raises:
        MissingDependencyError: dlib or its models are not installed.

    Source: King, "Dlib-ml: a machine learning toolkit", JMLR 2009; its models are in the public
    domain (CC0). Kazemi, Sullivan, "One millisecond face alignment with an ensemble of regression
    trees", CVPR 2014, for the landmarks.
    """

    name: ClassVar[str] = "dlib"
    bounds: ClassVar[Bounds | None] = Bounds(
        0.459,
        0.388,
        "593 faces of the data sets All-Age-Faces and UTKFace, half each, 175,528 pairs",
    )

    def __init__(self) -> None:
        if not has_dlib():
            raise MissingDependencyError(
                f"Expected dlib and its models, which {NEEDED_BY} needs: "
                "pip install 'invertdesc[identity]'."
            )

    def faces(self, picture: Tensor) -> list[Face]:
        """Find the faces in a picture (3, H, W), RGB in [0, 1], from about 40 pixels on."""
        return [Face(found.box, embed(found)) for found in detect(picture)]

    def again(self, picture: Tensor, faces: Sequence[Face]) -> list[Face | None]:
        """Find those faces in another picture of the same scene; None where one is not found."""
        return overlapping(self.faces(picture), faces) if faces else []

    def distance(self, one: Tensor, other: Tensor) -> float:
        """Return the Euclidean distance of two embeddings (128,)."""
        return float((one - other).norm())
