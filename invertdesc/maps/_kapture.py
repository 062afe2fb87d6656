"""kapture 1.0 and 1.1: text files of sensors, poses, points and observations.

Rigs are resolved; images without a pose, such as queries, are left out. Observations name
keypoints by their numbers in the binary files of `reconstruction/keypoints`.

Source: kapture's documentation, "data format".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from invertdesc.errors import InputError
from invertdesc.limits import check_limit
from invertdesc.maps._distortion import Array
from invertdesc.maps.camera import Camera
from invertdesc.maps.model import NOWHERE, Model, RawImage, RawPoints, assemble
from invertdesc.maps.pose import Pose
from invertdesc.stores.kapture import (
    RECORDS,
    SENSORS,
    KaptureStore,
    read_rows,
    recognise_folder,
)
from invertdesc.stores.record import numbers

KIND = "map of kapture"
_POSES, _RIGS = Path("sensors", "trajectories.txt"), Path("sensors", "rigs.txt")
_POINTS = Path("reconstruction", "points3d.txt")
_SEEN = Path("reconstruction", "observations.txt")
_DEEPEST = 8  # rigs of rigs
_MOST = 2**31

_Place: TypeAlias = tuple[str, str]  # timestamp and device


def is_model(folder: Path) -> bool:
    """Say whether a folder is kapture's and has points."""
    return (folder / _POINTS).is_file() and recognise_folder(folder)


def features_of(folder: Path) -> Path | None:
    """Return where the features of its images are: in the same folder."""
    return folder


def read_model(folder: Path) -> Model:
    """Read points, their observations, and the images that have a pose.

    Raises:
        FileError: Files are missing or unreadable.
        InputError: Files are cut off, or do not fit each other.
    """
    cameras = _cameras(folder / SENSORS)
    numbers_of = {name: number for number, name in enumerate(cameras)}
    poses = _poses(folder / _POSES, folder / _RIGS)
    store = KaptureStore(folder)
    stored = set(store.names())
    xyz, colors = _points(folder / _POINTS)
    places: dict[str, tuple[int, Pose]] = {}
    for row in read_rows(folder / RECORDS):
        if len(row) != 3:
            raise InputError(f"Expected timestamp, device and image in {RECORDS}, got {row[:4]}.")
        pose = poses.get((row[0], row[1]))
        if pose is not None and row[1] in cameras:
            places[row[2]] = numbers_of[row[1]], pose
    seen = _observations(folder / _SEEN, store.keypoints_type, list(places), len(xyz))
    images = {}
    for number, (name, (camera, pose)) in enumerate(places.items()):
        xy = store.positions(name) if name in stored else np.zeros((0, 2))
        ids = np.full(len(xy), NOWHERE, np.int64)
        rows = seen.images == number
        shown = seen.keypoints[rows]
        if shown.max(initial=-1) >= len(xy) or len(np.unique(shown)) != len(shown):
            raise InputError(
                f"Expected observations of different keypoints of {name!r}, which has {len(xy)}; "
                "got others."
            )
        ids[shown] = seen.points[rows]
        turn, step = pose.quaternion.tolist(), pose.translation.tolist()
        images[number] = RawImage(name, camera, tuple(turn), tuple(step), xy + 0.5, ids)
    lenses = dict(enumerate(cameras.values()))
    lengths = np.bincount(seen.points, minlength=len(xyz))
    points = RawPoints(np.arange(len(xyz)), xyz, colors, lengths, seen.images, seen.keypoints)
    return assemble(lenses, images, points, kind=KIND)


def _cameras(file: Path) -> dict[str, Camera]:
    """Return the cameras by their ids; those of an unknown model are left out."""
    found = {}
    for row in read_rows(file):
        if len(row) < 3 or row[2] != "camera":
            continue
        if len(row) < 6:
            raise InputError(f"Expected id, name, camera, model and sides in {file}, got {row}.")
        values = numbers(row[4:], f"parameters of camera {row[0]!r}")
        sides = values[:2]
        if not ((sides >= 1) & (sides < _MOST) & (sides == np.floor(sides))).all():
            raise InputError(f"Expected the sides of camera {row[0]!r} in pixels, got {row[4:6]}.")
        width, height = (int(side) for side in sides)
        check_limit("pixels", width * height, "an image")
        if row[3] != "UNKNOWN_CAMERA":
            found[row[0]] = Camera(row[3], width, height, tuple(values[2:].tolist()))
    return found


