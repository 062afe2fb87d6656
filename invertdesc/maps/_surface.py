"""The surface around points: which way it faces, and how far apart points lie on it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from invertdesc.maps._distortion import Array
from invertdesc.maps.model import Model

NEIGHBOURS = 12
_OFF = 0.1  # of the spacing: how far off a plane a neighbour counts by half
_MOST = 0.4  # share of neighbours that have to lie on a plane
_ASIDE = 0.1  # least cosine between a plane's normal and the cameras that saw its points
_ROWS = 1 << 15


class Surface:
    """Planes through the neighbours of points, fitted when they are first asked for.

    Attributes:
        directions: (O, 3) float32 of length 1, from the point of each observation to its camera.
        owners: (O,) int32, the point of each observation.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        centres = np.stack([image.pose.centre for image in model.images])
        self.owners = np.repeat(np.arange(len(model.xyz), dtype=np.int32), np.diff(model.starts))
        self.directions = np.empty((len(self.owners), 3), np.float32)
        for start in range(0, len(self.owners), _ROWS):
            some = slice(start, start + _ROWS)
            apart = centres[model.seen_by[some]] - model.xyz[self.owners[some]]
            self.directions[some] = unit(apart)
        self._normals = np.zeros(model.xyz.shape, np.float32)
        self._spacing = np.zeros(len(model.xyz), np.float32)
        self._done = np.zeros(len(model.xyz), bool)
        self._own = np.full(model.xyz.shape, np.nan, np.float32)

    def at(self, points: Array) -> tuple[Array, Array]:
        """Return normals (n, 3) and spacings (n,) of some points.

        Normals have length 1 and point to the cameras that saw the point. Where neighbours lie on
        no plane, or there are too few, the normal is the direction to those cameras. The spacing is
        the distance to the fourth neighbour, infinite where there is none.
        """
        asked = np.unique(points[~self._done[points]])
        for start in range(0, len(asked), _ROWS):
            self._settle(asked[start : start + _ROWS])
        return self._normals[points].astype(np.float64), self._spacing[points]

    def _settle(self, rows: Array) -> None:
        """Take for each point that plane, its own or a neighbour's, on which most neighbours lie.

        At an edge the own one is fitted to both sides; that of a point a little aside is not.
        """
        self._done[rows] = True
        if len(self._model.xyz) <= NEIGHBOURS:
            self._normals[rows], self._spacing[rows] = self.towards[rows], np.inf
            return
        far, near = self._tree.query(self._model.xyz[rows], k=NEIGHBOURS + 1)
        lacking = np.unique(near)
        lacking = lacking[np.isnan(self._own[lacking, 0])]
        for start in range(0, len(lacking), _ROWS):
            self._fit(lacking[start : start + _ROWS])
        planes = self._own[near]  # (n, K, 3)
        apart = self._model.xyz[near] - self._model.xyz[rows, None]
        off = np.abs(np.einsum("nki,nji->nkj", planes, apart)) / far[:, 4, None, None]
        scores = (1 / (1 + (off / _OFF) ** 2)).sum(2)
        best = scores.argmax(1)
        found = planes[np.arange(len(rows)), best]
        towards = self.towards[rows]
        side = np.einsum("ni,ni->n", found, towards)
        flat = (scores.max(1) > _MOST * (NEIGHBOURS + 1)) & (np.abs(side) > _ASIDE)
        self._spacing[rows] = far[:, 4]
        self._normals[rows] = np.where(flat[:, None], found * np.sign(side)[:, None], towards)

    def _fit(self, rows: Array) -> None:
        _, near = self._tree.query(self._model.xyz[rows], k=NEIGHBOURS + 1)
        apart = self._model.xyz[near]
        apart = apart - apart.mean(1, keepdims=True)
        _, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", apart, apart))
        self._own[rows] = axes[:, :, 0]

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self._model.xyz)

    @cached_property
    def towards(self) -> Array:
        """(P, 3): the mean direction from each point to the cameras that saw it."""
        count = len(self._model.xyz)
        total = np.stack(
            [np.bincount(self.owners, self.directions[:, axis], count) for axis in range(3)], 1
        )
        total[(total == 0).all(1)] = (0, 0, 1)
        return unit(total)


def unit(vectors: Array) -> Array:
    """Return vectors (N, 3) of length 1; those of length 0 stay."""
    length = np.sqrt(np.einsum("ni,ni->n", vectors, vectors))
    found: Array = vectors / np.where(length > 0, length, 1)[:, None]
    return found
