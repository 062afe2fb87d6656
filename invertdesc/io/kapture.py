"""kapture 1.0 and 1.1: raw numbers beside text that says what they are.

`reconstruction/keypoints/<type>/keypoints.txt` has name, dtype and dsize; each image's numbers are
in `<image>.kpt` beside it and in `reconstruction/descriptors/<type>/<image>.desc`. In 1.0 there is
no folder <type>. In 1.1 the numbers may be packed, in a `keypoints.tar` and a `descriptors.tar`
beside the text. What the columns mean depends on who wrote them: six are COLMAP's, of four the
others are scale and orientation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.io._colmap_frames import read_frames
from invertdesc.io._files import read_bytes, walk
from invertdesc.io._record import (
    MOST_KEYPOINTS,
    Array,
    Record,
    check_count,
    check_rows_alike,
    numbers,
)
from invertdesc.io._tar import Tar
from invertdesc.io.base import Store

DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16")
SENSORS = Path("sensors", "sensors.txt")
RECORDS = Path("sensors", "records_camera.txt")
FIRST_PARAMETER = 4  # of a camera: model, width, height follow from here, after id, name and type


@dataclass(frozen=True)
class _Kind:
    """What a keypoints.txt or descriptors.txt says, and where the numbers are."""

    folder: Path
    tar: Tar | None
    name: str
    dtype: np.dtype[np.generic]
    size: int

    def files(self) -> Iterable[str]:
        """Return the names of all files with numbers."""
        return walk(self.folder) if self.tar is None else self.tar.names

    def read(self, name: str) -> Array:
        """Return (N, size) of an image's file, which has no head of its own."""
        width = self.size * self.dtype.itemsize
        most = MOST_KEYPOINTS * width
        tar = self.tar
        data = read_bytes(self.folder / name, most) if tar is None else tar.read(name, most)
        if len(data) % width:
            raise InputError(
                f"Expected rows of {width} bytes in {name}, got {len(data)} bytes. Was it cut off?"
            )
        return np.frombuffer(data, self.dtype).reshape(-1, self.size)


def recognise_folder(folder: Path) -> bool:
    """Say whether a folder is laid out as kapture's."""
    return any((folder / "reconstruction" / "keypoints").glob("**/keypoints.txt"))


class KaptureStore(Store):
    """Read a folder of kapture's; of several types of keypoints, the first that has descriptors."""

    kind: ClassVar[str] = "kapture"

    def names(self) -> Iterator[str]:
        """Yield the names of all images: of a folder, then of the folders in it, each sorted."""
        for file in self._kinds[0].files():
            if file.endswith(".kpt"):
                yield file.removesuffix(".kpt")

    def _record(self, name: str) -> Record:
        points_of, vectors_of = self._kinds
        points = points_of.read(f"{name}.kpt").astype(np.float64)
        vectors = vectors_of.read(f"{name}.desc")
        check_rows_alike(len(points), len(vectors))
        columns = points.shape[1]
        notes: tuple[str, ...] = ()
        if columns == 6:
            frames = read_frames(points)
            xy, scales, turns, notes = frames
        else:
            xy = points[:, :2]
            scales, turns = (points[:, 2], points[:, 3]) if columns == 4 else (None, None)
            if columns > 2:
                notes = (
                    f"Taken of {columns} columns of keypoints: x, y"
                    + (", scale, orientation." if columns == 4 else "."),
                )
        return Record(
            xy=xy,
            vectors=vectors,
            image_size=self._sizes.get(name),
            scales=scales,
            orientations=turns,
            descriptor=self._made_by,
            producer=f"kapture {vectors_of.name}",
            origin="corner" if columns == 6 else "centre",
            notes=notes,
        )

    @property
    def _made_by(self) -> str | None:
        """What made the vectors, where that is not SIFT of one form or the other."""
        name = self._kinds[1].name.lower()
        return None if "sift" in name else name

    @cached_property
    def _kinds(self) -> tuple[_Kind, _Kind]:
        place = self.path / "reconstruction"
        found = {
            file.parent.relative_to(place / "keypoints"): file
            for file in sorted((place / "keypoints").glob("**/keypoints.txt"))
        }
        if not found:
            raise FileError(f"Expected reconstruction/keypoints in {self.path}, found none.")
        for inside, file in found.items():
            other = place / "descriptors" / inside / "descriptors.txt"
            if other.is_file():
                return _kind(file), _kind(other)
        raise FileError(
            f"Expected descriptors for the keypoints {', '.join(map(str, found))} in {place}, found"
            " none."
        )

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, int]]:
        cameras: dict[str, tuple[int, int]] = {}
        for row in _rows(self.path / SENSORS):
            if len(row) > FIRST_PARAMETER + 1 and row[2] == "camera":
                size = [int(float(word)) for word in row[4:6] if _is_number(word)]
                if len(size) == 2 and min(size) > 0:
                    cameras[row[0]] = (size[1], size[0])
        return {
            row[2]: cameras[row[1]]
            for row in _rows(self.path / RECORDS)
            if len(row) == 3 and row[1] in cameras
        }


def _kind(file: Path) -> _Kind:
    rows = list(_rows(file))
    if not rows or len(rows[0]) < 3:
        raise FileError(f"Expected name, dtype and dsize in {file}, got {rows[:1]}.")
    name, dtype, size = rows[0][:3]
    dtype = dtype.removeprefix("<class 'numpy.").removesuffix("'>").removeprefix("numpy.")
    if dtype not in DTYPES or not size.isdigit():
        raise FileError(f"Expected a dtype of NumPy and a size in {file}, got {rows[0][1:3]}.")
    _, width = check_count(0, int(size[:9]))
    least = 2 if file.name == "keypoints.txt" else 1
    if width < least:
        raise FileError(f"Expected at least {least} numbers a row in {file}, got {width}.")
    tar = file.with_suffix(".tar")
    packed = Tar(tar) if tar.is_file() else None
    return _Kind(file.parent, packed, name, np.dtype(dtype).newbyteorder("<"), width)


def _rows(file: Path) -> Iterator[list[str]]:
    """Yield the words of a text of kapture's, of commas; none where there is no such file."""
    if not file.is_file():
        return
    for line in read_bytes(file, 2**30).decode(errors="replace").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield [word.strip() for word in line.split(",")]


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(numbers([word], "a size")).all())
    except ValueError:
        return False
