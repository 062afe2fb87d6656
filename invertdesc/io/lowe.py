"""Lowe's `.key` files, and the text files that COLMAP imports, which begin alike.

Both say `N 128` first. Lowe's go on with row, column, scale and an angle against ours, over several
lines; COLMAP's with x, y, scale and our angle, on one line a keypoint and from the pixel's corner.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import InputError
from invertdesc.io._files import FileStore, check_ended, read_bytes
from invertdesc.io._record import Record, check_count, numbers

_HEAD = re.compile(rb"\s*\d{1,10}[ \t]+128[ \t]*(\r?\n|$)")


def recognise(head: bytes) -> bool:
    """Say whether a file that begins so has a count and 128 on its first line."""
    return _HEAD.match(head) is not None


class LoweStore(FileStore):
    """Read SIFT from Lowe's `.key` files or COLMAP's text, a file or a folder of them."""

    kind: ClassVar[str] = "Lowe's .key or COLMAP's text"

    def _read(self, file: Path) -> Record:
        data = read_bytes(file)
        check_ended(data, file)
        first, _, rest = data.lstrip().partition(b"\n")
        head = first.split()
        if len(head) != 2 or not all(word.isdigit() for word in head):
            raise InputError(f"Expected a first line 'N 128' in {file}, got {first[:40]!r}.")
        count, width = check_count(*(int(word[:12]) for word in head))
        words = rest.split()
        if len(words) != count * (4 + width):
            raise InputError(
                f"Expected {count} x {4 + width} numbers in {file}, got {len(words)}. Was it cut "
                "off?"
            )
        table = numbers(words, str(file)).reshape(count, 4 + width)
        a, b, scales, angles = table[:, :4].T
        on_one_line = len(rest.lstrip().partition(b"\n")[0].split()) == 4 + width
        xy, turns = ((a - 0.5, b - 0.5), angles) if on_one_line else ((b, a), -angles)
        return Record(
            xy=np.stack(xy, 1),
            vectors=table[:, 4:],
            scales=scales,
            orientations=turns,
            producer="colmap text" if on_one_line else "lowe",
            origin="corner" if on_one_line else "centre",
        )
