"""What structure from motion found: cameras, images with their keypoints, points and tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from invertdesc.errors import InputError
from invertdesc.maps._distortion import Array
from invertdesc.maps.camera import Camera
from invertdesc.maps.pose import Pose

LARGE = 1e12  # beyond which squares of squares overflow
NOWHERE = -1  # of a keypoint that belongs to no point


@dataclass(frozen=True, eq=False)
class MapImage:
    """One image of a map.

    Attributes:
        name: As the map calls it.
        camera: What took it.
        pose: Where from.
        keypoints: (n, 2) float64 pixels; whole numbers are pixel centres.
        points: (n,) int64, the row of the point that each keypoint shows; -1 for none.
    """

    name: str
    camera: Camera
    pose: Pose
    keypoints: Array
    points: Array


@dataclass(frozen=True, eq=False)
class Model:
    """Cameras, images, points and which keypoints show them; checked when made by `assemble`.

    Observations are in the order of their points, then of images.

    Attributes:
        images: In the order of their names.
        xyz: (P, 3) float64, points in the world.
        colors: (P, 3) uint8 RGB.
        starts: (P + 1,) int64; point p has the observations `starts[p]` to `starts[p + 1]`.
        seen_by: (O,) int32, the image of each observation.
        seen_as: (O,) int32, the keypoint in that image.
        kind: What wrote it, in words.
        notes: What else there is to know, a sentence each.
    """

    images: tuple[MapImage, ...]
    xyz: Array
    colors: Array
    starts: Array
    seen_by: Array
    seen_as: Array
    kind: str = "map"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RawImage:
    """An image as stored in a file, with ids of the file."""

    name: str
    camera: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]
    keypoints: Array  # (n, 2), COLMAP's pixels
    ids: Array  # (n,) int64, of points; -1 for none


@dataclass(frozen=True, eq=False)
class RawPoints:
    """Points as stored in a file, with ids of the file; tracks end to end."""

    ids: Array  # (P,) int64
    xyz: Array  # (P, 3)
    colors: Array  # (P, 3) uint8
    lengths: Array  # (P,) int64
    images: Array  # (O,) int64
    keypoints: Array  # (O,) int64


def assemble(
    cameras: Mapping[int, Camera],
    images: Mapping[int, RawImage],
    points: RawPoints,
    *,
    kind: str = "map",
    notes: tuple[str, ...] = (),
) -> Model:
    """Put what files contain together, and check that it fits.

    Args:
        cameras: By their ids.
        images: By their ids.
        points: With their tracks.
        kind: What wrote them, in words.
        notes: What else there is to know, a sentence each.

    Raises:
        InputError: It does not; the message says where.
    """
    if not images:
        raise InputError("Expected a model with images, got none.")
    order = sorted(images, key=lambda number: images[number].name)
    _check_names([images[number].name for number in order])
    _check_points(points)
    rows = np.argsort(points.ids, kind="stable")
    made = tuple(_image(images[number], cameras, points.ids, rows) for number in order)
    starts, seen_by, seen_as = _tracks(points, order, made)
    return Model(made, points.xyz, points.colors, starts, seen_by, seen_as, kind, notes)


def _check_names(names: Sequence[str]) -> None:
    for one, other in pairwise(names):
        if one == other:
            raise InputError(f"Expected images of different names, got two of {one!r}.")


def _check_points(points: RawPoints) -> None:
    if len(np.unique(points.ids)) != len(points.ids):
        raise InputError("Expected points of different ids, got one twice.")
    bad = np.asarray(~(np.abs(points.xyz) < LARGE).all(1))
    if bad.any():
        raise InputError(
            f"Expected points of finite numbers below 1e12, got others in {int(bad.sum())} of "
            f"{len(bad)}, the first of them point {points.ids[bad][0]}."
        )


def _image(raw: RawImage, cameras: Mapping[int, Camera], ids: Array, rows: Array) -> MapImage:
    if raw.camera not in cameras:
        raise InputError(
            f"Expected image {raw.name!r} to have a camera of the map, got number {raw.camera}."
        )
    try:
        pose = Pose.from_quaternion(raw.quaternion, raw.translation)
    except InputError as error:
        raise InputError(f"Cannot use image {raw.name!r}: {error}") from error
    if not (np.abs(raw.keypoints) < LARGE).all():
        raise InputError(f"Expected finite keypoints of {raw.name!r}, below 1e12; got others.")
    places = np.full(len(raw.ids), NOWHERE, np.int64)
    shown = raw.ids != NOWHERE
    if shown.any():
        found = np.searchsorted(ids, raw.ids[shown], sorter=rows)
        found = rows[np.minimum(found, len(rows) - 1)] if len(rows) else found
        if not len(rows) or (ids[found] != raw.ids[shown]).any():
            raise InputError(
                f"Expected keypoints of {raw.name!r} to show points of the map, got some of points "
                "that are not there. Are the files of one model?"
            )
        places[shown] = found
    return MapImage(raw.name, cameras[raw.camera], pose, raw.keypoints - 0.5, places)


def _tracks(
    points: RawPoints, order: Sequence[int], images: Sequence[MapImage]
) -> tuple[Array, Array, Array]:
    """Return starts, images and keypoints of observations that both sides agree on.

    Raises:
        InputError: A track leads to an image or a keypoint that is not there or shows another
            point, or a keypoint shows a point whose track does not have it.
    """
    numbers = np.array(order, np.int64)
    by_number = np.argsort(numbers, kind="stable")
    owners = np.repeat(np.arange(len(points.ids)), points.lengths)
    place = np.searchsorted(numbers, points.images, sorter=by_number)
    place = by_number[np.minimum(place, len(order) - 1)] if len(order) else place
    if len(owners) and (not len(order) or (numbers[place] != points.images).any()):
        raise InputError(
            "Expected tracks through images of the map, got some through images that are not "
            "there. Are the files of one model?"
        )
    counts = np.array([len(image.points) for image in images], np.int64)
    bases = np.concatenate([[0], np.cumsum(counts)])
    shown = np.concatenate([image.points for image in images] or [np.zeros(0, np.int64)])
    outside = (points.keypoints < 0) | (points.keypoints >= counts[place])
    flat = np.where(outside, 0, bases[place] + points.keypoints)
    fits = not outside.any() and bool((shown[flat] == owners).all())
    if not fits or len(np.unique(flat)) != len(flat) or len(flat) != (shown >= 0).sum():
        raise InputError(
            "Expected tracks of points and keypoints of images to agree, got some that do not. "
            "Are the files of one model?"
        )
    inner = np.lexsort((points.keypoints, place, owners))
    starts = np.concatenate([[0], np.cumsum(points.lengths)])
    seen_by, seen_as = place[inner].astype(np.int32), points.keypoints[inner].astype(np.int32)
    return starts, seen_by, seen_as
