"""Measure all methods that can use a descriptor on the same features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from invertdesc._files import atomic_write
from invertdesc._progress import watch
from invertdesc.drawing import comparison_sheet
from invertdesc.errors import InvertDescError
from invertdesc.evaluation.baselines import MeanPicture
from invertdesc.evaluation.evaluate import (
    Keep,
    Row,
    evaluate,
)
from invertdesc.evaluation.memory import peak_memory
from invertdesc.evaluation.tables import layout_table, save_table
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import read_image, write_image
from invertdesc.methods import create_method, methods
from invertdesc.methods.base import run_method

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.local import LocalFeatures
    from invertdesc.methods import MethodLike

FLOORS = ("shuffled", "flat", "mean picture")
T = TypeVar("T")
AT_ONCE = 8  # images that are reconstructed together


@dataclass(frozen=True)
class LeftOut:
    """A method that was not measured on a descriptor, and why."""

    descriptor: str
    method: str
    reason: str


@dataclass(frozen=True)
class Block:
    """Pictures for a contact sheet, for one descriptor and one kind of images.

    Attributes:
        title: Title of the block.
        columns: Pictures (3, H, W) by the name of the method, or `"original"`.
    """

    title: str
    columns: dict[str, list[Tensor]]


@dataclass
class Comparison:
    """The results so far.

    Attributes:
        rows: Rows as returned by `evaluate`, with the peak memory.
        left_out: Methods that could not be measured.
        blocks: The first pictures, for the contact sheet.
    """

    rows: list[Row] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def to_markdown(self) -> str:
        """Return a table with one line per method, then the methods that were left out.

        The floor of a method is the NCC of its pictures from shuffled descriptors, or from the
        method's own floor, if it has one, which is then named.
        """
        text = layout_table(list(_lines(self.rows)))
        notes = [f"- {one.descriptor}, {one.method}: {one.reason}" for one in self.left_out]
        return "\n".join([text, *(["", "Left out:", "", *notes] if notes else [])])

    def save(self, folder: Path) -> None:
        """Write table.md, table.csv, table.json and sheet.png.

        Raises:
            FileError: A file cannot be written.
        """
        for suffix in (".csv", ".json"):
            save_table(self.rows, folder / f"table{suffix}")
        with atomic_write(folder / "table.md") as file:
            file.write((self.to_markdown() + "\n").encode())
        sheet = comparison_sheet([(block.title, block.columns) for block in self.blocks])
        write_image(sheet, folder / "sheet.png")


def compare(
    data: Mapping[str, Sequence[Path]],
    descriptors: Sequence[Descriptor],
    names: Sequence[str],
    *,
    options: Callable[[str, Descriptor], Mapping[str, Any]] | None = None,
    memory: bool = True,
    device: str | None = None,
    shown: int = 2,
    done: Callable[[Comparison], None] | None = None,
    progress: bool = False,
) -> Comparison:
    """Measure, for each descriptor, every method that can use it, and the floors.

    Each method first makes one picture, also in a separate process. A method that raises an error
    is left out.

    Args:
        data: Image files, by the name of the data.
        descriptors: Adapters.
        names: Registry names of methods.
        options: Function that returns the options of a method for a descriptor; if it raises an
            error, the method is left out.
        memory: Whether to measure memory; it takes a few seconds per method and descriptor.
        device: Device of the methods.
        shown: Number of pictures to keep for each kind of images.
        done: Function that is called after each descriptor and kind of images, for example to save
            the results so far.
        progress: Show progress bars.

    Raises:
        FileError: An image cannot be read.
        UnknownNameError: No such method.

    >>> from invertdesc import create_descriptor
    >>> from invertdesc.sources import example_path
    >>> data = {"portraits": [example_path("astronaut")]}
    >>> found = compare(data, [create_descriptor("sift")], ["poisson", "bovw"], memory=False)
    >>> [one.method for one in found.left_out]
    ['bovw']
    """
    for name in names:
        methods.get(name)
    result = Comparison()
    first = next(path for paths in data.values() for path in paths)
    means = {title: MeanPicture.of(paths) for title, paths in data.items()}
    for adapter in descriptors:
        fit = _Fit(adapter, memory, device, progress)
        fit.try_all(names, first, options, result.left_out)
        for title, paths in data.items() if fit.methods else ():
            columns = {"original": [read_image(path) for path in paths[:shown]]}
            result.rows += fit.measure(title, paths, means[title], _keeper(columns, shown))
            result.blocks.append(Block(f"{title}, {adapter.name}", columns))
            if done is not None:
                done(result)
    return result


@dataclass
class _Fit:
    """Methods that can use a descriptor, with their options and the memory that they took."""

    adapter: Descriptor
    memory: bool
    device: str | None
    progress: bool
    methods: dict[str, MethodLike] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    peaks: dict[str, float | None] = field(default_factory=dict)

    def watched(self, items: Sequence[T], title: str, unit: str) -> Iterable[T]:
        """Return items with a progress bar, if wanted and on a terminal."""
        return watch(items, f"{title}, {self.adapter.name}", unit=unit, shown=self.progress)

    def try_all(
        self,
        names: Sequence[str],
        image: Path,
        options: Callable[[str, Descriptor], Mapping[str, Any]] | None,
        left_out: list[LeftOut],
    ) -> None:
        """Try methods on an image, and list those that cannot be used."""
        for name in self.watched(names, "try methods", "method"):
            try:
                features = self.adapter.extract(read_image(image))
                self.add(name, features, {} if options is None else options(name, self.adapter))
            except InvertDescError as error:
                left_out.append(LeftOut(self.adapter.name, name, " ".join(str(error).split())))

    def add(self, name: str, features: LocalFeatures, options: Mapping[str, Any]) -> None:
        """Try a method on the features of an image.

        Raises:
            InvertDescError: The method cannot be used.
        """
        known = {"descriptor": self.adapter, **options}
        method = create_method(name, **known)
        if self.memory:
            peak = peak_memory(name, self.adapter, features, options, device=self.device)
            self.peaks[name] = peak
        with torch.no_grad():  # loads on first use are not timed
            batch = FeatureBatch.collate([features])
            run_method(method, batch, self.device)
        self.methods[name], self.options[name] = method, known

    def measure(
        self, title: str, paths: Sequence[Path], mean: MeanPicture | None, keep: Keep
    ) -> Iterator[Row]:
        """Yield what methods and floors give on images."""
        rows = evaluate(
            self.watched(paths, title, "image"),
            descriptor=self.adapter,
            method=list(self.methods.values()),
            data=title,
            floors=FLOORS,
            mean=mean,
            batch_size=AT_ONCE,
            device=self.device,
            keep=keep,
        )
        for row in (*rows, *self._own_floors(title, paths)):
            yield replace(row, peak_mib=self.peaks.get(row.method))

    def _own_floors(self, title: str, paths: Sequence[Path]) -> Iterator[Row]:
        """Measure the floors that methods name: options that leave them without insight."""
        for name, given in self.options.items():
            floors: dict[str, dict[str, Any]] = getattr(methods.get(name), "floors", {})
            for knows, options in floors.items():
                (row,) = evaluate(
                    self.watched(paths, f"{title}, {name}, {knows}", "image"),
                    descriptor=self.adapter,
                    method=create_method(name, **given | options),
                    data=title,
                    floors=False,
                    batch_size=AT_ONCE,
                    device=self.device,
                )
                yield replace(row, knows=knows)


def _keeper(columns: dict[str, list[Tensor]], most: int) -> Keep:
    def keep(method: str, knows: str, picture: Tensor) -> None:
        if knows == "everything" and len(columns.setdefault(method, [])) < most:
            columns[method].append(picture)

    return keep


def _lines(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Yield lines of the table, starting with its head: a method and its floor."""
    yield [
        *("data", "descriptor", "method", "NCC", "its floor", "gradient", "SSIM", "PSNR"),
        *("ms", "peak MiB"),
    ]
    for row in rows:
        if row.method != "none" and row.knows != "everything":
            continue
        floor = _floor(row, rows) if row.method != "none" else ""
        peak = "" if row.peak_mib is None else f"{row.peak_mib:.0f}"
        yield [
            *(row.data, row.descriptor, row.knows if row.method == "none" else f"`{row.method}`"),
            *(f"{row.ncc:.3f}", floor, f"{row.gradient:.3f}", f"{row.ssim:.3f}"),
            *(f"{row.psnr:.2f}", f"{row.reconstruct_ms:.0f}" if floor else "", peak),
        ]


def _floor(row: Row, rows: Sequence[Row]) -> str:
    found = {
        one.knows: one.ncc
        for one in rows
        if (one.data, one.descriptor, one.method) == (row.data, row.descriptor, row.method)
        and one.knows != "everything"
    }
    own = [f"{ncc:.3f} ({knows})" for knows, ncc in found.items() if knows not in FLOORS]
    return ", ".join(own) or f"{found['shuffled']:.3f}"
