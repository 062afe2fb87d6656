"""Read VisualSFM's and SiftGPU's binary `.sift`: five numbers and 128 bytes per keypoint.

Five little-endian int32 come first: "SIFT", "V4.0" or "V5.0", the number of keypoints, 5 and 128.
Then follow x, y, colour, scale and orientation of all keypoints as float32, all vectors as bytes,
and an end mark.

Source: the format's description in VisualSFM's documentation.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import InputError
from invertdesc.stores._files import FileStore, read_bytes
from invertdesc.stores.record import Record, check_count, matrix

HEAD = 20  # bytes
MARKS = (b"SIFTV4.0", b"SIFTV5.0")
END = b"\xffEOF"
COLUMNS, WIDTH = 5, 128


def recognise(head: bytes) -> bool:
    """Return whether a file with this beginning is one of VisualSFM."""
    return head.startswith(MARKS)


class VisualsfmStore(FileStore):
    """Read SIFT from a file of VisualSFM, or from a folder of files.

    Programs without scales and orientations write 0 for both; they are then missing.
    """

    kind: ClassVar[str] = "VisualSFM .sift"

    def _read(self, file: Path) -> Record:
        data = read_bytes(file)
        header = np.frombuffer(data[8:HEAD].ljust(HEAD - 8, b"\0"), "<i4").tolist()
        if not recognise(data) or header[1:] != [COLUMNS, WIDTH]:
            raise InputError(
                f"Expected SIFT V4.0 or V5.0 of 5 numbers and 128 bytes in {file}, got "
                f"{data[:8]!r} and {header[1:]}."
            )
        count, _ = check_count(header[0])
        split = HEAD + 4 * COLUMNS * count
        end = split + WIDTH * count
        if data[end:] not in (b"", END):
            raise InputError(
                f"Expected {file} to end after {end} bytes, got {len(data) - end} more."
            )
        table = matrix(data[HEAD:split], count, COLUMNS, "<f4", str(file)).astype(np.float64)
        sized = bool(table[:, 3].any())
        return Record(
            xy=table[:, :2] - 0.5,
            vectors=matrix(data[split:end], count, WIDTH, "u1", str(file)),
            scales=table[:, 3] if sized or not count else None,
            orientations=table[:, 4] if sized or not count else None,
            producer="visualsfm",
            origin="corner",
        )
