"""Where to look at a map from: its own images, ways between them, around it, or a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from invertdesc._options import check_range
from invertdesc.errors import InputError
from invertdesc.maps._distortion import Array
from invertdesc.maps._surface import unit
from invertdesc.maps.camera import Camera
from invertdesc.maps.map import Map
from invertdesc.maps.pose import Pose
from invertdesc.stores._files import check_ended, read_bytes
from invertdesc.stores.record import numbers

_MOST = 100_000  # views of a file, or of a way
_ONE_WAY = 0.02  # spread of x axes across over that along, below which nothing tells the vertical
_ENDS = (5, 95)  # percentiles of directions from which cameras saw the scene


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A camera somewhere, and the name of its picture.

    Attributes:
        name: Name of its picture.
        camera: What looks.
        pose: From where.
        leave_out: Names of images whose observations are not used.

    >>> import numpy as np
    >>> camera = Camera.pinhole((48, 64), 50.0)
    >>> Viewpoint("front", camera, Pose(np.eye(3), np.zeros(3))).leave_out
    ()
    """

    name: str
    camera: Camera
    pose: Pose
    leave_out: tuple[str, ...] = ()


def own_viewpoints(
    source: Map, *, names: str | None = None, hold_out: bool = False
) -> list[Viewpoint]:
    """Return the cameras of a map's own images, named as these.

    Args:
        source: The map.
        names: Wildcards that names have to match; None for all.
        hold_out: Whether each image's own observations are left out.

    Raises:
        InputError: No image has such a name.
    """
    found = [
        Viewpoint(image.name, image.camera, image.pose, (image.name,) if hold_out else ())
        for image in source.images
        if names is None or fnmatchcase(image.name, names)
    ]
    if not found:
        raise InputError(f"Expected images of names like {names!r} in {source.path}, found none.")
    return found


def viewpoints_between(source: Map, first: str, last: str, count: int = 25) -> list[Viewpoint]:
    """Return a way from the camera of one image to that of another.

    It moves along a straight line and turns at an even pace. The camera is the first one's.

    Args:
        source: The map.
        first: Name of an image.
        last: Name of another.
        count: Views, both ends included.

    Raises:
        InputError: No such image, or fewer than two views.
    """
    from scipy.spatial.transform import Rotation, Slerp

    check_range("count", count, 2, _MOST)
    start, end = source.image(first), source.image(last)
    turns = Slerp([0, 1], Rotation.from_matrix([start.pose.rotation, end.pose.rotation]))
    steps = np.linspace(0, 1, count)
    poses = [
        Pose(rotation, -rotation @ (start.pose.centre * (1 - step) + end.pose.centre * step))
        for step, rotation in zip(steps, turns(steps).as_matrix(), strict=True)
    ]
    return _numbered(poses, start.camera)


def viewpoints_around(source: Map, count: int = 48) -> list[Viewpoint]:
    """Return a way around the middle of a map's points, as far as its cameras went.

    It swings once to one side, to the other and back, at the cameras' usual distance and height,
    looking at the middle. The camera is the first image's.

    Args:
        source: The map.
        count: Views.

    Raises:
        InputError: A map without points, or fewer than two views.
    """
    check_range("count", count, 2, _MOST)
    if not len(source.model.xyz):
        raise InputError(f"Expected a map with points to go around, got none in {source.path}.")
    middle = np.median(source.model.xyz, 0)
    centres = np.stack([image.pose.centre for image in source.images])
    up = _upwards(np.stack([image.pose.rotation for image in source.images]))
    apart = centres - middle
    heights = apart @ up
    flat = apart - heights[:, None] * up
    ahead = unit(np.median(flat, 0)[None])[0]
    right = np.cross(up, ahead)
    turns = np.arctan2(flat @ right, flat @ ahead)
    low, high = np.percentile(turns, _ENDS)
    swing = (low + high) / 2 + (high - low) / 2 * np.sin(np.arange(count) / count * 2 * np.pi)
    distance, height = np.median(np.linalg.norm(flat, axis=1)), np.median(heights)
    places = middle + height * up
    places = places + distance * (np.outer(np.cos(swing), ahead) + np.outer(np.sin(swing), right))
    poses = [Pose.look_at(tuple(place), tuple(middle), tuple(up)) for place in places]
    return _numbered(poses, source.images[0].camera)


