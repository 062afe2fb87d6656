"""COLMAP's models as text: cameras.txt, images.txt and points3D.txt.

Source: COLMAP's documentation, "Output Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from invertdesc.errors import InputError
from invertdesc.limits import check_limit
from invertdesc.maps._distortion import Array
from invertdesc.maps.camera import Camera
from invertdesc.maps.model import RawImage, RawPoints
from invertdesc.stores._files import check_ended, read_bytes
from invertdesc.stores.record import numbers

_MOST = 2**62


def read_cameras(file: Path) -> dict[int, Camera]:
    """Read cameras.txt.

    Raises:
        FileError: Missing or unreadable.
        InputError: Cut off, or of a camera that is unknown or none.
    """
    found = {}
    for line in _lines(file):
        words = line.split()
        _check(len(words) >= 4, "CAMERA_ID MODEL WIDTH HEIGHT PARAMS", line, file)
        number, width, height = (_whole(words[place], file) for place in (0, 2, 3))
        check_limit("pixels", width * height, "an image")
        params = tuple(numbers(words[4:], "parameters of a camera").tolist())
        found[number] = Camera(words[1], width, height, params)
    return found


def read_images(file: Path) -> dict[int, RawImage]:
    """Read images.txt.

    Raises:
        FileError: Missing or unreadable.
        InputError: Cut off, or with words where numbers should be.
    """
    found = {}
    lines = _lines(file, keep_empty=True)
    for line in lines:
        if not line.strip():
            continue
        words = line.split(maxsplit=9)
        _check(len(words) == 10, "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME", line, file)
        pose = numbers(words[1:8], "a pose").tolist()
        rest = next(lines, None)
        _check(rest is not None, "a line of keypoints", "the end", file)
        table = _table(str(rest).split(), 3, file)
        check_limit("keypoints", len(table), "an image")
        ids = _ids(table[:, 2], -1, file)
        found[_whole(words[0], file)] = RawImage(
            words[9].strip(), _whole(words[8], file), pose[:4], pose[4:], table[:, :2], ids
        )
    return found


def read_points(file: Path) -> RawPoints:
    """Read points3D.txt.

    Raises:
        FileError: Missing or unreadable.
        InputError: Cut off, or with words where numbers should be.
    """
    ids, heads, tracks = [], [], []
    for line in _lines(file):
        words = line.split()
        _check(len(words) >= 8, "POINT3D_ID X Y Z R G B ERROR TRACK", line, file)
        ids.append(_whole(words[0], file))
        heads.append(numbers(words[1:7], "a point"))
        tracks.append(_table(words[8:], 2, file))
    table = np.array(heads).reshape(-1, 6)
    seen = _ids(np.concatenate([*tracks, np.zeros((0, 2))]).ravel(), 0, file).reshape(-1, 2)
    colors = table[:, 3:]
    if not ((colors >= 0) & (colors <= 255)).all():
        raise InputError(f"Expected colours from 0 to 255 in {file}, got others.")
    return RawPoints(
        np.array(ids, np.int64),
        table[:, :3],
        colors.astype(np.uint8),
        np.array([len(track) for track in tracks], np.int64),
        seen[:, 0],
        seen[:, 1],
    )


def _lines(file: Path, *, keep_empty: bool = False) -> Iterator[str]:
    data = read_bytes(file)
    check_ended(data, file)
    for line in data.decode(errors="replace").splitlines():
        if not line.lstrip().startswith("#") and (keep_empty or line.strip()):
            yield line


def _check(right: bool, wanted: str, got: str, file: Path) -> None:
    if not right:
        raise InputError(f"Expected {wanted} in {file}, got {got[:60]!r}.")


def _whole(word: str, file: Path) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 19):
        raise InputError(f"Expected a whole number in {file}, got {word[:60]!r}.")
    return int(word)


def _table(words: list[str], columns: int, file: Path) -> Array:
    if len(words) % columns:
        raise InputError(f"Expected rows of {columns} numbers in {file}, got {len(words)} numbers.")
    return numbers(words, f"rows of {file.name}").reshape(-1, columns)


def _ids(values: Array, least: int, file: Path) -> Array:
    if not ((values >= least) & (values < _MOST) & (values == np.floor(values))).all():
        raise InputError(f"Expected ids as whole numbers from {least} on in {file}, got others.")
    return values.astype(np.int64)