def _poses(file: Path, rigs: Path) -> dict[_Place, Pose]:
    """Return poses of sensors, those on rigs included."""
    known = {}
    for row in _of_length(file, 9, "timestamp, device, qw, qx, qy, qz, tx, ty, tz"):
        known[row[0], row[1]] = _pose(row[2:], f"{row[1]!r} at {row[0]!r}")
    mounted: dict[str, list[tuple[str, Pose]]] = {}
    for row in _of_length(rigs, 9, "rig, sensor, qw, qx, qy, qz, tx, ty, tz"):
        pose = _pose(row[2:], f"{row[1]!r} on {row[0]!r}")
        mounted.setdefault(row[0], []).append((row[1], pose))
    fresh = dict(known)
    for _ in range(_DEEPEST):
        below: dict[_Place, Pose] = {}
        for (time, device), pose in fresh.items():
            for sensor, step in mounted.get(device, ()):
                turned = step.rotation @ pose.translation + step.translation
                below.setdefault((time, sensor), Pose(step.rotation @ pose.rotation, turned))
        fresh = {place: pose for place, pose in below.items() if place not in known}
        if not fresh:
            break
        known |= fresh
    return known


def _of_length(file: Path, count: int, wanted: str) -> list[list[str]]:
    found = list(read_rows(file))
    for row in found:
        if len(row) != count:
            raise InputError(f"Expected {wanted} in {file}, got {', '.join(row)[:60]!r}.")
    return found


def _pose(words: Sequence[str], what: str) -> Pose:
    values = numbers(words, f"the pose of {what}").tolist()
    try:
        return Pose.from_quaternion(values[:4], values[4:])
    except InputError as error:
        raise InputError(f"Cannot use the pose of {what}: {error}") from error


def _points(file: Path) -> tuple[Array, Array]:
    """Return points (P, 3) and colours (P, 3); black where there are none."""
    table = list(read_rows(file))
    widths = {len(row) for row in table} or {6}
    if len(widths) != 1 or not widths <= {3, 6}:
        raise InputError(f"Expected rows of 3 or 6 numbers in {file}, got {sorted(widths)[:4]}.")
    check_limit("values", 6 * len(table), "an array")
    values = numbers([word for row in table for word in row], file.name).reshape(-1, *widths)
    colors = values[:, 3:] if 6 in widths else np.zeros((len(values), 3))
    if not ((colors >= 0) & (colors <= 255)).all():
        raise InputError(f"Expected colours from 0 to 255 in {file}, got others.")
    return values[:, :3], colors.astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Observations: points, images and keypoints (O,), in the order of points."""

    points: Array
    images: Array
    keypoints: Array


def _observations(file: Path, kind: str, images: Sequence[str], count: int) -> _Seen:
    """Read the observations of one type of keypoints.

    Args:
        file: The text.
        kind: Type of keypoints; lines of others are left out.
        images: Names; other images are left out.
        count: How many points there are.
    """
    known: Mapping[str, int] = {name: number for number, name in enumerate(images)}
    points, places, shown, others = [], [], [], set()
    for row in read_rows(file):
        typed = len(row) % 2 == 0  # 1.0 has no types
        if typed and kind and row[1] != kind:
            others.add(row[1])
            continue
        pairs = row[2:] if typed else row[1:]
        for name, keypoint in zip(pairs[::2], pairs[1::2], strict=True):
            if name in known:
                points.append(row[0])
                places.append(known[name])
                shown.append(keypoint)
    if others and not points:
        raise InputError(
            f"Expected observations of the keypoints {kind!r}, whose descriptors are read; got "
            f"those of {', '.join(sorted(others))[:80]}."
        )
    owners = _whole(points, count, "points", file)
    order = np.argsort(owners, kind="stable")
    keypoints = _whole(shown, _MOST, "keypoints", file)
    return _Seen(owners[order], np.array(places, np.int64)[order], keypoints[order])


def _whole(words: Sequence[str], most: int, what: str, file: Path) -> Array:
    values = numbers(words, f"{what} of {file.name}")
    if not ((values >= 0) & (values < most) & (values == np.floor(values))).all():
        raise InputError(f"Expected numbers of {what} that are there in {file}, got others.")
    return values.astype(np.int64)
