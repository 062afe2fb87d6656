"""How the patch around a keypoint looks from elsewhere: the affine step between two pictures."""

from __future__ import annotations

import numpy as np

from invertdesc.maps._distortion import Array
from invertdesc.maps.camera import Camera
from invertdesc.maps.pose import Pose

_STEP = 1e-5  # of the depth


def tangents(normals: Array) -> tuple[Array, Array]:
    """Return two directions (N, 3) that span the planes of normals (N, 3)."""
    axis = np.zeros_like(normals)
    axis[np.arange(len(normals)), np.abs(normals).argmin(1)] = 1.0
    first = np.cross(normals, axis)
    first /= np.sqrt((first * first).sum(1, keepdims=True))
    return first, np.cross(normals, first)


def plane_to_pixels(camera: Camera, pose: Pose, points: Array, normals: Array) -> Array:
    """Return (N, 2, 2): how many pixels a step along each tangent of a point's plane is.

    Args:
        camera: What looks.
        pose: From where.
        points: (N, 3) in the world.
        normals: (N, 3) of the planes.
    """
    seen = pose.apply(points)
    here, step = camera.project(seen), np.abs(seen[:, 2:]) * _STEP
    columns = [
        (camera.project(seen + step * (tangent @ pose.rotation.T)) - here) / step
        for tangent in tangents(normals)
    ]
    return np.stack(columns, 2)


def carry(
    scales: Array | None, turns: Array | None, warp: Array
) -> tuple[Array | None, Array | None]:
    """Return scales and orientations of patches (N,) behind a warp (N, 2, 2).

    A patch grows by the square root of the warp's determinant, and its axis goes where the warp
    takes it. What is stretched or sheared stays a square: features have no room for more.
    """
    if scales is not None:
        det = warp[:, 0, 0] * warp[:, 1, 1] - warp[:, 0, 1] * warp[:, 1, 0]
        scales = scales * np.sqrt(np.abs(det))
    if turns is not None:
        axis = np.einsum("nij,nj->ni", warp, np.stack([np.cos(turns), np.sin(turns)], 1))
        turns = np.arctan2(axis[:, 1], axis[:, 0])
    return scales, turns
