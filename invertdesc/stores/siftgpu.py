"""SiftGPU's binary `.sift`, which it writes with the option `-b`: float32 throughout.

Two little-endian int32 come first: how many keypoints, and 128; then of each y, x, scale and
orientation, and the vector. Positions count from the first pixel's corner, angles as here. Files of
VisualSFM's have the same ending and another layout.

Source: SiftGPU's `SiftPyramid::SaveSIFT`, for the layout; COLMAP, for the meaning.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import InputError
from invertdesc.stores._files import FileStore, read_bytes
from invertdesc.stores.record import BYTE_LENGTH, Record, check_count, matrix

HEAD, WIDTH, SHAPE = 8, 128, 4
ROW = 4 * (SHAPE + WIDTH)  # bytes


def recognise(head: bytes, size: int) -> bool:
    """Say whether a file that begins so, of so many bytes, is SiftGPU's."""
    if len(head) < HEAD:
        return False
    count, width = np.frombuffer(head[:HEAD], "<i4").tolist()
    return bool(width == WIDTH and count > 0 and size == HEAD + count * ROW)


class SiftgpuStore(FileStore):
    """Read SIFT from SiftGPU's binary files, one or a folder of them."""

    kind: ClassVar[str] = "SiftGPU's binary .sift"

    def _read(self, file: Path) -> Record:
        data = read_bytes(file)
        if len(data) < HEAD:
            raise InputError(f"Expected a head of {HEAD} bytes in {file}, got {len(data)} bytes.")
        count, width = np.frombuffer(data[:HEAD], "<i4").tolist()
        if width != WIDTH:
            raise InputError(f"Expected vectors of {WIDTH} numbers in {file}, got {width}.")
        count, _ = check_count(count, width)
        table = matrix(data[HEAD:], count, SHAPE + WIDTH, "<f4", str(file))
        y, x, scales, turns = table[:, :SHAPE].astype(np.float64).T
        return Record(
            xy=np.stack([x, y], 1) - 0.5,
            vectors=table[:, SHAPE:] * np.float32(BYTE_LENGTH),
            scales=scales,
            orientations=turns,
            producer="siftgpu",
            origin="corner",
        )
