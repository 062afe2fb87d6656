"""Measure methods on pictures, and compare them with floors."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import InputError
from invertdesc.evaluation.baselines import FLOORS, MeanPicture, shuffled
from invertdesc.evaluation.metrics import SSIM_WINDOW
from invertdesc.evaluation.scores import Distance, Ruler, Scores, mean_of
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import Box, LocalFeatures
from invertdesc.image import to_image
from invertdesc.methods import create_method
from invertdesc.methods.base import name_of, run_method
from invertdesc.methods.poisson import FLAT
from invertdesc.ops import place_keypoints

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.methods import MethodLike

Keep: TypeAlias = Callable[[str, str, Tensor], None]


@dataclass(frozen=True)
class Costs:
    """Costs of the features of an image and of its reconstruction.

    Attributes:
        keypoints: Number of keypoints.
        collisions_2: Percentage of keypoints whose cell of 2 x 2 pixels is already taken.
        collisions_4: The same for cells of 4 x 4 pixels.
        extract_ms: Milliseconds to detect and describe.
        reconstruct_ms: Milliseconds from features to picture.
    """

    keypoints: float
    collisions_2: float
    collisions_4: float
    extract_ms: float
    reconstruct_ms: float


@dataclass(frozen=True)
class Row:
    """One row of the table: means over the images.

    Attributes:
        data: Name of the images.
        descriptor: Registry name of the descriptor.
        method: Registry name of the method, or `"none"` for floors that need none.
        knows: What the attacker has: `"everything"`, or which floor this is.
        images: Number of images; images without keypoints are counted with a flat picture.
        keypoints: Mean number of keypoints per image.
        collisions_2: Percentage of keypoints whose cell of 2 x 2 pixels is already taken.
        collisions_4: The same for cells of 4 x 4 pixels.
        extract_ms: Milliseconds per image to detect and describe.
        reconstruct_ms: Milliseconds per image from features to picture.
        ncc: Normalised cross-correlation of the gray pictures.
        gradient: Correlation of the gradients of the gray pictures.
        ssim: Structural similarity of the gray pictures, window 11 x 11.
        psnr: Peak signal-to-noise ratio of the RGB pictures in dB.
        ncc_error: Standard error of `ncc` over the images; None for one image.
        vgg: Distance of the RGB pictures' features in VGG16; None if not measured.
        lpips: LPIPS of the RGB pictures; None if not measured.
        peak_mib: MiB that a new process took to create the method and make one picture; None if not
            measured. See `invertdesc.evaluation.memory`.
    """

    data: str
    descriptor: str
    method: str
    knows: str
    images: int
    keypoints: float
    collisions_2: float
    collisions_4: float
    extract_ms: float
    reconstruct_ms: float
    ncc: float
    gradient: float
    ssim: float
    psnr: float
    ncc_error: float | None = None
    vgg: float | None = None
    lpips: float | None = None
    peak_mib: float | None = None


def evaluate(
    sources: Iterable[object],
    *,
    descriptor: str | Descriptor = "sift",
    method: str | MethodLike | Sequence[str | MethodLike] = "unfold",
    data: str = "images",
    floors: bool | Collection[str] = True,
    hole: Box | None = None,
    mean: MeanPicture | None = None,
    distances: Mapping[str, Distance] | None = None,
    batch_size: int = 32,
    device: str | torch.device | None = None,
    keep: Keep | None = None,
) -> list[Row]:
    """Measure methods on one descriptor.

    The floors are: the same descriptors shuffled among the keypoints; orientations unknown, if the
    descriptor has them; a flat picture; and the mean of the other pictures.

    Args:
        sources: Images, as for `invertdesc.extract`.
        descriptor: Name or adapter.
        method: Name or method, or several.
        data: Name of the images, for the table.
        floors: Whether to add the floors, or which of `FLOORS`.
        hole: (x0, y0, x1, y1) in whole pixels. Everything is measured only inside it, and a row
            `"around the hole"` has the results from the keypoints outside it.
        mean: Mean of all sources, for the floor of the mean picture.
        distances: `"vgg"` and `"lpips"`, each a function of two pictures (3, H, W).
        batch_size: Number of images of one size that are reconstructed together.
        device: Device of the methods.
        keep: Function that is called with method, `knows` and each picture (3, H, W), for example
            to make a contact sheet.

    Raises:
        InputError: There are no images, or two methods have the same name.

    >>> from skimage.data import camera
    >>> [row.knows for row in evaluate([camera()[::4, ::4]], method="poisson", floors=["flat"])]
    ['everything', 'flat']
    """
    adapter = resolve_descriptor(descriptor)
    runs = _methods(method, adapter)
    wanted = set(FLOORS if floors is True else floors or ())
    ruler = Ruler(distances=distances or {}, faces=False, hole=hole)
    tables: dict[tuple[str, str], list[tuple[Costs, Scores]]] = {}
    for chunk in _chunks(sources, adapter, batch_size):
        known = _knowledge(chunk.features, adapter, wanted, hole)
        for attempt in (*_attempts(chunk, runs, known, device), *_guesses(chunk, wanted, mean)):
            measured = tables.setdefault((attempt.name, attempt.knows), [])
            measured.extend(_measure(chunk, attempt, ruler, keep))
    if not tables:
        raise InputError("Expected at least one image to evaluate on, got none.")
    order = [name_of(run) for run in runs] + ["none"]
    return [
        _row((data, adapter.name, *key), tables[key])
        for key in sorted(tables, key=lambda key: order.index(key[0]))
    ]


def _methods(
    given: str | MethodLike | Sequence[str | MethodLike], adapter: Descriptor
) -> list[MethodLike]:
    several = [given] if isinstance(given, str) or callable(given) else list(given)
    runs = [create_method(m, descriptor=adapter) if isinstance(m, str) else m for m in several]
    if len({name_of(run) for run in runs}) < len(runs):
        raise InputError("Expected methods of different names; measure them one after the other.")
    return runs


def _attempts(
    chunk: _Chunk,
    runs: Sequence[MethodLike],
    known: Mapping[str, list[LocalFeatures]],
    device: str | torch.device | None,
) -> Iterator[_Attempt]:
    """Yield the pictures of each method for each case of what the attacker has."""
    for run in runs:
        for knows, features in known.items():
            start = time.perf_counter()
            pictures = _run(run, features, device)
            milliseconds = (time.perf_counter() - start) * 1000 / len(chunk.images)
            yield _Attempt(name_of(run), knows, pictures, milliseconds)


def _guesses(chunk: _Chunk, wanted: set[str], mean: MeanPicture | None) -> Iterator[_Attempt]:
    """Yield the floors that need no method."""
    if "flat" in wanted:
        # The same strides as the image, so that sums have the same order.
        flat = [torch.full_like(image, FLAT) for image in chunk.images]
        yield _Attempt("none", "flat", flat, 0.0)
    if "mean picture" in wanted and mean is not None:
        yield _Attempt("none", "mean picture", [mean.without(one) for one in chunk.images], 0.0)


def _measure(
    chunk: _Chunk, attempt: _Attempt, ruler: Ruler, keep: Keep | None
) -> Iterator[tuple[Costs, Scores]]:
    """Yield the costs and scores of each picture of an attempt."""
    for features, image, picture in zip(
        chunk.features, chunk.images, attempt.pictures, strict=True
    ):
        if keep is not None:
            keep(attempt.name, attempt.knows, picture)
        two, four = _collisions(features)
        costs = Costs(len(features), two, four, chunk.extract_ms, attempt.milliseconds)
        yield costs, ruler.full(features, picture, image)


def _row(names: tuple[str, str, str, str], measured: Sequence[tuple[Costs, Scores]]) -> Row:
    costs, scores = zip(*measured, strict=True)
    known = {name: value for name, value in vars(mean_of(scores)).items() if value is not None}
    if "ssim" not in known:
        raise InputError(f"Expected pictures with sides of at least {SSIM_WINDOW} pixels.")
    means: dict[str, Any] = vars(mean_of(costs)) | known
    return Row(*names, len(measured), **means, ncc_error=_error([one.ncc for one in scores]))


def _error(values: Sequence[float | None]) -> float | None:
    """Return the standard error of a mean, or None if there are fewer than two values."""
    known = torch.tensor([value for value in values if value is not None], dtype=torch.float64)
    return float(known.std() / len(known) ** 0.5) if len(known) > 1 else None


class _Chunk(NamedTuple):
    """Images of one size, their features, and the milliseconds per image to extract them."""

    images: list[Tensor]
    features: list[LocalFeatures]
    extract_ms: float


class _Attempt(NamedTuple):
    """Pictures of a method, what the attacker had, and the milliseconds per image."""

    name: str
    knows: str
    pictures: list[Tensor]
    milliseconds: float


def _chunks(sources: Iterable[object], adapter: Descriptor, size: int) -> Iterable[_Chunk]:
    images: list[Tensor] = []
    for source in sources:
        image = to_image(source)
        if images and (len(images) == size or image.shape != images[0].shape):
            yield _extract(images, adapter)
            images = []
        images.append(image)
    if images:
        yield _extract(images, adapter)


def _extract(images: list[Tensor], adapter: Descriptor) -> _Chunk:
    start = time.perf_counter()
    features = [adapter.extract(image) for image in images]
    return _Chunk(images, features, (time.perf_counter() - start) * 1000 / len(images))


def _knowledge(
    features: list[LocalFeatures], adapter: Descriptor, floors: set[str], hole: Box | None
) -> dict[str, list[LocalFeatures]]:
    """Return the features in each case of what the attacker has, by its name."""
    given = {"everything": features}
    if hole is not None:
        given["around the hole"] = [one.outside(hole) for one in features]
    if "orientation unknown" in floors and "orientations" in adapter.frame.needs:
        unknown = [one.without("orientations").assume(orientations=0.0) for one in features]
        given["orientation unknown"] = unknown
    if "shuffled" in floors:
        given["shuffled"] = [shuffled(one) for one in features]
    return given


def _run(
    run: MethodLike, features: list[LocalFeatures], device: str | torch.device | None
) -> list[Tensor]:
    with torch.no_grad():
        batch = FeatureBatch.collate(features)
        return list(run_method(run, batch, device).cpu())


def _collisions(features: LocalFeatures) -> list[float]:
    batch = FeatureBatch.collate([features])
    shares = []
    for cell_size in (2, 4):
        owners, *_ = place_keypoints(
            batch.keypoints, batch.offsets, batch.image_size, cell_size=cell_size, radius=0
        )
        homeless = len(features) - int((owners >= 0).sum())
        shares.append(100 * homeless / max(len(features), 1))
    return shares
