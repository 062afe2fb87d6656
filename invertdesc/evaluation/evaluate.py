"""Measure a method on pictures, beside the floors that it has to beat."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from invertdesc._atomic import atomic_write
from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import InputError
from invertdesc.evaluation.metrics import gradient_correlation, ncc, psnr, ssim
from invertdesc.features import FeatureBatch, LocalFeatures
from invertdesc.image import GrayMode, to_gray, to_image
from invertdesc.ops import place_keypoints
from invertdesc.reconstructors import create_method

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.reconstructors import Reconstructor

FLAT = 0.45  # the gray that `poisson` centres its pictures on


@dataclass(frozen=True)
class Row:
    """One line of the table: means over the images.

    Attributes:
        data: What the images are.
        descriptor: Registry name.
        method: Registry name.
        knows: What the attacker has: `"everything"`, or which floor this is.
        images: How many; those without keypoints count, with a flat picture.
        keypoints: An image.
        collisions_2: Percentage of keypoints whose cell is taken, for cells of 2 x 2 pixels.
        collisions_4: The same for 4 x 4 pixels.
        extract_ms: Milliseconds an image to detect and describe.
        reconstruct_ms: Milliseconds an image from features to picture.
        ncc: Of the gray pictures.
        gradient: Correlation of the gradients of the gray pictures.
        ssim: Of the gray pictures, window 11 x 11.
        psnr: dB, of the RGB pictures.
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


def evaluate(
    sources: Iterable[object],
    *,
    descriptor: str | Descriptor = "sift",
    method: str | Reconstructor = "unfold",
    data: str = "images",
    floors: bool = True,
    batch_size: int = 32,
    device: str | torch.device | None = None,
    keep: Callable[[str, Tensor], None] | None = None,
) -> list[Row]:
    """Measure one method on one descriptor.

    Floors tell what the measures give for nothing: a flat picture, the same descriptors shuffled
    among the keypoints, and, where the descriptor has them, orientations unknown.

    Args:
        sources: Images, as `invertdesc.extract` takes them.
        descriptor: Name or adapter.
        method: Name or method.
        data: What to call the images.
        floors: Whether to add the floors.
        batch_size: Images of one size that go through the method together.
        device: Where the method computes.
        keep: Called with `knows` and each picture (3, H, W), for instance to make a contact sheet.

    Raises:
        InputError: No images.
    """
    adapter = resolve_descriptor(descriptor)
    run = create_method(method, descriptor=adapter) if isinstance(method, str) else method
    tables: dict[str, _Means] = {}
    for images, features, extract_ms in _chunks(sources, adapter, batch_size):
        grays = [_gray_like(features[0], image) for image in images]
        for knows, given in _knowledge(features, adapter, floors).items():
            start = time.perf_counter()
            pictures = _run(run, given, images, device)
            milliseconds = (time.perf_counter() - start) * 1000 / len(images)
            means = tables.setdefault(knows, _Means())
            for feature, image, gray, picture in zip(
                features, images, grays, pictures, strict=True
            ):
                if keep is not None:
                    keep(knows, picture)
                # A gray picture stands for what the extractor saw; only colour is to be converted.
                seen = _gray_like(feature, picture) if picture.std(0).any() else picture[0]
                means.add(
                    [len(feature), *_collisions(feature), extract_ms, milliseconds]
                    + [float(measure(seen, gray)) for measure in (ncc, gradient_correlation, ssim)]
                    + [float(psnr(picture, image))]
                )
    if not tables:
        raise InputError("Expected at least one image to evaluate on, got none.")
    return [
        Row(data, adapter.name, run.name, knows, means.count, *means.values())
        for knows, means in tables.items()
    ]


def format_table(rows: Sequence[Row]) -> str:
    """Lay rows out as a Markdown table."""
    names = [field.name for field in fields(Row)]
    digits = {"ncc": 3, "gradient": 3, "ssim": 3, "psnr": 2, "images": 0, "keypoints": 0}
    lines = [names]
    for row in rows:
        values = [(name, getattr(row, name)) for name in names]
        lines.append([v if isinstance(v, str) else f"{v:.{digits.get(n, 1)}f}" for n, v in values])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def save_table(rows: Sequence[Row], path: str | os.PathLike[str]) -> None:
    """Write rows as .csv or .json, by the suffix, whole or not at all.

    Raises:
        InputError: Another suffix.
        FileError: The place cannot be written.
    """
    records = [asdict(row) for row in rows]
    kind = os.path.splitext(path)[1]  # noqa: PTH122
    if kind == ".json":
        text = json.dumps(records, indent=2) + "\n"
    elif kind == ".csv":
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        text = buffer.getvalue()
    else:
        raise InputError(f"Expected a table's suffix .csv or .json, got {os.fspath(path)!r}.")
    with atomic_write(path) as file:
        file.write(text.encode())


class _Means:
    """Running means of equally long rows."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[float] = []

    def add(self, row: Sequence[float]) -> None:
        self.sums = [a + b for a, b in zip(self.sums or [0.0] * len(row), row, strict=True)]
        self.count += 1

    def values(self) -> list[float]:
        return [value / self.count for value in self.sums]


def _chunks(
    sources: Iterable[object], adapter: Descriptor, size: int
) -> Iterable[tuple[list[Tensor], list[LocalFeatures], float]]:
    """Yield images, their features and the milliseconds an image that extracting took."""
    images: list[Tensor] = []
    for source in sources:
        image = to_image(source)
        if images and (len(images) == size or image.shape != images[0].shape):
            yield _extract(images, adapter)
            images = []
        images.append(image)
    if images:
        yield _extract(images, adapter)


def _extract(
    images: list[Tensor], adapter: Descriptor
) -> tuple[list[Tensor], list[LocalFeatures], float]:
    start = time.perf_counter()
    features = [adapter.extract(image) for image in images]
    return images, features, (time.perf_counter() - start) * 1000 / len(images)


def _knowledge(
    features: list[LocalFeatures], adapter: Descriptor, floors: bool
) -> dict[str, list[LocalFeatures] | None]:
    """Return what the attacker has, by name; None stands for nothing at all."""
    given: dict[str, list[LocalFeatures] | None] = {"everything": features}
    if floors:
        if "orientations" in adapter.frame.needs:
            unknown = [one.without("orientations").assume(orientations=0.0) for one in features]
            given["orientation unknown"] = unknown
        given["shuffled"] = [_shuffled(one) for one in features]
        given["flat"] = None
    return given


def _shuffled(features: LocalFeatures) -> LocalFeatures:
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    return replace(features, descriptors=features.descriptors[order])


def _run(
    run: Reconstructor,
    features: list[LocalFeatures] | None,
    images: list[Tensor],
    device: str | torch.device | None,
) -> list[Tensor]:
    if features is None:
        return [torch.full_like(image, FLAT) for image in images]
    with torch.no_grad():
        batch = FeatureBatch.collate(features)
        return list(run(batch if device is None else batch.to(device)).cpu())


def _gray_like(features: LocalFeatures, image: Tensor) -> Tensor:
    """Turn RGB into the gray that the descriptor was computed on."""
    return to_gray(image, cast("GrayMode", features.provenance.gray or "luma"))


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
