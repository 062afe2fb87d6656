"""OpenSfM's `reconstruction.json` with `tracks.csv`, as OpenDroneMap and Mapillary write them.

The JSON has cameras, shots and points, `tracks.csv` the keypoints that show the points, and
`features` beside them all keypoints. Lengths and positions are parts of the longer side of the
image, from its middle; rotations are axes times angles in radians, from the world to the camera.

Source: OpenSfM's documentation, "Reconstruction file format" and "Geometric Models".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from invertdesc.errors import FileError, InputError, InvertDescError
from invertdesc.features.npz import read_arrays
from invertdesc.limits import check_limit
from invertdesc.maps._distortion import Array
from invertdesc.maps._opensfm_tracks import Tracks, read_tracks
from invertdesc.maps.camera import Camera
from invertdesc.maps.model import NOWHERE, Model, RawImage, RawPoints, assemble
from invertdesc.sources import walk
from invertdesc.stores._feat import read_json
from invertdesc.stores.opensfm import SUFFIX

KIND = "OpenSfM reconstruction"
_MAIN, _TRACKS, _FEATURES = "reconstruction.json", "tracks.csv", "features"
_LARGEST = 1e15
_NEAR = 1.0  # pixels by which a track may miss the keypoint that it names


def is_model(folder: Path) -> bool:
    """Say whether a folder has a reconstruction of OpenSfM."""
    return (folder / _MAIN).is_file()


def features_of(folder: Path) -> Path | None:
    """Return where the features of its images are."""
    return folder / _FEATURES if (folder / _FEATURES).is_dir() else None


def read_model(folder: Path) -> Model:
    """Read the largest reconstruction.

    Raises:
        FileError: Files are missing or unreadable.
        InputError: Files are cut off, or do not fit each other.
    """
    found, notes = _largest(read_json(folder / _MAIN))
    cameras = _part(found, "cameras")
    shots, points = _part(found, "shots"), _part(found, "points")
    numbers = {name: number for number, name in enumerate(cameras)}
    lenses = {number: _camera(name, cameras[name]) for name, number in numbers.items()}
    rows = {name: row for row, name in enumerate(points)}
    tracks = read_tracks(folder / _TRACKS, list(shots), rows)
    place = folder / _FEATURES
    stored = {name for name in walk(place) if name.endswith(SUFFIX)} if place.is_dir() else set()
    images = {}
    for number, (name, shot) in enumerate(shots.items()):
        camera = numbers.get(str(shot.get("camera")), -1)
        if camera < 0:
            raise InputError(
                f"Expected shot {name!r} to have a camera of the map, got {shot.get('camera')!r}."
            )
        file = place / f"{name}{SUFFIX}" if f"{name}{SUFFIX}" in stored else None
        xy, ids = _keypoints(tracks, number, lenses[camera], file)
        turn = _quaternion(_vector(shot.get("rotation"), f"a rotation of shot {name!r}"))
        step = _vector(shot.get("translation"), f"a translation of shot {name!r}")
        images[number] = RawImage(name, camera, turn, tuple(step.tolist()), xy, ids)
    return assemble(lenses, images, _points(points, images), kind=KIND, notes=notes)


def _largest(scenes: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return the reconstruction with the most shots, and what is left out, in words."""
    if scenes is None:
        raise FileError(f"Expected {_MAIN}, found none.")
    some = scenes if isinstance(scenes, list) else [scenes]
    if not some or not all(isinstance(one, dict) for one in some):
        raise InputError(f"Expected a list of reconstructions in {_MAIN}, got something else.")
    best = max(some, key=lambda one: len(_part(one, "shots")))
    more = len(some) - 1
    notes = (f"The largest of {more + 1} reconstructions; the others are not read.",)
    return best, notes if more else ()