def read_viewpoints(source: Map, path: str | os.PathLike[str]) -> list[Viewpoint]:
    """Read poses from a text, a line each: `NAME QW QX QY QZ TX TY TZ`, from the world to a camera.

    Lines that start with # say nothing. The camera is the one of the map's first image.

    Raises:
        FileError: Missing or unreadable.
        InputError: No poses, or lines that are none.
    """
    file = Path(path)
    data = read_bytes(file)
    check_ended(data, file)
    found = []
    for line in data.decode(errors="replace").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 8:
            raise InputError(f"Expected NAME QW QX QY QZ TX TY TZ in {file}, got {line[:80]!r}.")
        values = numbers(words[1:], f"a pose of {file}").tolist()
        pose = Pose.from_quaternion(values[:4], values[4:])
        found.append(Viewpoint(words[0], source.images[0].camera, pose))
    if not 0 < len(found) <= _MOST:
        raise InputError(f"Expected poses in {file}, at most {_MOST:,}; got {len(found):,}.")
    return found


def choose_viewpoints(
    source: Map,
    *,
    names: str | None = None,
    hold_out: bool = False,
    between: tuple[str, str] | None = None,
    orbit: bool = False,
    poses: str | os.PathLike[str] | None = None,
    views: int | None = None,
) -> list[Viewpoint]:
    """Return the viewpoints of one way: between two, around, from a file, else the map's own.

    Args:
        source: The map.
        names: See `own_viewpoints`.
        hold_out: See `own_viewpoints`.
        between: Names of two images, see `viewpoints_between`.
        orbit: Whether to go around, see `viewpoints_around`.
        poses: A file, see `read_viewpoints`.
        views: How many, between two or around.

    Raises:
        FileError: The file cannot be read.
        InputError: Several ways, or options that do not fit the way.
    """
    if sum((between is not None, orbit, poses is not None)) > 1:
        raise InputError("Expected one of between, orbit and poses, got several.")
    if (between or orbit or poses) and (hold_out or names is not None):
        raise InputError("Expected hold_out and names with the map's own cameras only.")
    if views is not None and not (between or orbit):
        raise InputError("Expected a number of views with between or orbit only.")
    if between is not None:
        return viewpoints_between(source, between[0], between[1], views or 25)
    if orbit:
        return viewpoints_around(source, views or 48)
    if poses is not None:
        return read_viewpoints(source, poses)
    return own_viewpoints(source, names=names, hold_out=hold_out)


def shrunk(viewpoint: Viewpoint, max_side: int | None) -> Viewpoint:
    """Return a viewpoint whose picture's longer side has at most so many pixels; None for any."""
    height, width = viewpoint.camera.image_size
    if max_side is None or max(height, width) <= max_side:
        return viewpoint
    factor = max_side / max(height, width)
    size = max(1, round(height * factor)), max(1, round(width * factor))
    return replace(viewpoint, camera=viewpoint.camera.resized(size))


def _upwards(rotations: Array) -> Array:
    """Return (3,): the direction to which all cameras' x axes come nearest to right angles.

    Cameras are rarely rolled, but often look down or up.
    """
    down = unit(rotations[:, 1].mean(0)[None])[0]
    rights = rotations[:, 0]
    spread, axes = np.linalg.eigh(rights.T @ rights)
    flat = spread[1] < _ONE_WAY * spread[2]  # all face the same way: any axis does
    found: Array = -down if flat else axes[:, 0] * -np.sign(axes[:, 0] @ down)
    return found


def _numbered(poses: Sequence[Pose], camera: Camera) -> list[Viewpoint]:
    digits = len(str(len(poses) - 1))
    return [Viewpoint(f"{number:0{digits}d}", camera, pose) for number, pose in enumerate(poses)]
