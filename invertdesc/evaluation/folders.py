"""Measure many descriptors and methods, by name, on folders of images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

from invertdesc._progress import show_progress, watch
from invertdesc.descriptors import create_descriptor, list_descriptors
from invertdesc.drawing import contact_sheet
from invertdesc.errors import InputError, InvertDescError
from invertdesc.evaluation.baselines import MeanPicture
from invertdesc.evaluation.compare import Comparison, compare
from invertdesc.evaluation.databases import CompareOptions
from invertdesc.evaluation.evaluate import Row, evaluate
from invertdesc.evaluation.tables import format_table, save_table
from invertdesc.image import read_image, write_image
from invertdesc.methods import create_method, list_methods
from invertdesc.sources import find_images, title_of

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.evaluation.scores import Distance
    from invertdesc.features.local import Box
    from invertdesc.methods import Method

Folders: TypeAlias = Sequence[str | os.PathLike[str]]
OnLeftOut: TypeAlias = Callable[[str, InvertDescError], None]
Options: TypeAlias = Mapping[str, Any]
Strip: TypeAlias = tuple[str, list[Tensor]]  # a title, and pictures (3, H, W)
SHEET = 8  # pictures in a row of a contact sheet
SHOWN = ("everything", "around the hole")  # what is shown on one


@dataclass
class Evaluation:
    """What was measured on folders; as a text, its table.

    Attributes:
        rows: As `evaluate` gives them.
        strips: Titles and pictures (3, H, W) for a contact sheet: eight of each at most.
    """

    rows: list[Row] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)

    def __str__(self) -> str:
        """Lay the rows out as a Markdown table."""
        return format_table(self.rows)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rows as JSON takes them."""
        return [asdict(row) for row in self.rows]

    def add(self, rows: Sequence[Row], strips: Sequence[Strip]) -> None:
        """Add what was measured on one folder and descriptor."""
        self.rows += rows
        self.strips += strips

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as .csv or .json, by the suffix, whole or not at all.

        Raises:
            InputError: Another suffix.
            FileError: The place cannot be written.
        """
        save_table(self.rows, path)

    def save_sheet(self, path: str | os.PathLike[str]) -> None:
        """Write a contact sheet as an image file: the originals, and what methods made of them.

        Raises:
            FileError: The place cannot be written.
        """
        write_image(contact_sheet(self.strips), path)


def evaluate_folders(
    folders: Folders,
    *,
    descriptors: Sequence[str] = ("sift",),
    methods: Sequence[str] = ("unfold",),
    descriptor_options: Options | None = None,
    method_options: Options | None = None,
    images: int | None = None,
    floors: bool = True,
    hole: Box | None = None,
    distances: Mapping[str, Distance] | None = None,
    device: str | None = None,
    on_left_out: OnLeftOut | None = None,
    progress: bool = False,
) -> Evaluation:
    """Measure methods on descriptors and folders of images, beside the floors.

    Args:
        folders: Folders of images; files and patterns too.
        descriptors: Registry names or wildcards.
        methods: Registry names or wildcards.
        descriptor_options: Options of every descriptor.
        method_options: Options of every method.
        images: Images to take of each folder at most, evenly spaced; None for all.
        floors: Whether to add what the measures give for nothing.
        hole: (x0, y0, x1, y1) in whole pixels; see `evaluate`.
        distances: See `evaluate`.
        device: Where methods compute.
        on_left_out: Called with the name of what a wildcard brought and that cannot be measured,
            and the reason.
        progress: Show bars.

    Raises:
        FileError: A folder has no images, or one cannot be read.
        InvertDescError: What was asked for by its name cannot be measured, or nothing can.

    >>> from invertdesc.sources import example_path
    >>> found = evaluate_folders([example_path("camera")], methods=["poisson"], floors=False)
    >>> [(row.descriptor, row.method) for row in found.rows]
    [('sift', 'poisson')]
    """
    _check_hole(hole)
    chosen = _Choice(descriptors, on_left_out)
    ways = _Choice(methods, on_left_out)
    table = Evaluation()
    for folder in folders:
        group = _Group(find_images([folder], images), title_of(folder), floors, hole, device)
        table.strips.append((f"{group.title}: original", group.originals()))
        for name in chosen.names(list_descriptors):
            with chosen.unless_asked(name), show_progress(progress):
                adapter = create_descriptor(name, **(descriptor_options or {}))
                made = _make(ways, adapter, method_options or {})
                table.add(*group.measure(adapter, made, distances))
    if not table.rows:
        raise InputError("Expected a descriptor that can be measured, found none.")
    return table


def compare_folders(
    folders: Folders,
    output: str | os.PathLike[str],
    *,
    descriptors: Sequence[str] = ("sift",),
    methods: Sequence[str] = ("*",),
    options: CompareOptions | None = None,
    images: int | None = None,
    memory: bool = True,
    shown: int = 2,
    device: str | None = None,
    progress: bool = False,
) -> Comparison:
    """Measure all methods that fit each descriptor, and save tables and a sheet as they grow.

    Args:
        folders: Folders of images; files and patterns too.
        output: Folder for table.md, table.csv, table.json and sheet.png.
        descriptors: Registry names or wildcards.
        methods: Registry names or wildcards.
        options: Options of methods, and their databases.
        images: Images to take of each folder at most, evenly spaced; None for all.
        memory: Whether to measure memory.
        shown: Images of a folder on the sheet.
        device: Where methods compute.
        progress: Show bars.

    Raises:
        FileError: A folder has no images, one cannot be read, or `output` cannot be written.
        InputError: Two folders of one name, options for what is not compared, or no method fits.
    """
    names, given = _expand(methods, list_methods), _expand(descriptors, list_descriptors)
    if options is not None:
        options.check(names, given)
    data = {title_of(folder): find_images([folder], images) for folder in folders}
    if len(data) < len(folders):
        raise InputError("Expected folders of different names and parents, to tell them apart.")
    found = compare(
        data,
        [create_descriptor(name) for name in given],
        names,
        options=options,
        memory=memory,
        device=device,
        shown=shown,
        done=lambda now: now.save(Path(output)),
        progress=progress,
    )
    if not found.rows:
        reasons = "; ".join(f"{one.method}: {one.reason}" for one in found.left_out)
        raise InputError(f"Expected a method that fits, found none. {reasons}")
    return found


@dataclass(frozen=True)
class _Choice:
    """Names and wildcards, and who hears which of them could not be measured."""

    asked: Sequence[str]
    on_left_out: OnLeftOut | None

    def names(self, known: Callable[[str], list[str]]) -> list[str]:
        return _expand(self.asked, known)

    @contextmanager
    def unless_asked(self, name: str) -> Iterator[None]:
        """Leave out what fails in the block, unless its name was asked for, no wildcard."""
        try:
            yield
        except InvertDescError as error:
            if name in self.asked:
                raise
            if self.on_left_out is not None:
                self.on_left_out(name, error)


@dataclass(frozen=True)
class _Group:
    """The images of a folder, and how methods are measured on them."""

    paths: list[Path]
    title: str
    floors: bool
    hole: Box | None
    device: str | None

    def originals(self) -> list[Tensor]:
        return [read_image(path) for path in self.paths[:SHEET]]

    @cached_property
    def mean(self) -> MeanPicture | None:
        return MeanPicture.of(self.paths) if self.floors else None

    def measure(
        self,
        adapter: Descriptor,
        methods: Sequence[Method],
        distances: Mapping[str, Distance] | None,
    ) -> tuple[list[Row], list[Strip]]:
        """Measure methods on a descriptor; return rows, and pictures for the sheet."""
        shown: dict[tuple[str, str], list[Tensor]] = {}
        rows = evaluate(
            watch(self.paths, f"{self.title}, {adapter.name}"),
            descriptor=adapter,
            method=methods,
            data=self.title,
            floors=self.floors,
            hole=self.hole,
            mean=self.mean,
            distances=distances,
            device=self.device,
            keep=_keeper(shown),
        )
        return rows, list(_strips(rows, shown))


def _make(ways: _Choice, adapter: Descriptor, options: Options) -> list[Method]:
    made = []
    for name in ways.names(list_methods):
        with ways.unless_asked(name):
            made.append(create_method(name, descriptor=adapter, **options))
    if not made:
        raise InputError(f"Expected a method that serves {adapter.name!r}, found none.")
    return made


def _check_hole(hole: Box | None) -> None:
    if hole is not None and not (0 <= hole[0] < hole[2] and 0 <= hole[1] < hole[3]):
        raise InputError(
            "Expected a hole (x0, y0, x1, y1) in pixels, none below 0, x0 < x1 and y0 < y1; got "
            f"{tuple(hole)}."
        )


def _expand(patterns: Sequence[str], known: Callable[[str], list[str]]) -> list[str]:
    """Expand wildcards; what nothing matches stays, for the registry to refuse."""
    return list(dict.fromkeys(name for one in patterns for name in known(one) or [one]))


def _keeper(shown: dict[tuple[str, str], list[Tensor]]) -> Callable[[str, str, Tensor], None]:
    def keep(method: str, knows: str, picture: Tensor) -> None:
        pictures = shown.setdefault((method, knows), [])
        if len(pictures) < SHEET:
            pictures.append(picture)

    return keep


def _strips(rows: Sequence[Row], shown: Mapping[tuple[str, str], list[Tensor]]) -> Iterator[Strip]:
    for row in rows:
        if row.knows in SHOWN and (pictures := shown[row.method, row.knows]):
            yield f"{row.descriptor}, {row.method}, {row.knows}: NCC {row.ncc:.3f}", pictures
