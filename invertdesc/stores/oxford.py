"""Read regions of Oxford's detectors and hesaff: text, an ellipse and a vector per line.

The length of vectors, 128, and their number come first, on two lines or on one. Then follow x, y,
a, b, c and the vector, where a (u - x)^2 + 2 b (u - x) (v - y) + c (v - y)^2 = 1 is the border of
the region. Vectors are in VLFeat's order.

Source: hesaff's README, for the format; Perdoch, Chum, Matas, CVPR 2009, for upright regions.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import InputError
from invertdesc.stores._files import FileStore, read_words
from invertdesc.stores.record import Array, Record, check_count, numbers
from invertdesc.stores.vlfeat import from_vlfeat

_BARE = re.compile(rb"1(\.0*)?[ \t]*\r?\n\d{1,10}[ \t]*\r?\n[ \t]*(\S+[ \t]+){4}\S+[ \t]*\r?\n")
_HEAD = re.compile(rb"\s*128\s+\d{1,10}[ \t]*(\r?\n|$)")
SHAPE, WIDTH = 5, 128
# The diameter of a region covers the 4 cells of the grid and half a cell on both sides, and a cell
# of SIFT has a width of 3 sigma.
RADIUS = 5 * 3 / 2  # in sigma


def recognise(head: bytes) -> bool:
    """Return whether a file with this beginning starts with 128 and a count."""
    return _HEAD.match(head) is not None


def lacks_vectors(head: bytes) -> bool:
    """Return whether a file with this beginning has regions of five numbers without vectors."""
    return _BARE.match(head) is not None


class OxfordStore(FileStore):
    """Read SIFT of affine regions from a file, or from a folder of files.

    Only the size of an ellipse is kept, as the scale. Orientations are not stored.
    """

    kind: ClassVar[str] = "Oxford's regions"

    def _read(self, file: Path) -> Record:
        words = read_words(file)
        if len(words) < 2 or words[0] != b"128" or not words[1].isdigit():
            raise InputError(f"Expected 128 and a count first in {file}, got {words[:2]}.")
        count, _ = check_count(int(words[1][:12]))
        if len(words) != 2 + count * (SHAPE + WIDTH):
            raise InputError(
                f"Expected {count} x {SHAPE + WIDTH} numbers in {file}, got {len(words) - 2}. Was "
                "it cut off?"
            )
        table = numbers(words[2:], str(file)).reshape(count, SHAPE + WIDTH)
        return Record(
            xy=table[:, :2],
            vectors=from_vlfeat(table[:, SHAPE:]),
            scales=_radii(table[:, 2:SHAPE], file) / RADIUS,
            producer="oxford",
            notes=(
                "Regions are ellipses, of which only the size is kept: pieces of the picture come "
                "out sheared.",
                "hesaff's regions are upright, for which a guess of orientations=0 is right; "
                "the file does not contain them.",
            ),
        )


def _radii(shapes: Array, file: Path) -> Array:
    """Return the radii of circles with the areas of the ellipses (N, 3) of a, b, c."""
    a, b, c = shapes.T
    determinants = a * c - b * b
    if not ((a > 0) & (determinants > 0)).all():  # NaN also fails this test
        raise InputError(f"Expected ellipses a, b, c with a c > b^2 in {file}, got others.")
    return np.asarray(determinants**-0.25)
