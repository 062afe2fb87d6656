"""OpenSfM's `tracks.csv`: which keypoints of which images are one point.

A line each, of words between tabs: image, track, feature, x, y, then a scale from version 1 on, and
r, g, b. Version 0 has no first line that names the version.

Source: OpenSfM's own files, and its documentation, "Dataset Structure", for their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from invertdesc.errors import InputError
from invertdesc.maps._distortion import Array
from invertdesc.maps.model import NOWHERE
from invertdesc.stores._files import check_ended, read_bytes
from invertdesc.stores.record import numbers

_HEAD = "OPENSFM_TRACKS_VERSION_v"
_LEAST = 8  # words of a line
_MOST = 2**31


@dataclass(frozen=True, eq=False)
class Tracks:
    """Keypoints of tracks.

    Attributes:
        images: (n,) int64, which image.
        features: (n,) int64, the keypoint's row among the image's features.
        xy: (n, 2) parts of the image's longer side, from its middle.
        points: (n,) int64, row of the point; -1 where the track became none.
    """

    images: Array
    features: Array
    xy: Array
    points: Array


def read_tracks(file: Path, images: Sequence[str], points: Mapping[str, int]) -> Tracks:
    """Read the keypoints of some images.

    Args:
        file: The text.
        images: Their names; lines of other images are left out.
        points: Rows of points, by the names of their tracks.

    Raises:
        FileError: Missing or unreadable.
        InputError: Cut off, or with words where numbers should be.
    """
    data = read_bytes(file)
    check_ended(data, file)
    known = {name: number for number, name in enumerate(images)}
    places, shown, features, xy = [], [], [], []
    for line in data.decode(errors="replace").split("\n"):
        words = line.rstrip("\r").split("\t")
        if words == [""] or words[0].startswith(_HEAD):
            continue
        if len(words) < _LEAST:
            raise InputError(
                f"Expected image, track, feature, x, y and colours in {file}, got {line[:60]!r}."
            )
        if words[0] in known:
            places.append(known[words[0]])
            shown.append(points.get(words[1], NOWHERE))
            features.append(words[2])
            xy += words[3:5]
    rows = numbers(features, f"features of {file.name}")
    if not ((rows >= 0) & (rows < _MOST) & (rows == np.floor(rows))).all():
        raise InputError(f"Expected numbers of features in {file}, got others.")
    return Tracks(
        np.array(places, np.int64),
        rows.astype(np.int64),
        numbers(xy, f"positions of {file.name}").reshape(-1, 2),
        np.array(shown, np.int64),
    )
