"""Read text files of VLFeat's `sift` command: `x y sigma theta` and 128 bytes per line.

VLFeat orders the directions of a histogram in the opposite way; the rest is as in OpenCV. The
number of lines is not stored, so a file that was cut between two lines cannot be detected.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import InputError
from invertdesc.stores._files import FileStore, read_words
from invertdesc.stores.record import Array, Record, check_count, numbers

WIDTH = 4 + 128
_TURNED = [0, 7, 6, 5, 4, 3, 2, 1]


def recognise(head: bytes) -> bool:
    """Return whether the first line of a file with this beginning has 4 + 128 numbers."""
    words = head.partition(b"\n")[0].split()
    if len(words) != WIDTH:
        return False
    try:
        return bool(np.isfinite(numbers(words, "a head")).all())
    except ValueError:
        return False


class VlfeatStore(FileStore):
    """Read SIFT from a text file of VLFeat, or from a folder of files."""

    kind: ClassVar[str] = "VLFeat text"

    def _read(self, file: Path) -> Record:
        words = read_words(file)
        if len(words) % WIDTH:
            raise InputError(
                f"Expected lines of {WIDTH} numbers in {file}, got {len(words)} numbers. Was it "
                "cut off?"
            )
        count, _ = check_count(len(words) // WIDTH)
        table = numbers(words, str(file)).reshape(count, WIDTH)
        return Record(
            xy=table[:, :2],
            vectors=from_vlfeat(table[:, 4:]),
            scales=table[:, 2],
            orientations=table[:, 3],
            producer="vlfeat",
        )


def from_vlfeat(vectors: Array) -> Array:
    """Convert (N, 128) from VLFeat's order to OpenCV's.

    >>> from_vlfeat(np.arange(128)[None])[0, :9].tolist()
    [0, 7, 6, 5, 4, 3, 2, 1, 8]
    """
    return vectors.reshape(-1, 4, 4, 8)[..., _TURNED].reshape(-1, 128)


def from_openmvg(vectors: Array) -> Array:
    """Convert (N, 128) from the order of OpenMVG's SIFT_Anatomy (VLFeat's by columns) to OpenCV's.

    >>> from_openmvg(np.arange(128)[None])[0, 6:11].tolist()
    [2, 1, 32, 39, 38]
    """
    return from_vlfeat(vectors.reshape(-1, 4, 4, 8).swapaxes(1, 2).reshape(-1, 128))
