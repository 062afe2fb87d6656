"""Convert COLMAP's keypoints of 2, 4 or 6 columns, which kapture also has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from invertdesc.errors import InputError
from invertdesc.stores.record import Array

ROUND = 1.05  # a shape counts as a circle up to this ratio of axes


class Frames(NamedTuple):
    """Keypoints in the units of invertdesc.

    Attributes:
        xy: (N, 2), integers are pixel centres.
        scales: (N,) sigma in pixels, or None.
        orientations: (N,) radians from +x towards +y, or None.
        notes: Sentences about lost data.
    """

    xy: Array
    scales: Array | None
    orientations: Array | None
    notes: tuple[str, ...] = ()


def read_frames(table: Array) -> Frames:
    """Read COLMAP's columns: x, y; x, y, scale, orientation; or x, y and a 2 x 2 shape A by rows.

    With A, scale is (|A e1| + |A e2|) / 2 and orientation atan2(a21, a11), as in COLMAP.

    Args:
        table: (N, 2 | 4 | 6).

    Raises:
        InputError: There is another number of columns.
    """
    table = table.astype(np.float64)
    xy = table[:, :2] - 0.5  # COLMAP's first pixel is 0 to 1, here it is -0.5 to 0.5
    columns = table.shape[1]
    if columns == 2:
        return Frames(xy, None, None)
    if columns == 4:
        return Frames(xy, table[:, 2], _within_pi(table[:, 3]))
    if columns != 6:
        raise InputError(f"Expected keypoints of 2, 4 or 6 columns, got {columns}.")
    a11, a12, a21, a22 = table[:, 2:].T
    scales = (np.hypot(a11, a21) + np.hypot(a12, a22)) / 2
    return Frames(xy, scales, np.arctan2(a21, a11), _shape_notes(table[:, 2:]))


def _within_pi(angles: Array) -> Array:
    return np.remainder(angles + np.pi, 2 * np.pi) - np.pi


def _shape_notes(shapes: Array) -> tuple[str, ...]:
    if not len(shapes) or not np.isfinite(shapes).all():
        return ()
    values = np.linalg.svd(shapes.reshape(-1, 2, 2), compute_uv=False)
    stretched = values[:, 0] > ROUND * values[:, 1]
    if stretched.mean() < 0.01:
        return ()
    return (
        "Keypoints have affine shapes. Only their scale and orientation are used, so pieces of the "
        "picture are sheared.",
    )
