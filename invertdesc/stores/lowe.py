"""Read text that begins with `N 128`: Lowe's `.key`, SiftGPU's `.sift`, COLMAP's imports.

| written by | a keypoint | from the pixel's | angle |
| --- | --- | --- | --- |
| Lowe's program | row, column, scale, angle; vector on more lines | centre | opposite, -pi to pi |
| SiftGPU | the same | corner | as here, 0 to 2 pi |
| for COLMAP | x, y, scale, angle and vector on one line | corner | as here |

Files of Lowe and SiftGPU are distinguished by their angles, first those of the file, then those of
the other files. If that is not enough, the lines of the vector decide: SiftGPU ends them with a
space.

Source: Lowe's README and SiftGPU's `SiftPyramid::SaveSIFT`, for the layouts; COLMAP, which uses
SiftGPU's positions and angles without conversion, for their meaning.
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
    """Return whether a file with this beginning has a count and 128 on its first line."""
    return _HEAD.match(head) is not None


class _Text(NamedTuple):
    """The content of a file, without conversion.

    Attributes:
        table: (N, 4 + 128) values.
        on_one_line: Whether each keypoint has a single line.
        spaced: Whether the second line of a keypoint, the first of its vector, ends with a space.
    """

    table: Array
    on_one_line: bool
    spaced: bool

    @property
    def writer(self) -> str | None:
        """The program that wrote the file, if its content shows it."""
        if self.on_one_line:
            return "colmap text"
        angles = self.table[:, 3]
        if (angles < 0).any():
            return "lowe"
        return "siftgpu" if (angles > _TURN).any() else None


class LoweStore(FileStore):
    """Read SIFT from a text file of Lowe's program, SiftGPU or COLMAP, or from a folder."""

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
        """Return the program that wrote a file, and the reason if it is not certain."""
        own = text.writer
        if own is not None:
            return own, "angles go beyond pi" if own == "siftgpu" else None
        if self._usual is not None:
            return self._usual, "its angles do not show it, but those of other files do"
        return (
            ("siftgpu", "angles do not show it, but lines end with a space")
            if text.spaced
            else ("lowe", "neither angles nor line ends show it")
        )

    @cached_property
    def _usual(self) -> str | None:
        """The writer of the first file with vectors on several lines that shows it."""
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
