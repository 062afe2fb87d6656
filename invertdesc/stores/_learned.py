"""Learned descriptors by the names of files, and by what their vectors look like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from invertdesc.errors import FileError
from invertdesc.stores.record import Array
from invertdesc.unfolding.unfolding import Unfolding

# Widths that each has, the likeliest of a width first.
WIDTHS: dict[str, tuple[int, ...]] = {
    "superpoint": (256,),
    "disk": (128,),
    "xfeat": (64,),
    "aliked-n16": (128,),
    "aliked-n16rot": (128,),
    "aliked-n32": (128,),
    "aliked-t16": (64,),
    "r2d2": (128,),
    "d2-net": (512,),
    "dedode": (256, 512),
    "loma-b": (256,),
    "loma-b128": (128,),
    "hardnet": (128,),
    "sosnet": (128,),
    "hynet": (128,),
    "tfeat": (128,),
    "alike": (64, 128),
}
WORDS = {"d2net": "d2-net", "aliked": "aliked-n16"}  # as files are called too
FIT = (
    "Where you have the extractor, fit its unfolding with fit_program, and pass the file that it "
    "saves as the descriptor."
)
# Means of vectors, cosines between photographs of three sets (18 pictures): of one extractor 0.44
# to 0.99, of two at most 0.21, but for aliked-n16 and aliked-n16rot, which have 0.37 to 0.78.
ALIKE, APART = 0.4, 0.15
MOST = 3000  # vectors that are looked at


class Guess(NamedTuple):
    """What vectors look like.

    Attributes:
        name: Name of the extractor; None if it is not clear.
        note: Sentence about what was measured.
    """

    name: str | None
    note: str


def name_in_file(file: str, vectors: Array) -> str | None:
    """Return the name of a learned descriptor in a file's name, where the vectors' width fits.

    >>> name_in_file("feats-superpoint-n4096-r1024.h5", np.zeros((3, 256), np.float32))
    'superpoint'
    >>> name_in_file("feats-superpoint-n4096-r1024.h5", np.zeros((3, 128), np.float32))
    """
    if vectors.dtype.kind != "f":
        return None
    names = {name: name for name in WIDTHS} | WORDS
    for word in sorted(names, key=len, reverse=True):
        if re.search(rf"(?i)(?<![a-z0-9]){word}(?![a-z0-9])", file):
            name = names[word]
            return name if vectors.shape[1] in WIDTHS[name] else None
    return None


def guess(vectors: Array) -> Guess:
    """Name what made vectors, by their width and by their mean.

    Args:
        vectors: (N, D) float.
    """
    width = vectors.shape[1]
    likely = [name for name, widths in WIDTHS.items() if width in widths]
    if not likely:
        return Guess(None, f"Nothing known has vectors of {width} numbers. {FIT}")
    cosines = _cosines(vectors[:MOST], _means(likely))
    best = sorted(cosines, key=lambda name: -cosines[name])[:2]
    if best and cosines[best[0]] > ALIKE:
        first = best[0]
        if len(best) == 1 or cosines[first] - cosines[best[1]] > APART:
            note = f"The vectors' mean has a cosine of {cosines[first]:.2f} with that of {first!r}."
            return Guess(first, note)
        both = " or ".join(map(repr, best))
        return Guess(
            best[0], f"The vectors are those of {both}, which are near each other: say which."
        )
    of = ", ".join(likely)
    note = f"Vectors of {width} numbers may be those of {of}: say which."
    return Guess(None, f"{note} {FIT}")


def _means(names: Iterable[str]) -> Mapping[str, Array]:
    """Return the mean vectors of those extractors whose unfolding ships."""
    found: dict[str, Array] = {}
    for name in names:
        try:
            found[name] = Unfolding.shipped(name).mean.numpy()
        except FileError:
            continue
    return found


def _cosines(vectors: Array, means: Mapping[str, Array]) -> dict[str, float]:
    """Return the cosines of the mean of vectors scaled to length 1 with given means."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    good = np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 0)
    if not good.any():
        return {}
    own = (vectors[good] / lengths[good]).mean(0)
    return {
        name: float(own @ mean / max(float(np.linalg.norm(own) * np.linalg.norm(mean)), 1e-12))
        for name, mean in means.items()
        if len(mean) == len(own)
    }
