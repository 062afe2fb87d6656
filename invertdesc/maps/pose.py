"""Where a camera stands and where it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from invertdesc.errors import InputError
from invertdesc.maps._distortion import Array

_LARGE = 1e12
_SLACK = 1e-2  # by which rows of a rotation may miss length 1 and right angles


@dataclass(frozen=True, eq=False)
class Pose:
    """The step from the world to a camera: `rotation @ point + translation`.

    In the camera's axes x points to the right, y down and z ahead, as in COLMAP and OpenCV.

    Attributes:
        rotation: (3, 3) float64, with determinant 1; its rows are the camera's axes in the world.
        translation: (3,) float64, in the map's unit.

    Raises:
        InputError: No rotation, or values that are not finite.

    >>> pose = Pose(np.eye(3), np.array([0.0, 0.0, 4.0]))
    >>> pose.centre
    array([ 0.,  0., -4.])
    """

    rotation: Array
    translation: Array

    def __post_init__(self) -> None:
        try:
            rotation = np.array(self.rotation, np.float64).reshape(3, 3)
            translation = np.array(self.translation, np.float64).reshape(3)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"Expected a rotation (3, 3) and a translation (3,), got: {error}."
            ) from error
        if not (np.isfinite(rotation).all() and (np.abs(translation) < _LARGE).all()):
            raise InputError("Expected a pose of finite numbers below 1e12, got others.")
        left, sizes, right = np.linalg.svd(rotation)
        if np.abs(sizes - 1).max() > _SLACK or np.linalg.det(rotation) < 0:
            raise InputError(
                f"Expected a rotation (orthonormal, determinant 1), got {rotation.tolist()}."
            )
        object.__setattr__(self, "rotation", left @ right)
        object.__setattr__(self, "translation", translation)

    @classmethod
    def from_quaternion(cls, quaternion: Sequence[float], translation: Sequence[float]) -> Pose:
        """Make a pose of a quaternion (w, x, y, z) of any length above 0, and a translation.

        Raises:
            InputError: Not finite, or a quaternion of length 0.

        >>> Pose.from_quaternion((1, 0, 0, 0), (1, 2, 3)).centre
        array([-1., -2., -3.])
        """
        values = np.clip(np.asarray(quaternion, np.float64), -_LARGE, _LARGE)
        length = float(np.linalg.norm(values)) if values.shape == (4,) else np.nan
        if not 1e-6 < length < 1e6:
            raise InputError(
                f"Expected a quaternion (w, x, y, z) of length 1, got {values.tolist()}."
            )
        return cls(rotation_of(values / length), np.asarray(translation, np.float64))

    @classmethod
    def look_at(
        cls, centre: Sequence[float], target: Sequence[float], up: Sequence[float] = (0, -1, 0)
    ) -> Pose:
        """Make the pose of a camera that stands at one place and looks at another.

        Args:
            centre: (x, y, z) of the camera.
            target: (x, y, z), in the middle of the picture.
            up: A direction that points up in the picture.

        Raises:
            InputError: It looks at its own place, or straight along `up`.

        >>> Pose.look_at((0, 0, -4), (0, 0, 0)).translation
        array([0., 0., 4.])
        """
        place = np.asarray(centre, np.float64)
        ahead = np.asarray(target, np.float64) - place
        right = np.cross(ahead, np.asarray(up, np.float64))
        lengths = np.linalg.norm(ahead), np.linalg.norm(right)
        if not (np.isfinite(lengths).all() and min(lengths) > 1e-12):
            raise InputError(
                f"Expected a camera that looks at another place, and not along {up}; got one at "
                f"{tuple(centre)} that looks at {tuple(target)}."
            )
        ahead, right = ahead / lengths[0], right / lengths[1]
        rotation = np.stack([right, np.cross(ahead, right), ahead])
        return cls(rotation, -rotation @ place)

    @property
    def centre(self) -> Array:
        """(3,): where the camera stands in the world."""
        place: Array = -self.rotation.T @ self.translation
        return place + 0.0  # no -0

    @property
    def quaternion(self) -> Array:
        """(4,): w, x, y, z of length 1, with w >= 0."""
        from scipy.spatial.transform import Rotation

        x, y, z, w = Rotation.from_matrix(self.rotation).as_quat()
        found: Array = np.array([w, x, y, z])
        return -found if w < 0 else found

    def apply(self, points: Array) -> Array:
        """Return points (N, 3) of the world in the camera's axes."""
        moved: Array = np.asarray(points, np.float64) @ self.rotation.T + self.translation
        return moved

    def back(self, points: Array) -> Array:
        """Return points (N, 3) of the camera's axes in the world's."""
        moved: Array = (np.asarray(points, np.float64) - self.translation) @ self.rotation
        return moved


def rotation_of(quaternion: Array) -> Array:
    """Return rotations (..., 3, 3) of unit quaternions (..., 4), w first.

    >>> rotation_of(np.array([0.0, 0.0, 0.0, 1.0])).tolist()
    [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    found: Array = np.moveaxis(np.array(rows), (0, 1), (-2, -1))
    return found
