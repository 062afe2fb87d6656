"""Read pairs of `.feat` text and `.desc` bytes of OpenMVG and AliceVision."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.stores._files import read_bytes, read_words
from invertdesc.stores.record import Array, check_count, check_rows_alike, matrix, numbers

COLUMNS = 4  # x, y, scale, orientation
WIDTH = 128


def recognise(head: bytes) -> bool:
    """Return whether the first line of a file with this beginning has four numbers."""
    words = head.partition(b"\n")[0].split()
    try:
        return len(words) == COLUMNS and bool(np.isfinite(numbers(words, "a head")).all())
    except ValueError:
        return False


def read_pair(file: Path, kinds: Mapping[int, str] | None = None) -> tuple[Array, Array]:
    """Return the (N, 4) numbers of a .feat file, and the (N, D) vectors of its .desc file.

    Args:
        file: The .feat file.
        kinds: What a vector of so many bytes is made of, as NumPy calls it; None for SIFT's bytes.

    Raises:
        FileError: A file is missing or unreadable.
        InputError: The content is not as claimed.
    """
    words = read_words(file)
    if len(words) % COLUMNS:
        raise InputError(f"Expected lines of 4 numbers in {file}, got {len(words)} numbers.")
    table = numbers(words, str(file)).reshape(-1, COLUMNS)
    other = file.with_suffix(".desc")
    data = read_bytes(other)
    if len(data) < 8:
        raise InputError(f"Expected a count of 8 bytes in {other}, got {len(data)} bytes.")
    count, _ = check_count(int.from_bytes(data[:8], "little"))
    kinds = kinds or {WIDTH: "u1"}
    width = (len(data) - 8) // count if count else 0
    if width not in kinds or width * count != len(data) - 8:
        width = next(iter(kinds))
    vectors = matrix(
        data[8:], count, width // np.dtype(kinds[width]).itemsize, kinds[width], str(other)
    )
    check_rows_alike(len(table), len(vectors))
    return table, vectors


def nearest(file: Path, top: Path, name: str) -> Path | None:
    """Return the file of a name in the folder of another file, or in a folder above it.

    Args:
        file: File in `top` or in its subfolders.
        top: Highest folder to search.
        name: Name of the wanted file.
    """
    folder = file.parent
    while not (folder / name).is_file():
        if folder == top or folder == folder.parent:
            return None
        folder = folder.parent
    return folder / name


def read_json(file: Path) -> Any:
    """Return the content of a JSON file, or None if there is no file.

    Raises:
        FileError: The file is damaged.
    """
    if not file.is_file():
        return None
    try:
        return json.loads(read_bytes(file))
    except (ValueError, RecursionError) as error:
        raise FileError(f"Expected JSON at {file}, got: {error}.") from error


def pictures(scene: Any) -> Iterator[dict[str, Any]]:
    """Yield the parts of a scene file that have a width and a height, one per picture."""
    waiting = [scene]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "width" in part and "height" in part:
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def size_of(part: dict[str, Any]) -> tuple[int, int] | None:
    """Return (H, W) of a picture's part of a scene file, if both are valid."""
    try:
        size = int(part["height"]), int(part["width"])
    except (TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None
