"""Lens distortion: how a model moves points of the plane at depth 1; COLMAP's names and parameters.

Each function takes points (N, 2) and the parameters behind focal lengths and principal point, and
returns points (N, 2). Of fisheye models the points come in as angles: their distance to the axis
is the ray's angle to it, in radians.

Source: the formulas in COLMAP's documentation of camera models and in OpenCV's of `calib3d` and
`fisheye`; Devernay, Faugeras, "Straight lines have to be straight", 2001, for FOV.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Distort: TypeAlias = Callable[[Array, Sequence[float]], Array]


class Lens(NamedTuple):
    """A camera model.

    Attributes:
        focals: Focal lengths among its parameters, 1 or 2; they come first.
        extras: Parameters behind the principal point.
        distort: What it does to points.
        fisheye: Whether it works on angles.
    """

    focals: int
    extras: int
    distort: Distort
    fisheye: bool = False

    @property
    def params(self) -> int:
        """How many parameters there are."""
        return self.focals + 2 + self.extras


def _straight(points: Array, _: Sequence[float]) -> Array:
    return points


def _growth(points: Array, factors: Sequence[float]) -> Array:
    """Return k1 r^2 + k2 r^4 + ... as (N, 1)."""
    squared = (points * points).sum(1, keepdims=True)
    total: Array = np.zeros_like(squared)
    for factor in reversed(factors):
        total = (total + factor) * squared
    return total


def _radial(points: Array, factors: Sequence[float]) -> Array:
    found: Array = points * (1 + _growth(points, factors))
    return found


def _tangential(points: Array, p1: float, p2: float) -> Array:
    x, y = points.T
    squared = x * x + y * y
    right = 2 * p1 * x * y + p2 * (squared + 2 * x * x)
    down = 2 * p2 * x * y + p1 * (squared + 2 * y * y)
    return np.stack([right, down], 1)


def _opencv(points: Array, extras: Sequence[float]) -> Array:
    k1, k2, p1, p2 = extras
    return _radial(points, (k1, k2)) + _tangential(points, p1, p2)


def _full_opencv(points: Array, extras: Sequence[float]) -> Array:
    k1, k2, p1, p2, k3, k4, k5, k6 = extras
    scale = (1 + _growth(points, (k1, k2, k3))) / (1 + _growth(points, (k4, k5, k6)))
    found: Array = points * scale + _tangential(points, p1, p2)
    return found


def _thin_prism(points: Array, extras: Sequence[float]) -> Array:
    k1, k2, p1, p2, k3, k4, right, down = extras
    squared = (points * points).sum(1, keepdims=True)
    prism = squared * np.array([[right, down]])
    found: Array = _radial(points, (k1, k2, k3, k4)) + _tangential(points, p1, p2) + prism
    return found


def _field_of_view(points: Array, extras: Sequence[float]) -> Array:
    (omega,) = extras
    radius = np.sqrt((points * points).sum(1, keepdims=True))
    if abs(omega) < 1e-8:
        return points
    wide = 2 * np.tan(omega / 2)
    near = radius < 1e-9
    safe = np.where(near, 1.0, radius)
    scale: Array = np.where(near, wide / omega, np.arctan(safe * wide) / (safe * omega))
    return points * scale


# By COLMAP's name; `NUMBERS` are those of its binary files.
LENSES = {
    "SIMPLE_PINHOLE": Lens(1, 0, _straight),
    "PINHOLE": Lens(2, 0, _straight),
    "SIMPLE_RADIAL": Lens(1, 1, _radial),
    "RADIAL": Lens(1, 2, _radial),
    "OPENCV": Lens(2, 4, _opencv),
    "OPENCV_FISHEYE": Lens(2, 4, _radial, fisheye=True),
    "FULL_OPENCV": Lens(2, 8, _full_opencv),
    "FOV": Lens(2, 1, _field_of_view),
    "SIMPLE_RADIAL_FISHEYE": Lens(1, 1, _radial, fisheye=True),
    "RADIAL_FISHEYE": Lens(1, 2, _radial, fisheye=True),
    "THIN_PRISM_FISHEYE": Lens(2, 8, _thin_prism, fisheye=True),
    "SIMPLE_FISHEYE": Lens(1, 0, _straight, fisheye=True),
    "FISHEYE": Lens(2, 0, _straight, fisheye=True),
}
NUMBERS = {
    0: "SIMPLE_PINHOLE",
    1: "PINHOLE",
    2: "SIMPLE_RADIAL",
    3: "RADIAL",
    4: "OPENCV",
    5: "OPENCV_FISHEYE",
    6: "FULL_OPENCV",
    7: "FOV",
    8: "SIMPLE_RADIAL_FISHEYE",
    9: "RADIAL_FISHEYE",
    10: "THIN_PRISM_FISHEYE",
    14: "SIMPLE_FISHEYE",
    15: "FISHEYE",
}
_STEPS, _SMALL, _NEAR = 30, 1e-6, 1e-7
_WAY = (0.25, 0.5, 0.75, 1.0)  # of the way out, at which folds are looked for


def undistort(lens: Lens, points: Array, extras: Sequence[float]) -> Array:
    """Return what a lens distorts to points (N, 2), by Newton's method; NaN where it finds none.

    What lies behind a fold, so that points nearer to the axis are distorted to the same place, is
    not taken.
    """
    if lens.distort is _straight:
        return points
    found = points.copy()
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            missed = lens.distort(found, extras) - points
            if np.nanmax(np.abs(missed), initial=0) < _NEAR * _SMALL:
                break
            (a, b), (c, d), det = _slopes(lens, found, extras)
            dx, dy = missed.T
            found = found - np.stack([dx * d - dy * c, a * dy - b * dx], 1) / det[:, None]
        good = np.abs(lens.distort(found, extras) - points).max(1) < _NEAR
        for share in _WAY:
            good &= _slopes(lens, found * share, extras)[2] > 0
        found[~good] = np.nan
    return found


def _slopes(lens: Lens, points: Array, extras: Sequence[float]) -> tuple[Array, Array, Array]:
    """Return how distorted points move (2, N) with x, with y, and the determinant (N,) of both."""
    right, down = (
        (lens.distort(points + step, extras) - lens.distort(points - step, extras)) / (2 * _SMALL)
        for step in (np.array([[_SMALL, 0.0]]), np.array([[0.0, _SMALL]]))
    )
    return right.T, down.T, right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0]
