"""Measure a reconstruction, with or without its original."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.evaluation.consistency import agreement
from invertdesc.evaluation.faces import count_found, find_faces
from invertdesc.evaluation.metrics import SSIM_WINDOW, gradient_correlation, ncc, psnr, ssim
from invertdesc.image import to_gray

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.local import Box, LocalFeatures

Distance: TypeAlias = Callable[[Tensor, Tensor], Tensor]
DISTANCES = ("vgg", "lpips")
T = TypeVar("T", bound=Any)


@dataclass(frozen=True)
class Scores:
    """The measured values; None for those that were not measured.

    Attributes:
        ncc: Normalised cross-correlation of the gray pictures.
        gradient: Correlation of the gradients of the gray pictures.
        ssim: Structural similarity of the gray pictures, window 11 x 11.
        psnr: Peak signal-to-noise ratio of the RGB pictures in dB.
        vgg: Distance of the RGB pictures' features in VGG16.
        lpips: LPIPS of the RGB pictures.
        identity: Distance of faces by the recogniser, 0 for equal faces.
        recognised: Share of the original's faces that a recogniser accepts as the same person,
            where it accepts one in a hundred other people; a face not found is refused.
        recognised_strict: The same where it accepts one in a thousand other people.
        impostors: Share of other originals' faces that it accepts for the same person.
        characters: Share of the original's characters that are read in the reconstruction.
        words: Share of the original's words that are read in the reconstruction.
        picked: Share of reconstructions that are most similar to the right candidate.
        page_characters: Share of the characters read on the reconstruction of a page of text.
        page_words: Share of the words read on it.
        consistency: Agreement of the reconstruction's descriptors with the stored ones.
        consistency_floor: The same with the stored descriptors shuffled.
        faces: Share of the original's faces that are also found in the reconstruction.
        faces_seen: Number of faces found in the reconstruction; None if the original has none.
    """

    ncc: float | None = None
    gradient: float | None = None
    ssim: float | None = None
    psnr: float | None = None
    vgg: float | None = None
    lpips: float | None = None
    identity: float | None = None
    recognised: float | None = None
    recognised_strict: float | None = None
    impostors: float | None = None
    characters: float | None = None
    words: float | None = None
    picked: float | None = None
    page_characters: float | None = None
    page_words: float | None = None
    consistency: float | None = None
    consistency_floor: float | None = None
    faces: float | None = None
    faces_seen: float | None = None


@dataclass(frozen=True, eq=False)
class Ruler:
    """Measures reconstructions.

    Attributes:
        adapter: Adapter that describes pictures, to measure agreement; None not to measure it.
        distances: `"vgg"` and `"lpips"`, each a function of two pictures (3, H, W), such as
            `vgg_distance(load_vgg16(path))`.
        faces: Whether to look for faces.
        hole: (x0, y0, x1, y1) in whole pixels: pictures are compared only inside it.

    Raises:
        InputError: A distance has another name.
    """

    adapter: Descriptor | None = None
    distances: Mapping[str, Distance] = field(default_factory=dict)
    faces: bool = True
    hole: Box | None = None

    def __post_init__(self) -> None:
        for name in self.distances:
            if name not in DISTANCES:
                raise InputError(f"Expected distances among {', '.join(DISTANCES)}, got {name!r}.")

    def quick(self, features: LocalFeatures, picture: Tensor, image: Tensor | None) -> Scores:
        """Measure only what curves show: NCC with an original, otherwise agreement; see `full`."""
        if image is not None:
            return Scores(ncc=float(ncc(*self._grays(features, picture, image))))
        return Scores(**self._consistency(features, picture))

    def full(
        self,
        features: LocalFeatures,
        picture: Tensor,
        image: Tensor | None = None,
        faces: Sequence[Box] = (),
    ) -> Scores:
        """Measure everything.

        Args:
            features: The stored features of the image.
            picture: (3, H, W) in [0, 1], the reconstruction.
            image: (3, H, W) in [0, 1], the original, or None.
            faces: Boxes of the faces in the original.
        """
        found: dict[str, float | None] = {**self._consistency(features, picture)}
        # If the original has no face, a face in the reconstruction is not one that was found again.
        wanted = self.faces and (image is None or bool(faces))
        boxes = find_faces(picture) if wanted else None
        if boxes is not None:
            found["faces_seen"] = float(len(boxes))
        if image is None:
            return Scores(**found)
        if boxes is not None and faces:
            found["faces"] = count_found(faces, boxes) / len(faces)
        return Scores(**found | self._likeness(features, picture, image))

    def _likeness(
        self, features: LocalFeatures, picture: Tensor, image: Tensor
    ) -> dict[str, float]:
        """Compare with the original, only inside the hole if there is one."""
        pair = self._grays(features, picture, image)
        picture, image = self._cut(picture), self._cut(image)
        found = {"ncc": float(ncc(*pair)), "gradient": float(gradient_correlation(*pair))}
        found["psnr"] = min(float(psnr(picture, image)), 100.0)  # JSON has no infinity
        if min(image.shape[1:]) >= SSIM_WINDOW:
            found["ssim"] = float(ssim(*pair))
        return found | {
            name: float(measure(picture, image)) for name, measure in self.distances.items()
        }

    def _grays(
        self, features: LocalFeatures, picture: Tensor, image: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return both in the descriptor's gray mode; gray pictures are not changed."""
        mode = features.provenance.gray_mode
        return self._cut(to_gray(picture, mode)), self._cut(to_gray(image, mode))

    def _cut(self, picture: Tensor) -> Tensor:
        if self.hole is None:
            return picture
        x0, y0, x1, y1 = map(int, self.hole)
        return picture[..., y0:y1, x0:x1]

    def _consistency(self, features: LocalFeatures, picture: Tensor) -> dict[str, float]:
        found = None if self.adapter is None else agreement(self.adapter, features, picture)
        return {} if found is None else {"consistency": found[0], "consistency_floor": found[1]}


def mean_of(measured: Sequence[T]) -> T:
    """Return the mean of each field of a dataclass of numbers, over all images with a value.

    Args:
        measured: At least one object.

    >>> mean_of([Scores(ncc=0.5), Scores(ncc=1.0), Scores()]).ncc
    0.75
    """
    means: dict[str, float | None] = {}
    for known in fields(measured[0]):
        values = [v for one in measured if (v := getattr(one, known.name)) is not None]
        means[known.name] = sum(values) / len(values) if values else None
    return cast("T", type(measured[0])(**means))
