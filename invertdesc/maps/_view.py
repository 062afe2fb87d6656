"""From a map's points to the patches that a camera sees, and how they look from there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invertdesc._options import check_range
from invertdesc.maps._carry import plane_to_pixels
from invertdesc.maps._choose import Patches, best_of_each, thinned
from invertdesc.maps._distortion import Array
from invertdesc.maps._guess import Guessed
from invertdesc.maps._surface import Surface, unit
from invertdesc.maps._visible import depth_buffer, uncovered
from invertdesc.maps.camera import Camera
from invertdesc.maps.model import Model
from invertdesc.maps.pose import Pose

_FACING = 0.08  # least cosine between a surface and the direction to the camera
_COVER = 1.4  # of the distance to the fourth neighbour: how far a point covers others
_FAR = 40.0  # pixels that it covers at most
_SLACK = 0.01  # relative depth by which a point may lie behind what covers it
_TRUST, _NEARLY = 0.2, 10.0  # more of that for one that was seen from within so many degrees
_LEAST_ROOM = 100_000
_ROOM = 4  # times the features that a view may have: patches that are looked at
_STRETCH = 3.0  # ratio of axes beyond which a descriptor says little of the patch


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How observations are chosen for a view.

    Attributes:
        observations: How many of each point, those seen from nearest in angle first.
        widest: Degrees, at the point, between the camera and the one whose observation is taken.
        neighbours: From how many images, those nearest to the view, keypoints that were not
            triangulated are taken too, on the planes of those around them.
        most: Features of a view; more are thinned out evenly.

    Raises:
        InputError: A number is out of range.

    >>> ViewOptions(widest=20.0).observations
    1
    """

    observations: int = 1
    widest: float = 30.0
    neighbours: int = 1
    most: int = 40_000

    def __post_init__(self) -> None:
        check_range("observations", self.observations, 1)
        check_range("widest", self.widest, 0, 90)
        check_range("neighbours", self.neighbours, 0)
        check_range("most", self.most, 1)


@dataclass(frozen=True, eq=False)
class Selection:
    """What of a map may be used.

    Attributes:
        images: (I,) bool.
        points: (P,) bool: seen by at least two of those images.
    """

    images: Array
    points: Array

    @classmethod
    def without(cls, model: Model, owners: Array, left_out: frozenset[int]) -> Selection:
        """Leave out images, and the points that would not be there without them."""
        images = np.ones(len(model.images), bool)
        images[sorted(left_out)] = False
        counts = np.bincount(owners[images[model.seen_by]], minlength=len(model.xyz))
        return cls(images, counts >= 2)


def seen_points(
    model: Model,
    surface: Surface,
    camera: Camera,
    pose: Pose,
    selection: Selection,
    options: ViewOptions,
) -> Patches:
    """Return the points in front of a camera, by the observations that serve it best."""
    wanted = np.flatnonzero(selection.points)
    wanted = wanted[camera.sees(pose.apply(model.xyz[wanted]))]
    directions = unit(pose.centre - model.xyz[wanted])
    aligned = np.einsum("ni,ni->n", directions, surface.towards[wanted])
    pixels = camera.project(pose.apply(model.xyz[wanted]))
    room = max(_ROOM * options.most, _LEAST_ROOM)
    some = thinned(pixels, aligned, room, camera.image_size)
    wanted, directions = wanted[some], directions[some]
    inside = np.zeros(len(model.xyz), bool)
    inside[wanted] = True
    towards = np.zeros(model.xyz.shape, np.float32)
    towards[wanted] = directions
    rows = np.flatnonzero(inside[surface.owners] & selection.images[model.seen_by])
    cosines = np.einsum("ni,ni->n", surface.directions[rows], towards[surface.owners[rows]])
    near = cosines > np.cos(np.radians(options.widest))
    rows, cosines = rows[near], cosines[near]
    best = best_of_each(surface.owners[rows], cosines, options.observations)
    rows, cosines = rows[best], cosines[best]
    points = surface.owners[rows].astype(np.int64)
    normals, _ = surface.at(points)
    return Patches(
        model.xyz[points], normals, model.seen_by[rows], model.seen_as[rows], cosines, points
    )


