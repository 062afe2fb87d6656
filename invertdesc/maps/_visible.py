"""Which points a camera sees: those in front of its picture that nothing nearer covers."""

from __future__ import annotations

import numpy as np

from invertdesc.maps._distortion import Array

_CELL = 2  # pixels of the depth buffer's cells
_WIDEST = 16  # cells that a point covers to each side, at most
_APART = 1e-4  # relative: points of one plane are distinguished by it, to be counted
_GOLDEN = 0.6180339887
_COVERS = 4  # how many points have to cover a place until what lies behind them is hidden


def depth_buffer(
    pixels: Array, depths: Array, slopes: Array, reach: Array, image_size: tuple[int, int]
) -> Array:
    """Return (h, w): in each cell the fourth least depth, each point covering a disc of its plane.

    Discs reach beyond the border of what they are part of; there few of them lie on each other, so
    that the fourth ends about where the surface does.

    Args:
        pixels: (N, 2).
        depths: (N,).
        slopes: (N, 2), of 1 / depth along the picture's x and y, per pixel.
        reach: (N,) pixels to which each point covers.
        image_size: (H, W).
    """
    height, width = (-(-side // _CELL) for side in image_size)
    places, values = _discs(pixels, depths, slopes, reach, (height, width))
    values *= 1 + _APART * (np.arange(len(values)) * _GOLDEN % 1).astype(np.float32)
    buffer = np.zeros(height * width, np.float32)
    for _ in range(_COVERS):
        below, buffer = buffer, np.full(height * width, np.inf, np.float32)
        left = values > below[places]
        places, values = places[left], values[left]
        np.minimum.at(buffer, places, values)
    return buffer.reshape(height, width)


def _discs(
    pixels: Array, depths: Array, slopes: Array, reach: Array, shape: tuple[int, int]
) -> tuple[Array, Array]:
    """Return the cells that discs cover, one after the other, and their depths there."""
    height, width = shape
    cells = np.minimum(reach / _CELL, _WIDEST)
    order = np.argsort(-cells, kind="stable")
    pixels, cells, slopes = pixels[order], cells[order], slopes[order]
    home, inverse = np.round(pixels / _CELL).astype(np.int64), 1 / depths[order]
    widest = int(np.ceil(cells.max(initial=0)))
    steps = np.arange(-widest, widest + 1)
    places, values = [], []
    for step in np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2):
        far = np.hypot(*step)
        count = np.searchsorted(-cells, -far, side="right") if far else len(cells)
        x, y = (home[:count] + step).T
        some = np.flatnonzero((x >= 0) & (x < width) & (y >= 0) & (y < height))
        apart = (home[some] + step) * _CELL - pixels[some]
        there = inverse[some] + np.einsum("ni,ni->n", slopes[some], apart)
        near = there > 0.5 * inverse[some]
        places.append((y[some] * width + x[some])[near].astype(np.int32))
        values.append((1 / there[near]).astype(np.float32))
    return np.concatenate(places), np.concatenate(values)


def uncovered(pixels: Array, depths: Array, buffer: Array, slack: Array) -> Array:
    """Say which points (N,) are not behind what the depth buffer has in their cell.

    Args:
        pixels: (N, 2).
        depths: (N,).
        buffer: As `depth_buffer` returns it.
        slack: (N,) relative depth by which a point may lie behind.
    """
    high = np.array(buffer.shape[::-1]) - 1
    x, y = np.clip(np.round(pixels / _CELL).astype(np.int64), 0, high).T
    found: Array = depths <= buffer[y, x] * (1 + slack)
    return found
