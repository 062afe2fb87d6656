"""A camera: what turns points in front of it into pixels, lens distortion included."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise

import numpy as np

from invertdesc.errors import InputError
from invertdesc.features._checks import checked_size
from invertdesc.maps._distortion import LENSES, Array, Lens, undistort

_LARGE = 1e9
_BORDER = 64  # pixels of a side whose rays are looked at
_ROUNDING = 1e-6
_LEAST_DEPTH = 1e-9


@dataclass(frozen=True)
class Camera:
    """A camera model with its parameters, as COLMAP has them.

    It looks along +z; x points to the right and y down. Pixels that go in and come out have whole
    numbers at their centres, as everywhere here; the principal point among the parameters is
    COLMAP's, half a pixel more.

    Attributes:
        model: COLMAP's name, such as `"PINHOLE"` or `"OPENCV"`.
        width: Pixels.
        height: Pixels.
        params: Focal lengths, principal point and distortion, in the model's order.

    Raises:
        InputError: An unknown model, another number of parameters, or values that no camera has.

    >>> camera = Camera("SIMPLE_PINHOLE", 640, 480, (500.0, 320.0, 240.0))
    >>> camera.project(np.array([[0.0, 0.0, 2.0], [0.4, 0.0, 2.0]]))
    array([[319.5, 239.5],
           [419.5, 239.5]])
    """

    model: str
    width: int
    height: int
    params: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.model not in LENSES:
            near = get_close_matches(str(self.model).upper(), LENSES, n=1)
            advice = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(
                f"Expected a camera model among {', '.join(LENSES)}; got {self.model!r}.{advice}"
            )
        checked_size((self.height, self.width))
        params = tuple(float(value) for value in self.params)
        object.__setattr__(self, "params", params)
        if len(params) != self._lens.params:
            raise InputError(
                f"Expected {self._lens.params} parameters of a {self.model} camera, got "
                f"{len(params)}."
            )
        if not all(abs(value) < _LARGE for value in params) or min(self.focals) <= 0:
            raise InputError(
                f"Expected finite parameters and focal lengths above 0 of a {self.model} camera, "
                f"got {params}."
            )

    @classmethod
    def pinhole(cls, image_size: tuple[int, int], focal: float) -> Camera:
        """Make a camera without distortion that looks through its picture's middle.

        Args:
            image_size: (H, W) in pixels.
            focal: Focal length in pixels.

        >>> Camera.pinhole((480, 640), 500.0).params
        (500.0, 320.0, 240.0)
        """
        height, width = checked_size(image_size)
        return cls("SIMPLE_PINHOLE", width, height, (focal, width / 2, height / 2))

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.height, self.width

    @property
    def focals(self) -> tuple[float, float]:
        """Focal lengths in pixels, horizontal and vertical."""
        return self.params[0], self.params[self._lens.focals - 1]

    @property
    def focal(self) -> float:
        """Their geometric mean."""
        return math.sqrt(self.focals[0] * self.focals[1])

    @property
    def principal(self) -> tuple[float, float]:
        """The pixel (x, y) that it looks along; whole numbers are centres."""
        x, y = self.params[self._lens.focals : self._lens.focals + 2]
        return x - 0.5, y - 0.5

    def padded(self, margin: int) -> Camera:
        """Return the same camera with some more pixels on each side, or fewer where negative."""
        start = self._lens.focals
        x, y = self.params[start : start + 2]
        moved = (*self.params[:start], x + margin, y + margin, *self.params[start + 2 :])
        width, height = self.width + 2 * margin, self.height + 2 * margin
        return replace(self, params=moved, width=width, height=height)

    def resized(self, image_size: tuple[int, int]) -> Camera:
        """Return the camera of the same picture at another size.

        Args:
            image_size: (H, W) in pixels.

        Raises:
            InputError: The model has one focal length, and the sides change by different factors.

        >>> Camera.pinhole((480, 640), 500.0).resized((240, 320)).params
        (250.0, 160.0, 120.0)
        """
        height, width = checked_size(image_size)
        right, down = width / self.width, height / self.height
        count = self._lens.focals
        if count == 1 and max(self.width * abs(right - down), self.height * abs(right - down)) > 1:
            raise InputError(
                f"Expected a size of the same shape as {self.width} x {self.height}, since "
                f"{self.model} has one focal length; got {width} x {height}."
            )
        factors = (right, right, down) if count == 1 else (right, down, right, down)
        scaled = [value * factor for value, factor in zip(self.params, factors, strict=False)]
        params = (*scaled, *self.params[count + 2 :])
        return replace(self, width=width, height=height, params=params)

    def project(self, points: Array) -> Array:
        """Return the pixels (N, 2) of points (N, 3), given in the camera's own axes.

        Those behind it are NaN. A lens model folds rays back that it was not made for: see `sees`.
        """
        points = np.asarray(points, np.float64).reshape(-1, 3)
        depth = points[:, 2:]
        with np.errstate(all="ignore"):
            flat = points[:, :2] / np.where(depth > _LEAST_DEPTH, depth, np.nan)
            if self._lens.fisheye:
                radius = np.sqrt((flat * flat).sum(1, keepdims=True))
                safe = np.where(radius < 1e-9, 1.0, radius)
                flat = flat * np.where(radius < 1e-9, 1.0, np.arctan(safe) / safe)
            bent: Array = self._lens.distort(flat, self._extras)
            return bent * self.focals + self.principal

    def unproject(self, pixels: Array) -> Array:
        """Return rays (N, 2): the x and y at depth 1 of pixels (N, 2); NaN where there is none."""
        pixels = np.asarray(pixels, np.float64).reshape(-1, 2)
        bent = (pixels - self.principal) / self.focals
        flat = undistort(self._lens, bent, self._extras)
        if not self._lens.fisheye:
            return flat
        angle = np.sqrt((flat * flat).sum(1, keepdims=True))
        with np.errstate(all="ignore"):
            stretch = np.where(angle < 1e-9, 1.0, np.tan(angle) / np.where(angle > 0, angle, 1.0))
        return np.where(angle < math.pi / 2 - 1e-6, flat * stretch, np.nan)

    def sees(self, points: Array) -> Array:
        """Say which points (N, 3), in its own axes, lie within its picture.

        Rays farther out than those of the picture's border, which some lens models fold back into
        it, do not.
        """
        points = np.asarray(points, np.float64).reshape(-1, 3)
        pixels, high = self.project(points), np.array([self.width - 0.5, self.height - 0.5])
        with np.errstate(all="ignore"):
            inside = np.asarray(((pixels >= -0.5) & (pixels <= high)).all(1))
            radius = np.hypot(points[:, 0], points[:, 1]) / points[:, 2]
            found: Array = inside & (radius <= self._outermost)
        return found

    @cached_property
    def _outermost(self) -> float:
        """The greatest distance of a border's pixel to the axis, at depth 1."""
        across = np.linspace(0, 1, _BORDER)[:, None]
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * (self.width, self.height)
        sides = [a + across * (b - a) - 0.5 for a, b in pairwise(corners)]
        rays = self.unproject(np.concatenate(sides))
        radius = np.hypot(*rays[np.isfinite(rays).all(1)].T)
        return float(radius.max(initial=0.0)) * (1 + _ROUNDING)

    @property
    def _lens(self) -> Lens:
        return LENSES[self.model]

    @property
    def _extras(self) -> tuple[float, ...]:
        return self.params[self._lens.focals + 2 :]