def nearest_images(patches: Patches, count: int, most: int) -> list[int]:
    """Return up to `most` images, those first that give a view the most patches from near by.

    Args:
        patches: By the best observations.
        count: Number of the map's images.
        most: How many.
    """
    weights = np.bincount(patches.images, patches.cosines.clip(0) ** 8, count)
    order = np.argsort(-weights, kind="stable")[:most]
    return [int(number) for number in order if weights[number] > 0]


def seen_guesses(
    guessed: Guessed, image: int, centre: Array, camera: Camera, pose: Pose, options: ViewOptions
) -> Patches:
    """Return the keypoints of an image that were not triangulated, where a camera sees them.

    Args:
        guessed: What is known of them.
        image: Number of the image.
        centre: (3,), where it was taken from.
        camera: What looks.
        pose: From where.
        options: How wide the angle may be.
    """
    cosines = np.einsum("ni,ni->n", unit(pose.centre - guessed.xyz), unit(centre - guessed.xyz))
    kept = camera.sees(pose.apply(guessed.xyz))
    kept &= cosines > np.cos(np.radians(options.widest))
    count = len(guessed.xyz)
    return Patches(
        guessed.xyz,
        guessed.normals,
        np.full(count, image, np.int32),
        guessed.keypoints.astype(np.int32),
        cosines.astype(np.float32),
        guessed.nearest,
    )[kept]


def visible(
    patches: Patches, triangulated: int, surface: Surface, camera: Camera, pose: Pose, most: int
) -> tuple[Patches, Array]:
    """Return the patches that face a camera and that nothing covers, and their pixels (N, 2).

    Args:
        patches: Those of points first.
        triangulated: How many are points of the map: these cover others.
        surface: Around points.
        camera: What looks.
        pose: From where.
        most: More are thinned out.
    """
    seen = pose.apply(patches.xyz)
    pixels, normals = camera.project(seen), patches.normals @ pose.rotation.T
    facing = -np.einsum("ni,ni->n", normals, unit(seen)) > _FACING
    cover = np.flatnonzero(facing[:triangulated])
    distance = np.einsum("ni,ni->n", normals[cover], seen[cover])
    slopes = normals[cover, :2] / distance[:, None] / camera.focals
    _, spacing = surface.at(patches.points[cover])
    reach = np.minimum(spacing * _COVER * camera.focal / seen[cover, 2], _FAR)
    buffer = depth_buffer(pixels[cover], seen[cover, 2], slopes, reach, camera.image_size)
    apart = np.degrees(np.arccos(np.clip(patches.cosines, -1, 1)))
    slack = _SLACK + _TRUST * np.clip(1 - apart / _NEARLY, 0, 1)
    rows = np.flatnonzero(facing & uncovered(pixels, seen[:, 2], buffer, slack))
    rows = rows[thinned(pixels[rows], patches.cosines[rows], most, camera.image_size)]
    return patches[rows], pixels[rows]


def warps_of(patches: Patches, model: Model, camera: Camera, pose: Pose) -> tuple[Array, Array]:
    """Return the affine step (N, 2, 2) from each patch's image to the view, and where it serves.

    It does not where it mirrors, or stretches so much that a descriptor says little of the patch.
    """
    to = plane_to_pixels(camera, pose, patches.xyz, patches.normals)
    back = np.zeros_like(to)
    for number in np.unique(patches.images):
        rows, image = np.flatnonzero(patches.images == number), model.images[number]
        back[rows] = plane_to_pixels(
            image.camera, image.pose, patches.xyz[rows], patches.normals[rows]
        )
    with np.errstate(all="ignore"):
        det = back[:, 0, 0] * back[:, 1, 1] - back[:, 0, 1] * back[:, 1, 0]
        turned = np.stack([back[:, 1, 1], -back[:, 0, 1], -back[:, 1, 0], back[:, 0, 0]], 1)
        warps = to @ (turned / det[:, None]).reshape(-1, 2, 2)
        grown = warps[:, 0, 0] * warps[:, 1, 1] - warps[:, 0, 1] * warps[:, 1, 0]
        squares = (warps * warps).sum((1, 2))  # of the two axes: a^2 + b^2, where a b = grown
        good = (grown > 0) & (squares < grown * (_STRETCH + 1 / _STRETCH))
    return warps, good
