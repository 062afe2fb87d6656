"""Measure a method on pictures, beside the floors that it has to beat."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from invertdesc._files import atomic_write
from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import InputError
from invertdesc.evaluation.metrics import gradient_correlation, ncc, psnr, ssim
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.changes import shuffle_rows
from invertdesc.features.local import Box, LocalFeatures
from invertdesc.image import as_seen, to_gray, to_image
from invertdesc.methods import create_method
from invertdesc.methods.poisson import FLAT
from invertdesc.ops import place_keypoints

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.methods import Reconstructor

FLOORS = ("orientation unknown", "shuffled", "flat", "mean picture")


@dataclass(frozen=True)
class Row:
    """One line of the table: means over the images.

    Attributes:
        data: What the images are.
        descriptor: Registry name.
        method: Registry name, or `"none"` for floors that need none.
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
        vgg: Distance of the RGB pictures' features in VGG16; None if not measured.
        lpips: Of the RGB pictures; None if not measured.
        peak_mib: MiB that a fresh process took to make the method and one picture; None if not
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
    vgg: float | None = None
    lpips: float | None = None
    peak_mib: float | None = None


def evaluate(
    sources: Iterable[object],
    *,
    descriptor: str | Descriptor = "sift",
    method: str | Reconstructor | Sequence[str | Reconstructor] = "unfold",
    data: str = "images",
    floors: bool | Collection[str] = True,
    hole: Box | None = None,
    mean: MeanPicture | None = None,
    distances: Mapping[str, Callable[[Tensor, Tensor], Tensor]] | None = None,
    batch_size: int = 32,
    device: str | torch.device | None = None,
    keep: Callable[[str, str, Tensor], None] | None = None,
) -> list[Row]:
    """Measure methods on one descriptor.

    Floors tell what the measures give for nothing: the same descriptors shuffled among the
    keypoints, where the descriptor has them orientations unknown, a flat picture, and the mean of
    the other pictures.

    Args:
        sources: Images, as `invertdesc.extract` takes them.
        descriptor: Name or adapter.
        method: Name or method, or several.
        data: What to call the images.
        floors: Whether to add the floors, or which of `FLOORS`.
        hole: (x0, y0, x1, y1) in whole pixels. Everything is measured inside of it alone, and a row
            `"around the hole"` tells what the keypoints outside of it give.
        mean: Of all the sources, for the floor of that name.
        distances: `"vgg"` and `"lpips"`, each a function of two pictures (3, H, W).
        batch_size: Images of one size that go through a method together.
        device: Where methods compute.
        keep: Called with method, `knows` and each picture (3, H, W), as for a contact sheet.

    Raises:
        InputError: No images, or two methods of one name.
    """
    adapter = resolve_descriptor(descriptor)
    given = [method] if isinstance(method, str) or callable(method) else list(method)
    runs = [create_method(m, descriptor=adapter) if isinstance(m, str) else m for m in given]
    if len({run.name for run in runs}) < len(runs):
        raise InputError("Expected methods of different names; measure them one after the other.")
    wanted = set(FLOORS if floors is True else floors or ())
    ruler = _Ruler(hole, distances or {})
    tables: dict[tuple[str, str], _Means] = {}

    def measure(
        name: str, knows: str, chunk: _Chunk, pictures: Sequence[Tensor], milliseconds: float
    ) -> None:
        means = tables.setdefault((name, knows), _Means())
        for feature, image, picture in zip(chunk.features, chunk.images, pictures, strict=True):
            if keep is not None:
                keep(name, knows, picture)
            costs = [len(feature), *_collisions(feature), chunk.extract_ms, milliseconds]
            means.add([*costs, *ruler(feature, picture, image)])

    for chunk in _chunks(sources, adapter, batch_size):
        known = _knowledge(chunk.features, adapter, wanted, hole)
        for run in runs:
            for knows, features in known.items():
                start = time.perf_counter()
                pictures = _run(run, features, device)
                milliseconds = (time.perf_counter() - start) * 1000 / len(chunk.images)
                measure(run.name, knows, chunk, pictures, milliseconds)
        if "flat" in wanted:
            flat = [torch.full_like(image, FLAT) for image in chunk.images]
            measure("none", "flat", chunk, flat, 0.0)
        if "mean picture" in wanted and mean is not None:
            others = [mean.without(image) for image in chunk.images]
            measure("none", "mean picture", chunk, others, 0.0)
    if not tables:
        raise InputError("Expected at least one image to evaluate on, got none.")
    names = [field.name for field in fields(Row)[5:14]] + list(ruler.distances)
    order = [run.name for run in runs] + ["none"]
    return [
        Row(
            data,
            adapter.name,
            name,
            knows,
            means.count,
            **dict(zip(names, means.values(), strict=True)),
        )
        for (name, knows), means in sorted(tables.items(), key=lambda kv: order.index(kv[0][0]))
    ]


