"""COLMAP's binary models: cameras.bin, images.bin and points3D.bin.

Those of COLMAP 3.12 and later have `rigs.bin` and `frames.bin` beside them, which tell how cameras
stand to each other; poses of images are in images.bin all the same.

Source: COLMAP's documentation, "Output Format".
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from invertdesc.errors import InputError
from invertdesc.limits import check_limit
from invertdesc.maps._distortion import LENSES, NUMBERS, Array
from invertdesc.maps.camera import Camera
from invertdesc.maps.model import RawImage, RawPoints
from invertdesc.stores._files import read_bytes

_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<IiQQ")
_IMAGE = struct.Struct("<I7dI")
_KEYPOINT = np.dtype([("xy", "<f8", 2), ("point", "<u8")])
_POINT = np.dtype([("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8")])
_POINT_HEAD = _POINT.itemsize + _COUNT.size
_SEEN = np.dtype([("image", "<u4"), ("keypoint", "<u4")])
_NO_POINT = 2**64 - 1
_MOST = 2**62  # ids are counted up from 1


class _Bytes:
    """A file that is read from its start to its end."""

    def __init__(self, file: Path) -> None:
        self.file, self.data, self.at = file, read_bytes(file), 0

    def take(self, form: struct.Struct) -> tuple[float, ...]:
        start = self._advance(form.size)
        return form.unpack_from(self.data, start)

    def rows(self, kind: np.dtype[np.void], count: int) -> Array:
        start = self._advance(kind.itemsize * count)
        return np.frombuffer(self.data, kind, count, start)

    def count(self, least: int) -> int:
        """Return a count of records that have so many bytes each, at least."""
        number = int(self.take(_COUNT)[0])
        if number * least > len(self.data) - self.at:
            raise InputError(
                f"Expected {number} records of {least} bytes or more in {self.file}, got "
                f"{len(self.data) - self.at} bytes. Was it cut off?"
            )
        return number

    def word(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise InputError(f"Expected a name to end in {self.file}. Was it cut off?")
        name = self.data[self.at : end].decode(errors="replace")
        self.at = end + 1
        return name

    def end(self) -> None:
        if self.at != len(self.data):
            raise InputError(
                f"Expected {self.at} bytes in {self.file}, got {len(self.data)}. Is it a file of "
                "another version?"
            )

    def _advance(self, size: int) -> int:
        start = self.at
        if start + size > len(self.data):
            raise InputError(f"Expected more than {len(self.data)} bytes in {self.file}. Cut off?")
        self.at = start + size
        return start


def read_cameras(file: Path) -> dict[int, Camera]:
    """Read cameras.bin.

    Raises:
        FileError: Missing or unreadable.
        InputError: Cut off, or of a camera that is unknown or none.
    """
    data, found = _Bytes(file), {}
    for _ in range(data.count(_CAMERA.size)):
        number, kind, width, height = map(int, data.take(_CAMERA))
        if kind not in NUMBERS:
            known = ", ".join(f"{name} ({key})" for key, name in NUMBERS.items())
            raise InputError(
                f"Expected a camera model that is known in {file}: {known}; got number {kind}."
            )
        model = NUMBERS[kind]
        params = data.take(struct.Struct(f"<{LENSES[model].params}d"))
        check_limit("pixels", width * height, "an image")
        found[number] = Camera(model, width, height, params)
    data.end()
    return found


def read_images(file: Path) -> dict[int, RawImage]:
    """Read images.bin.

    Raises:
        FileError: Missing or unreadable.
        InputError: Cut off.
    """
    data, found = _Bytes(file), {}
    for _ in range(data.count(_IMAGE.size + 1 + _COUNT.size)):
        number, *pose, camera = data.take(_IMAGE)
        name = data.word()
        count = data.count(_KEYPOINT.itemsize)
        check_limit("keypoints", count, "an image")
        rows = data.rows(_KEYPOINT, count)
        ids = rows["point"]
        if ((ids >= _MOST) & (ids != _NO_POINT)).any():
            raise InputError(f"Expected ids of points in {file}, got {int(ids.max())}.")
        found[int(number)] = RawImage(
            name,
            int(camera),
            tuple(pose[:4]),
            tuple(pose[4:]),
            rows["xy"].copy(),
            np.where(ids == _NO_POINT, 0, ids).astype(np.int64) - (ids == _NO_POINT),
        )
    data.end()
    return found


def read_points(file: Path) -> RawPoints:
    """Read points3D.bin.

    Raises:
        FileError: Missing or unreadable.
        InputError: Cut off.
    """
    data = _Bytes(file)
    count = data.count(_POINT_HEAD)
    heads, lengths = np.zeros(count, np.int64), np.zeros(count, np.int64)
    at, size, whole = data.at, len(data.data), data.data
    for row in range(count):  # records differ in length: the one loop over points
        if at + _POINT_HEAD > size:
            break
        heads[row], lengths[row] = at, (length := _length(whole, at))
        at += _POINT_HEAD + length * _SEEN.itemsize
    data.at = at
    if at > size or (count and not heads[-1]):
        raise InputError(f"Expected more than {size} bytes in {file}. Was it cut off?")
    data.end()
    raw = np.frombuffer(whole, np.uint8)
    fixed = _gather(raw, heads, _POINT.itemsize).view(_POINT)[:, 0]
    if (fixed["id"] >= _MOST).any():
        raise InputError(f"Expected ids of points in {file}, got {int(fixed['id'].max())}.")
    seen = _gather(raw, _track_starts(heads, lengths), _SEEN.itemsize).view(_SEEN)[:, 0]
    return RawPoints(
        fixed["id"].astype(np.int64),
        fixed["xyz"].copy(),
        fixed["rgb"].copy(),
        lengths,
        seen["image"].astype(np.int64),
        seen["keypoint"].astype(np.int64),
    )


def _length(data: bytes, at: int) -> int:
    """Return how long the track of the point at a byte is; at most what any file can hold."""
    (length,) = _COUNT.unpack_from(data, at + _POINT.itemsize)
    return min(int(length), len(data))


def _track_starts(heads: Array, lengths: Array) -> Array:
    """Return the byte where each element of each track begins, end to end."""
    owners = np.repeat(np.arange(len(heads)), lengths)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    found: Array = heads[owners] + _POINT_HEAD + within * _SEEN.itemsize
    return found


def _gather(raw: Array, starts: Array, size: int) -> Array:
    """Return (len(starts), size) bytes of a file, some records at a time."""
    found = np.empty((len(starts), size), np.uint8)
    places, step = np.arange(size), 1 << 16
    for start in range(0, len(starts), step):
        some = slice(start, start + step)
        found[some] = raw[starts[some, None] + places]
    return found
