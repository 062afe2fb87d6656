"""Read kapture 1.0 and 1.1: raw numbers, with text files that describe them.

`reconstruction/keypoints/<type>/keypoints.txt` has name, dtype and dsize; each image's numbers are
in `<image>.kpt` in the same folder and in `reconstruction/descriptors/<other type>/<image>.desc`,
whose `descriptors.txt` names the type of keypoints in its fourth column. In 1.0 there are no types
and no folders for them. In 1.1 the numbers may be packed in a `keypoints.tar` and a
`descriptors.tar` next to the text. The meaning of the columns depends on the program that wrote
them: six are those of COLMAP; four are x, y, scale and orientation. The order of SIFT's numbers
also depends on it, and is corrected if the vectors show another order than OpenCV's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.sources import walk
from invertdesc.stores._colmap_frames import read_frames
from invertdesc.stores._files import check_ended, read_bytes
from invertdesc.stores._tar import Tar
from invertdesc.stores.base import Store
from invertdesc.stores.record import (
    Array,
    Record,
    adapter_of,
    check_count,
    check_rows_alike,
    fits,
    numbers,
)

PYTHONS = {"float": "float64", "int": "int64"}  # names of Python's types in kapture
DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16")
SENSORS = Path("sensors", "sensors.txt")
RECORDS = Path("sensors", "records_camera.txt")
SIDES = slice(4, 6)  # columns of a camera, after id, name, type and model


@dataclass(frozen=True)
class _Kind:
    """The content of a keypoints.txt or descriptors.txt, and the place of the numbers."""

    folder: Path
    tar: Tar | None
    name: str
    dtype: np.dtype[np.generic]
    size: int
    points: str | None = None  # type of the keypoints that the descriptors belong to

    @property
    def descriptor(self) -> str | None:
        """The registry name equal to the type's name, if its vectors have the same width.

        None for vectors that may be SIFT of either form: OpenSfM calls its 128 bytes HOG.
        """
        name = self.name.lower()
        if "sift" in name or adapter_of(name) is None:
            likely = "sift" in name or (self.size == 128 and self.dtype == np.uint8)
            return None if likely else name
        return name if fits(name, self.size, self.dtype) else None

    def files(self) -> Iterable[str]:
        """Return the names of all files with numbers."""
        return walk(self.folder) if self.tar is None else self.tar.names

    def read(self, name: str) -> Array:
        """Return the (N, size) values of an image's file, which has no header."""
        width = self.size * self.dtype.itemsize
        tar = self.tar
        data = read_bytes(self.folder / name) if tar is None else tar.read(name)
        if len(data) % width:
            raise InputError(
                f"Expected rows of {width} bytes in {name}, got {len(data)} bytes. Was it cut off?"
            )
        check_count(len(data) // width, self.size)
        return np.frombuffer(data, self.dtype).reshape(-1, self.size)


def recognise_folder(folder: Path) -> bool:
    """Return whether a folder has the structure of kapture."""
    return any((folder / "reconstruction" / "keypoints").glob("**/keypoints.txt"))


class KaptureStore(Store):
    """Read a folder of kapture; of several types, the first that can be reconstructed."""

    kind: ClassVar[str] = "kapture"

    def names(self) -> Iterator[str]:
        """Yield the names of all images of a folder, then of its subfolders, each sorted."""
        for file in self._kinds[0].files():
            if file.endswith(".kpt"):
                yield file.removesuffix(".kpt")

    @property
    def keypoints_type(self) -> str:
        """The type of the keypoints that are read, as observations call it; "" in kapture 1.0."""
        top = self.path / "reconstruction" / "keypoints"
        inside = self._kinds[0].folder.relative_to(top).as_posix()
        return "" if inside == "." else inside

    def _record(self, name: str) -> Record:
        _, vectors_of = self._kinds
        columns, xy, scales, turns, notes = self._points(name)
        vectors = vectors_of.read(f"{name}.desc")
        check_rows_alike(len(xy), len(vectors))
        return Record(
            xy=xy,
            vectors=vectors,
            image_size=self._size(name),
            scales=scales,
            orientations=turns,
            descriptor=vectors_of.descriptor,
            producer=f"kapture {vectors_of.name}",
            origin="corner" if columns == 6 else "centre",
            notes=notes,
        )

    def _positions(self, name: str) -> Array:
        return self._points(name)[1]

    def _points(self, name: str) -> tuple[int, Array, Array | None, Array | None, tuple[str, ...]]:
        """Return the columns of keypoints, positions, scales, orientations and notes."""
        points = self._kinds[0].read(f"{name}.kpt").astype(np.float64)
        columns = points.shape[1]
        if columns == 6:
            return columns, *read_frames(points)
        scales, turns = (points[:, 2], points[:, 3]) if columns == 4 else (None, None)
        notes: tuple[str, ...] = ()
        if columns > 2:
            notes = (
                f"Used of {columns} columns of keypoints: x, y"
                + (", scale, orientation." if columns == 4 else "."),
            )
        return columns, points[:, :2], scales, turns, notes

    @property
    def _kinds(self) -> tuple[_Kind, _Kind]:
        return self._pairs[0]

    def _left_out(self) -> tuple[str, ...]:
        others = ", ".join(vectors.name for _, vectors in self._pairs[1:])
        return (f"Also found, not read: descriptors of the types {others}.",) if others else ()

    @cached_property
    def _pairs(self) -> list[tuple[_Kind, _Kind]]:
        """All types of keypoints with their descriptors, first those that have an unfolding."""
        place = self.path / "reconstruction"
        found = {
            file.parent.relative_to(place / "keypoints"): file
            for file in sorted((place / "keypoints").glob("**/keypoints.txt"))
        }
        if not found:
            raise FileError(f"Expected reconstruction/keypoints in {self.path}, found none.")
        pairs, errors = [], []
        for file in sorted((place / "descriptors").glob("**/descriptors.txt")):
            try:
                vectors = _kind(file)
                inside = file.parent.relative_to(place / "descriptors")
                points = found.get(Path(vectors.points) if vectors.points else inside)
                if points is not None:
                    pairs.append((_kind(points), vectors))
            except FileError as error:
                errors.append(error)
        if not pairs and errors:
            raise errors[0]
        if not pairs:
            raise FileError(
                f"Expected descriptors for the keypoints {', '.join(map(str, found))} in {place}, "
                "found none."
            )
        if len(pairs) > 1:
            pairs.sort(key=lambda pair: _doubt(pair[1].descriptor or "sift"))
        return pairs

    def _size(self, name: str) -> tuple[int, int] | None:
        """Return the size of an image; if there are files with sizes, they must contain it."""
        records, sensors = self.path / RECORDS, self.path / SENSORS
        if self._image_size is not None or not (records.is_file() and sensors.is_file()):
            return None
        camera = self._cameras.get(name)
        if camera is None or camera not in self._sizes:
            what, file = (name, records) if camera is None else (camera, sensors)
            raise InputError(
                f"Expected a line of {what!r} in {file}, found none. Was it cut off? If it was "
                "not, give the image's size."
            )
        return self._sizes[camera]

    @cached_property
    def _cameras(self) -> dict[str, str]:
        """The cameras of images, by name."""
        return {row[2]: row[1] for row in read_rows(self.path / RECORDS) if len(row) == 3}

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, int] | None]:
        """The valid sizes of cameras."""
        sizes: dict[str, tuple[int, int] | None] = {}
        for row in read_rows(self.path / SENSORS):
            if len(row) > 2 and row[2] == "camera":
                size = [int(float(word)) for word in row[SIDES] if _is_number(word)]
                good = len(size) == 2 and min(size) > 0
                sizes[row[0]] = (size[1], size[0]) if good else None
        return sizes


