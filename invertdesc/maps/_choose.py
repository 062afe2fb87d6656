"""Which observations serve a camera best: those that saw a point from nearly there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invertdesc.maps._distortion import Array


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of surface that a camera may see, each by one observation.

    Attributes:
        xyz: (N, 3) in the world.
        normals: (N, 3).
        images: (N,) whose observation it is.
        keypoints: (N,) in that image.
        cosines: (N,) of the angle at the patch, between the camera and the image's.
        points: (N,) the map's point, or the one that lends its colour.
    """

    xyz: Array
    normals: Array
    images: Array
    keypoints: Array
    cosines: Array
    points: Array

    def __len__(self) -> int:
        return len(self.xyz)

    def __getitem__(self, rows: Array) -> Patches:
        return Patches(*(value[rows] for value in vars(self).values()))

    @classmethod
    def join(cls, parts: list[Patches]) -> Patches:
        """Put several together."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


def best_of_each(owners: Array, values: Array, most: int) -> Array:
    """Return the rows of the `most` largest values of each owner; of equals, the first.

    Args:
        owners: (O,) ascending.
        values: (O,), finite.
        most: How many of each.

    >>> best_of_each(np.array([0, 0, 0, 4]), np.array([0.1, 0.9, 0.5, 0.2]), 2).tolist()
    [1, 3, 2]
    """
    if not len(owners):
        return np.zeros(0, np.int64)
    firsts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    group = np.repeat(np.arange(len(firsts)), np.diff(np.r_[firsts, len(owners)]))
    left = values.astype(np.float64)
    found = []
    for _ in range(most):
        best = np.flatnonzero((left == np.maximum.reduceat(left, firsts)[group]) & (left > -np.inf))
        if not len(best):
            break
        best = best[np.r_[True, group[best][1:] != group[best][:-1]]]
        left[best] = -np.inf
        found.append(best)
    return np.concatenate(found)


def thinned(pixels: Array, values: Array, most: int, image_size: tuple[int, int]) -> Array:
    """Return rows of at most so many patches, spread evenly; of each place those of high value.

    Args:
        pixels: (N, 2).
        values: (N,), cosines.
        most: How many.
        image_size: (H, W).
    """
    if len(pixels) <= most:
        return np.arange(len(pixels))
    side = np.sqrt(image_size[0] * image_size[1] / most)
    column, row = np.floor((pixels + 0.5) / side).astype(np.int64).T
    cells = row * (image_size[1] + 1) + column
    order = np.argsort(cells + (1 - values) / 2.001, kind="stable")  # within a cell: below 1
    ranked = cells[order]
    firsts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    counts = np.diff(np.r_[firsts, len(order)])
    rank = np.arange(len(order)) - np.repeat(firsts, counts)
    found: Array = np.sort(order[np.lexsort((-values[order], rank))[:most]])
    return found
