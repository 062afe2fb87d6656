"""Line clouds: a random line through each point, and the points that such lines give away.

Points lie close together on surfaces. Lines through neighbouring points pass near each other just
there, while lines of other points come near anywhere along a line. So the places on a line where
others pass near are densest at its point.

Source: line clouds are Speciale et al., "Privacy preserving image-based localization", 2019. The
attack follows the idea of Chelani, Kahl, Sattler, "How privacy-preserving are line clouds?
Recovering scene details from 3D lines", 2021, section 4; it is a version of our own, with a
shortest interval as the densest place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invertdesc.maps._distortion import Array
from invertdesc.maps._surface import unit

_NEAR = 100  # neighbouring lines of a line
_SHARE = 0.2  # of them, in the shortest interval
_CHUNK = 2**20  # pairs of lines at once
_PAIRS = 2**28  # pairs of lines that are looked at; of more lines, some serve as neighbours
_PARALLEL = 0.05  # least squared sine between lines whose crossing says something


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines through space.

    Attributes:
        origins: (N, 3), a place on each, anywhere.
        directions: (N, 3) of length 1.
    """

    origins: Array
    directions: Array


def thrown_lines(xyz: Array, seed: int = 0) -> Lines:
    """Throw a line of a random direction through each point (N, 3), and forget where on it.

    What is kept of a line is its place nearest to the middle of the points.
    """
    draw = np.random.default_rng(seed)
    directions = unit(draw.normal(size=xyz.shape))
    middle = np.median(xyz, 0) if len(xyz) else np.zeros(3)
    away = xyz - middle
    along = np.einsum("ni,ni->n", away, directions)
    return Lines(middle + away - along[:, None] * directions, directions)


def recover_points(lines: Lines) -> Array:
    """Return (N, 3), where on each line its point seems to be.

    >>> plane = np.random.default_rng(0).uniform(size=(2000, 3)) * (1, 1, 0)
    >>> far = np.linalg.norm(recover_points(thrown_lines(plane)) - plane, axis=1)
    >>> bool(np.median(far) < 0.03)
    True
    """
    count = len(lines.origins)
    others = np.arange(count)
    if count * count > _PAIRS:
        draw = np.random.default_rng(0)
        others = draw.choice(count, max(_NEAR, _PAIRS // count), replace=False)
    near = min(_NEAR, len(others) - 1)
    if near < 2:
        return lines.origins.copy()
    places = _along(lines, _passing_near(lines, others, near))
    found: Array = lines.origins + places[:, None] * lines.directions
    return found


def _passing_near(lines: Lines, others: Array, count: int) -> Array:
    """Return (N, count): for each line those of others (M,) that pass nearest to it, wherever."""
    total = len(lines.origins)
    found = np.empty((total, count), np.int64)
    step = max(1, _CHUNK // len(others))
    for start in range(0, total, step):
        rows = np.arange(start, min(start + step, total))
        gap, _ = _crossing(lines, rows[:, None], others[None])  # of itself: parallel
        found[rows] = others[np.argpartition(gap, count - 1, axis=1)[:, :count]]
    return found


def _crossing(lines: Lines, ones: Array, others: Array) -> tuple[Array, Array]:
    """Return how near pairs of lines pass each other, and where on the first one that is.

    Those that are nearly parallel are infinitely far.
    """
    u, v = lines.directions[ones], lines.directions[others]
    apart = lines.origins[others] - lines.origins[ones]
    uv = (u * v).sum(-1)
    du, dv = (apart * u).sum(-1), (apart * v).sum(-1)
    sine = np.maximum(1 - uv * uv, _PARALLEL)
    where = (du - uv * dv) / sine
    there = (uv * du - dv) / sine
    gap = np.linalg.norm(apart + there[..., None] * v - where[..., None] * u, axis=-1)
    return np.where(sine > _PARALLEL, gap, np.inf), where


def _along(lines: Lines, others: Array) -> Array:
    """Return (N,): the middle of the shortest interval of a line where a share of others pass."""
    _, where = _crossing(lines, np.arange(len(others))[:, None], others)
    where = np.sort(where, axis=1)
    inside = max(2, round(_SHARE * others.shape[1]))
    widths = where[:, inside - 1 :] - where[:, : 1 - inside]
    first = widths.argmin(1)
    found: Array = where[np.arange(len(where)), first + inside // 2]
    return found