def _doubt(name: str) -> int:
    """Return 0 if a descriptor can be reconstructed, 1 if it has no unfolding, 2 if no adapter."""
    adapter = adapter_of(name)
    if adapter is None:
        return 2
    try:
        return 0 if adapter.unfolding is not None else 1
    except (FileError, InputError, AttributeError):
        return 1


def _kind(file: Path) -> _Kind:
    rows = list(read_rows(file))
    if not rows or len(rows[0]) < 3:
        raise FileError(f"Expected name, dtype and dsize in {file}, got {rows[:1]}.")
    name, dtype, size = rows[0][:3]
    dtype = dtype.removeprefix("<class 'numpy.").removesuffix("'>").removeprefix("numpy.")
    dtype = PYTHONS.get(dtype, dtype)
    if dtype not in DTYPES or not size.isdigit():
        raise FileError(f"Expected a dtype of NumPy and a size in {file}, got {rows[0][1:3]}.")
    _, width = check_count(0, int(size[:9]))
    least = 2 if file.name == "keypoints.txt" else 1
    if width < least:
        raise FileError(f"Expected at least {least} numbers per row in {file}, got {width}.")
    tar = file.with_suffix(".tar")
    packed = Tar(tar) if tar.is_file() else None
    points = rows[0][3] if len(rows[0]) > 3 else None
    return _Kind(file.parent, packed, name, np.dtype(dtype).newbyteorder("<"), width, points)


def read_rows(file: Path) -> Iterator[list[str]]:
    """Yield the comma-separated words of a text file of kapture; nothing if it is missing."""
    if not file.is_file():
        return
    text = read_bytes(file)
    check_ended(text, file)
    for line in text.decode(errors="replace").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield [word.strip() for word in line.split(",")]


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(numbers([word], "a size")).all())
    except ValueError:
        return False
