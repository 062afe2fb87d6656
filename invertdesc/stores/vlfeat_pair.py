"""VLFeat's `.frame` and `.descr` files, text or binary, as its `sift` command writes them.

A frame is x, y, sigma and theta, in binary files of big-endian float64; a descriptor has 128
numbers, in binary files bytes. The two may differ in form.

Source: VLFeat's `generic-driver.h` and `sift.c`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import InputError
from invertdesc.stores._files import FileStore, check_ended, read_bytes
from invertdesc.stores.record import Array, Record, check_count, check_rows_alike, matrix, numbers
from invertdesc.stores.vlfeat import from_vlfeat

SUFFIX, OTHER = ".frame", ".descr"
SHAPE, WIDTH = 4, 128
_TEXT = frozenset(b"0123456789.+-eEnaif \t\r\n")


def recognise(file: Path) -> bool:
    """Say whether a file is called as frames are, and descriptors lie beside."""
    return file.suffix == SUFFIX and file.with_suffix(OTHER).is_file()


class VlfeatPairStore(FileStore):
    """Read SIFT from VLFeat's pairs of files, one or a folder of them."""

    kind: ClassVar[str] = "VLFeat .frame and .descr"

    def _read(self, file: Path) -> Record:
        table = _table(file, SHAPE, ">f8")
        vectors = _table(file.with_suffix(OTHER), WIDTH, "u1")
        check_rows_alike(len(table), len(vectors))
        return Record(
            xy=table[:, :2].astype(np.float64),
            vectors=from_vlfeat(vectors),
            scales=table[:, 2].astype(np.float64),
            orientations=table[:, 3].astype(np.float64),
            producer="vlfeat",
        )


def _table(file: Path, columns: int, dtype: str) -> Array:
    """Return the rows of a file, of which the bytes tell whether it is text."""
    data = read_bytes(file)
    row = columns * np.dtype(dtype).itemsize
    if set(data) <= _TEXT:
        check_ended(data, file)
        words = data.split()
        if len(words) % columns:
            raise InputError(
                f"Expected lines of {columns} numbers in {file}, got {len(words)} numbers."
            )
        count, _ = check_count(len(words) // columns, columns)
        return numbers(words, str(file)).reshape(count, columns)
    if len(data) % row:
        raise InputError(f"Expected {row} bytes a row in {file}, got {len(data)}. Was it cut off?")
    count, _ = check_count(len(data) // row, columns)
    return matrix(data, count, columns, dtype, str(file))
