"""Depth of keypoints that were not triangulated, from those around them that were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invertdesc.maps._distortion import Array
from invertdesc.maps._surface import unit
from invertdesc.maps.model import MapImage

NEIGHBOURS = 8
_REACH = 0.06  # of the picture's longer side: how near the neighbours have to be
_MISS = 0.03  # relative to depth: how far neighbours may be off the plane that they fit
_ROWS = 1 << 14


@dataclass(frozen=True, eq=False)
class Guessed:
    """Keypoints of one image that lie on the planes of their neighbours.

    Attributes:
        keypoints: (n,) int64, rows of the image's keypoints.
        xyz: (n, 3) in the world.
        normals: (n, 3), towards the image's camera.
        nearest: (n,) int64, the map's point whose keypoint is nearest.
    """

    keypoints: Array
    xyz: Array
    normals: Array
    nearest: Array


def guess_points(image: MapImage, xyz: Array, known: Array) -> Guessed:
    """Put keypoints without a point onto the plane of the points around them.

    Of a plane, 1 / depth is an affine function of the ray; it is fitted to neighbours.

    Args:
        image: One image.
        xyz: (P, 3), the map's points.
        known: (n,) bool, the keypoints of the image whose point may be used.
    """
    from scipy.spatial import cKDTree

    rays = image.camera.unproject(image.keypoints)
    fine = np.isfinite(rays).all(1)
    given, asked = np.flatnonzero(known & fine), np.flatnonzero(~known & fine)
    depth = image.pose.apply(xyz[image.points[given]])[:, 2]
    given, depth = given[depth > 0], depth[depth > 0]
    if len(given) < NEIGHBOURS or not len(asked):
        none = np.zeros(0, np.int64)
        return Guessed(none, np.zeros((0, 3)), np.zeros((0, 3)), none)
    pixels = image.keypoints
    far, near = cKDTree(pixels[given]).query(pixels[asked], k=NEIGHBOURS)
    reach = _REACH * max(image.camera.image_size)
    kept = far[:, 2] < reach
    asked, far, near = asked[kept], far[kept], near[kept]
    planes, missed = _planes(rays[given], 1 / depth, rays[asked], far, near)
    inverse = planes[:, 2]
    fits = (missed < _MISS * np.abs(inverse)) & (inverse > 0)
    asked, planes, near = asked[fits], planes[fits], near[fits]
    seen = np.concatenate([rays[asked], np.ones((len(asked), 1))], 1) / planes[:, 2:]
    slopes = planes[:, :2]
    offset = planes[:, 2] - (slopes * rays[asked]).sum(1)
    normals = -unit(
        np.concatenate([slopes, offset[:, None]], 1)
    )  # of the plane a x + b y + c z = 1
    return Guessed(
        asked,
        image.pose.back(seen),
        normals @ image.pose.rotation,
        image.points[given[near[:, 0]]],
    )


def _planes(
    rays: Array, inverse: Array, asked: Array, far: Array, near: Array
) -> tuple[Array, Array]:
    """Fit inverse depths around each asked ray: slopes and value there (n, 3), and the miss (n,).

    Args:
        rays: (N, 2) of what is known.
        inverse: (N,) 1 / depth of those.
        asked: (n, 2) rays.
        far: (n, K) pixels to the neighbours.
        near: (n, K) rows of the neighbours.
    """
    apart = rays[near] - asked[:, None]
    spread = np.sqrt((apart * apart).mean((1, 2), keepdims=True)).clip(1e-12)
    rows = np.concatenate([apart / spread, np.ones((*near.shape, 1))], 2)
    values = inverse[near]
    middle = np.median(values, 1)
    weights = 1 / (far + 2)
    steady = np.array([1e-2, 1e-2, 0]) * weights.sum(1)[:, None]
    for _ in range(3):  # the second and third time with less weight on what is off
        left = np.einsum("nki,nk,nkj->nij", rows, weights, rows)
        left += steady[:, :, None] * np.eye(3)
        right = np.einsum("nki,nk,nk->ni", rows, weights, values)
        fit = np.linalg.solve(left, right[..., None])[..., 0]
        off = np.abs(values - np.einsum("nki,ni->nk", rows, fit)) / np.abs(middle)[:, None]
        weights = 1 / (far + 2) / (1 + (off / 0.01) ** 2)
    missed = np.median(off, 1) * np.abs(middle)
    fit[:, :2] /= spread[:, 0]
    return fit, missed
