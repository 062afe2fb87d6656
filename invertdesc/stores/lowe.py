"""Text that begins with `N 128`: Lowe's `.key` files, SiftGPU's `.sift`, and what COLMAP imports.

| written by | a keypoint | from the pixel's | angle |
| --- | --- | --- | --- |
| Lowe's program | row, column, scale, angle; a vector of lines | centre | against ours, -pi to pi |
| SiftGPU | the same | corner | ours, 0 to 2 pi |
| for COLMAP | x, y, scale, angle and vector on one line | corner | ours |

Lowe's and SiftGPU's are told apart by their angles: by those of the file, else of the other files;
else by the lines of the vector, which SiftGPU ends with a space.

Source: Lowe's README and SiftGPU's `SiftPyramid::SaveSIFT`, for the layouts; COLMAP, which hands
SiftGPU's positions and angles on as they are, for their meaning.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from invertdesc.errors import InputError, InvertDescError
from invertdesc.stores._files import FileStore, check_ended, read_bytes
from invertdesc.stores.base import TRIES
from invertdesc.stores.record import Array, Record, check_count, numbers

_HEAD = re.compile(rb"\s*\d{1,10}[ \t]+128[ \t]*(\r?\n|$)")
NAMES = {"lowe": "Lowe's", "siftgpu": "SiftGPU's", "colmap text": "COLMAP's"}
_TURN = 3.15  # radians: above pi, rounded


def recognise(head: bytes) -> bool:
    """Say whether a file that begins so has a count and 128 on its first line."""
    return _HEAD.match(head) is not None


class _Text(NamedTuple):
    """What a file holds, as it is written.

    Attributes:
        table: (N, 4 + 128).
        on_one_line: Whether a keypoint has one line.
        spaced: Whether the second line of a keypoint, of its vector, ends with a space.
    """

    table: Array
    on_one_line: bool
    spaced: bool

    @property
    def writer(self) -> str | None:
        """Who wrote it, as far as the file tells."""
        if self.on_one_line:
            return "colmap text"
        angles = self.table[:, 3]
        if (angles < 0).any():
            return "lowe"
        return "siftgpu" if (angles > _TURN).any() else None


class LoweStore(FileStore):
    """Read SIFT from Lowe's, SiftGPU's or COLMAP's text, a file or a folder of them."""

    kind: ClassVar[str] = "Lowe's .key, SiftGPU's or COLMAP's text"

    def _read(self, file: Path) -> Record:
        text = _read_text(file)
        writer, why = self._writer_of(text)
        a, b, scales, angles = text.table[:, :4].T
        if writer == "lowe":
            xy, turns = (b, a), -angles
        elif writer == "siftgpu":
            xy, turns = (b - 0.5, a - 0.5), angles
        else:
            xy, turns = (a - 0.5, b - 0.5), angles
        return Record(
            xy=np.stack(xy, 1),
            vectors=text.table[:, 4:],
            scales=scales,
            orientations=turns,
            producer=writer,
            origin="centre" if writer == "lowe" else "corner",
            notes=(f"Taken for {NAMES[writer]}: {why}.",) if why and len(text.table) else (),
        )

    def _writer_of(self, text: _Text) -> tuple[str, str | None]:
        """Return who wrote a file, and where it is not plain, why that is thought."""
        own = text.writer
        if own is not None:
            return own, "angles go beyond pi" if own == "siftgpu" else None
        if self._usual is not None:
            return self._usual, "no angle tells, but those of other files do"
        return (
            ("siftgpu", "no angle tells, but lines end with a space")
            if text.spaced
            else ("lowe", "no angle tells, nor do the lines' ends")
        )

    @cached_property
    def _usual(self) -> str | None:
        """Who wrote the first file of a vector on several lines that tells it."""
        for name in islice(self.names(), TRIES):
            try:
                text = _read_text(self._file(name))
            except InvertDescError:  # reported when its turn comes
                continue
            if text.writer is not None and not text.on_one_line:
                return text.writer
        return None


def _read_text(file: Path) -> _Text:
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
            f"Expected {count} x {4 + width} numbers in {file}, got {len(words)}. Was it cut off?"
        )
    table = numbers(words, str(file)).reshape(count, 4 + width)
    frame, _, vectors = rest.lstrip().partition(b"\n")
    line = vectors.partition(b"\n")[0].rstrip(b"\r")
    return _Text(table, len(frame.split()) == 4 + width, line.endswith(b" "))