def _part(scene: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    found = scene.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise InputError(f"Expected {name} by their names in {_MAIN}, got something else.")
    return found


def _camera(name: str, given: Mapping[str, Any]) -> Camera:
    """Return a camera with its lengths in pixels."""
    width, height = given.get("width"), given.get("height")
    if not (_is_whole(width) and _is_whole(height)):
        raise InputError(f"Expected a width and a height of camera {name!r}, got others.")
    check_limit("pixels", width * height, "an image")

    def value(*keys: str, default: float | None = 0.0) -> float:
        found = next((given[key] for key in keys if key in given), default)
        return float(_vector([found], f"{keys[0]} of camera {name!r}", 1)[0])

    longer = max(width, height)
    focals = [
        longer * value(*keys, default=None)
        for keys in (("focal_x", "focal"), ("focal_y", "focal", "focal_x"))
    ]
    middle = [longer * value("c_x") + width / 2, longer * value("c_y") + height / 2]
    k1, k2, k3, k4, p1, p2 = (value(key) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    kinds: dict[str, tuple[str, list[float]]] = {
        "perspective": ("RADIAL", [*focals[:1], *middle, k1, k2]),
        "simple_radial": ("OPENCV", [*focals, *middle, k1, 0, 0, 0]),
        "radial": ("OPENCV", [*focals, *middle, k1, k2, 0, 0]),
        "brown": ("FULL_OPENCV", [*focals, *middle, k1, k2, p1, p2, k3, 0, 0, 0]),
        "fisheye": ("RADIAL_FISHEYE", [*focals[:1], *middle, k1, k2]),
        "fisheye_opencv": ("OPENCV_FISHEYE", [*focals, *middle, k1, k2, k3, k4]),
    }
    kind = given.get("projection_type")
    if not isinstance(kind, str) or kind not in kinds:
        raise InputError(
            f"Expected a camera {name!r} of a type among {', '.join(kinds)}; got {kind!r}."
        )
    model, params = kinds[kind]
    return Camera(model, width, height, tuple(params))


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _vector(values: Any, what: str, count: int = 3) -> Array:
    """Return so many numbers of a JSON file; they may be NaN."""
    good = isinstance(values, list) and len(values) == count
    if not good or not all(type(value) in (int, float) for value in values):
        raise InputError(f"Expected {count} numbers for {what}, got {str(values)[:60]!r}.")
    return np.array([max(-_LARGEST, min(_LARGEST, value)) for value in values], np.float64)


def _quaternion(turn: Array) -> tuple[float, ...]:
    """Return the quaternion (w, x, y, z) of an axis times an angle."""
    angle = float(np.linalg.norm(turn))
    if not angle < _LARGEST:
        return (np.nan,) * 4  # refused with the name of the image
    axis = turn * (np.sinc(angle / (2 * np.pi)) / 2)
    return (float(np.cos(angle / 2)), *axis.tolist())


def _keypoints(
    tracks: Tracks, image: int, camera: Camera, file: Path | None
) -> tuple[Array, Array]:
    """Return an image's keypoints (n, 2) in COLMAP's pixels, and the points that they show (n,).

    All keypoints of its features, where the tracks fit them; else those of tracks alone.
    """
    some = np.flatnonzero(tracks.images == image)
    longer, middle = max(camera.image_size), np.array(camera.image_size[::-1]) / 2
    xy, shown, features = (part[some] for part in (tracks.xy, tracks.points, tracks.features))
    xy = xy * longer + middle
    stored = None if file is None else _stored(file)
    if stored is None or features.max(initial=-1) >= len(stored):
        return xy, shown
    whole = stored * longer + middle
    if len(xy) and np.abs(whole[features] - xy).max() > _NEAR:
        return xy, shown
    if len(np.unique(features)) != len(features):
        raise InputError("Expected a keypoint of an image in one track, got one in several.")
    ids = np.full(len(whole), NOWHERE, np.int64)
    ids[features] = shown
    return whole, ids


def _stored(file: Path) -> Array | None:
    """Return the positions (n, 2) in a file of features; None if it is no such file."""
    try:
        points = read_arrays(file, ("points",))["points"]
    except InvertDescError:  # reported when its features are read
        return None
    good = points.ndim == 2 and points.shape[1] >= 2 and points.dtype.kind in "fiu"
    return points[:, :2].astype(np.float64) if good else None


def _points(points: Mapping[str, Mapping[str, Any]], images: Mapping[int, RawImage]) -> RawPoints:
    xyz = np.array([_vector(one.get("coordinates"), "a point") for one in points.values()])
    colors = np.array([_vector(one.get("color", [0, 0, 0]), "a color") for one in points.values()])
    if not ((colors >= 0) & (colors <= 255)).all():
        raise InputError("Expected colours from 0 to 255, got others.")
    owners, numbers, keypoints = [], [], []
    for number, image in images.items():
        rows = np.flatnonzero(image.ids != NOWHERE)
        owners.append(image.ids[rows])
        numbers.append(np.full(len(rows), number))
        keypoints.append(rows)
    owner = np.concatenate([*owners, np.zeros(0, np.int64)])
    order = np.argsort(owner, kind="stable")
    return RawPoints(
        np.arange(len(points)),
        xyz.reshape(-1, 3),
        colors.reshape(-1, 3).astype(np.uint8),
        np.bincount(owner, minlength=len(points)),
        np.concatenate([*numbers, np.zeros(0, np.int64)])[order],
        np.concatenate([*keypoints, np.zeros(0, np.int64)])[order],
    )