class MeanPicture:
    """The mean of pictures of one size: what is known of a face before any descriptor is seen."""

    def __init__(self, total: Tensor, count: int) -> None:
        self.total, self.count = total, count

    @classmethod
    def of(cls, sources: Iterable[object]) -> MeanPicture | None:
        """Return that of some images; None where their sizes differ, or there is only one."""
        total, count = None, 0
        for source in sources:
            image = to_image(source).double()
            if total is not None and image.shape != total.shape:
                return None
            total = image if total is None else total + image
            count += 1
        return None if total is None or count < 2 else cls(total, count)

    def without(self, image: Tensor) -> Tensor:
        """Return the mean of all but one of them."""
        return ((self.total - image.double()) / (self.count - 1)).float().clamp(0, 1)


def format_table(rows: Sequence[Row]) -> str:
    """Lay rows out as a Markdown table."""
    names = [field.name for field in fields(Row)]
    names = [name for name in names if any(getattr(row, name) is not None for row in rows)]
    digits = {"psnr": 2, "images": 0, "keypoints": 0}
    digits |= dict.fromkeys(("ncc", "gradient", "ssim", "vgg", "lpips"), 3)
    lines = [names]
    for row in rows:
        values = [(name, getattr(row, name)) for name in names]
        lines.append(
            [v if isinstance(v, str) else f"{v or 0:.{digits.get(n, 1)}f}" for n, v in values]
        )
    return layout_table(lines)


def layout_table(lines: Sequence[Sequence[str]]) -> str:
    """Lay out lines of cells, the head first, as a Markdown table."""
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


class _Ruler:
    """Measure pictures, all of them or inside a hole."""

    def __init__(
        self, hole: Box | None, distances: Mapping[str, Callable[[Tensor, Tensor], Tensor]]
    ) -> None:
        self.hole, self.distances = hole, distances

    def __call__(self, features: LocalFeatures, picture: Tensor, image: Tensor) -> list[float]:
        mode = features.provenance.gray_mode
        seen, gray = as_seen(picture, mode), to_gray(image, mode)
        if self.hole is not None:
            x0, y0, x1, y1 = map(int, self.hole)
            seen, gray, picture, image = (
                part[..., y0:y1, x0:x1] for part in (seen, gray, picture, image)
            )
        values = [measure(seen, gray) for measure in (ncc, gradient_correlation, ssim)]
        values += [psnr(picture, image)]
        values += [measure(picture, image) for measure in self.distances.values()]
        return [float(value) for value in values]


class _Chunk(NamedTuple):
    """Images of one size, their features, and the milliseconds an image that these took."""

    images: list[Tensor]
    features: list[LocalFeatures]
    extract_ms: float


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
    """Return what the attacker has, by name."""
    given = {"everything": features}
    if hole is not None:
        given["around the hole"] = [one.outside(hole) for one in features]
    if "orientation unknown" in floors and "orientations" in adapter.frame.needs:
        unknown = [one.without("orientations").assume(orientations=0.0) for one in features]
        given["orientation unknown"] = unknown
    if "shuffled" in floors:
        given["shuffled"] = [
            shuffle_rows(one, torch.Generator().manual_seed(0)) for one in features
        ]
    return given


def _run(
    run: Reconstructor, features: list[LocalFeatures], device: str | torch.device | None
) -> list[Tensor]:
    with torch.no_grad():
        batch = FeatureBatch.collate(features)
        return list(run(batch if device is None else batch.to(device)).cpu())


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
