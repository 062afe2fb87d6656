"""INRIA's `.siftgeo`, as of Holidays and Copydays: 168 bytes a keypoint, one after the other.

Nine little-endian float32, x, y, scale, angle, a 2 x 2 matrix and cornerness, then an int32, 128,
and as many bytes. Nothing says how many keypoints there are, so that a file that was cut off
between two looks whole.

Source: the description of the format beside the INRIA Holidays data. It does not tell the order of
vectors nor how angles turn: both are taken to be those of Oxford's programs, and mended where
vectors and pieces of the picture show others.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import InputError
from invertdesc.stores._files import FileStore, read_bytes
from invertdesc.stores.record import Record, check_count
from invertdesc.stores.vlfeat import from_vlfeat

WIDTH = 128
ROW = np.dtype([("frame", "<f4", 9), ("width", "<i4"), ("vector", "u1", WIDTH)])
NOTE = (
    "INRIA's format does not tell how vectors and angles are meant; no file of it was at hand. "
    "Compare a picture."
)


def recognise(head: bytes, size: int) -> bool:
    """Say whether a file that begins so, of so many bytes, is one of keypoints of 168 bytes."""
    if len(head) < ROW.itemsize or size % ROW.itemsize:
        return False
    first = np.frombuffer(head[: ROW.itemsize], ROW)[0]
    return bool(first["width"] == WIDTH and np.isfinite(first["frame"]).all())


class SiftgeoStore(FileStore):
    """Read SIFT from INRIA's files, one or a folder of them."""

    kind: ClassVar[str] = "INRIA .siftgeo"

    def _read(self, file: Path) -> Record:
        data = read_bytes(file)
        if len(data) % ROW.itemsize:
            raise InputError(
                f"Expected {ROW.itemsize} bytes a keypoint in {file}, got {len(data)} in all. Was "
                "it cut off?"
            )
        check_count(len(data) // ROW.itemsize, WIDTH)
        rows = np.frombuffer(data, ROW)
        if (rows["width"] != WIDTH).any():
            raise InputError(f"Expected vectors of {WIDTH} bytes in {file}, got others.")
        frames = rows["frame"].astype(np.float64)
        return Record(
            xy=frames[:, :2],
            vectors=from_vlfeat(rows["vector"]),
            scales=frames[:, 2],
            orientations=frames[:, 3],
            scores=frames[:, 8],
            producer="inria",
            notes=(NOTE,),
        )
