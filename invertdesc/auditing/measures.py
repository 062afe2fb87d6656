"""What is measured of a reconstruction, with and without the original at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc.evaluation.consistency import agreement, can_describe
from invertdesc.evaluation.faces import count_found, find_faces
from invertdesc.evaluation.metrics import SSIM_WINDOW, gradient_correlation, ncc, psnr, ssim
from invertdesc.image import as_seen, to_gray

if TYPE_CHECKING:
    from invertdesc.auditing.subjects import Subject
    from invertdesc.descriptors import Descriptor
    from invertdesc.evaluation.identity import Identity


@dataclass(frozen=True)
class Scores:
    """What was measured; None for what was not.

    Attributes:
        ncc: Normalised cross-correlation of the gray pictures.
        gradient: Correlation of the gradients of the gray pictures.
        ssim: Of the gray pictures, window 11 x 11.
        psnr: dB, of the RGB pictures.
        vgg: Distance of the RGB pictures' features in VGG16.
        identity: Distance of faces, 0 for the same, by the model that was given.
        consistency: Agreement of the reconstruction's descriptors with the stored ones.
        consistency_floor: The same with the stored ones shuffled.
        faces: Share of the original's faces that are found in the reconstruction too.
        faces_seen: Faces found in the reconstruction; None where the original has none.
    """

    ncc: float | None = None
    gradient: float | None = None
    ssim: float | None = None
    psnr: float | None = None
    vgg: float | None = None
    identity: float | None = None
    consistency: float | None = None
    consistency_floor: float | None = None
    faces: float | None = None
    faces_seen: float | None = None


MEASURES = tuple(field.name for field in fields(Scores))


@dataclass(frozen=True, eq=False)
class Ruler:
    """Measures reconstructions.

    Attributes:
        adapter: Of the descriptor.
        vgg: A distance of two pictures (3, H, W), such as `vgg_distance(load_vgg16())`.
        identity: A distance of faces.
        faces: Whether to look for faces.
    """

    adapter: Descriptor
    vgg: Callable[[Tensor, Tensor], Tensor] | None = None
    identity: Identity | None = None
    faces: bool = True

    def quick(self, subject: Subject, picture: Tensor) -> Scores:
        """Measure what curves are drawn of: NCC with an original, else consistency."""
        if subject.image is not None:
            return Scores(ncc=float(ncc(*self._grays(subject, picture, subject.image))))
        return Scores(**self._consistency(subject, picture))

    def full(self, subject: Subject, picture: Tensor) -> Scores:
        """Measure everything.

        Args:
            subject: The image as stored, and the original where there is one.
            picture: (3, H, W) in [0, 1], the reconstruction.
        """
        found: dict[str, float | None] = {**self._consistency(subject, picture)}
        # Where an original has none, what is seen in its reconstruction is no face found again.
        wanted = self.faces and (subject.image is None or bool(subject.faces))
        boxes = find_faces(picture) if wanted else None
        if boxes is not None:
            found["faces_seen"] = float(len(boxes))
        truth = subject.image
        if truth is None:
            return Scores(**found)
        pair = self._grays(subject, picture, truth)
        found |= {"ncc": float(ncc(*pair)), "gradient": float(gradient_correlation(*pair))}
        found["psnr"] = min(float(psnr(picture, truth)), 100.0)  # JSON knows no infinity
        if min(truth.shape[1:]) >= SSIM_WINDOW:
            found["ssim"] = float(ssim(*pair))
        if self.vgg is not None:
            found["vgg"] = float(self.vgg(picture, truth))
        if boxes is not None and subject.faces:
            found["faces"] = count_found(subject.faces, boxes) / len(subject.faces)
        if self.identity is not None:
            found["identity"] = self.identity(picture, truth, subject.faces)
        return Scores(**found)

    def _grays(self, subject: Subject, picture: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return both as the descriptor saw them; what is gray already stays."""
        mode = subject.features.provenance.gray_mode
        return as_seen(picture, mode), to_gray(truth, mode)

    def _consistency(self, subject: Subject, picture: Tensor) -> dict[str, float]:
        if not can_describe(self.adapter) or not len(subject.features):
            return {}
        found = agreement(self.adapter, subject.features, picture)
        return {} if found is None else {"consistency": found[0], "consistency_floor": found[1]}


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the mean of each measure over the images that have it.

    >>> mean_scores([Scores(ncc=0.5), Scores(ncc=1.0), Scores()]).ncc
    0.75
    """
    means: dict[str, float] = {}
    for name in MEASURES:
        values = [value for one in scores if (value := getattr(one, name)) is not None]
        if values:
            means[name] = float(torch.tensor(values, dtype=torch.float64).mean())
    return Scores(**means)
