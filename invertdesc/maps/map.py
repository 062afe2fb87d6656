"""A map of a scene, and what a camera anywhere would see of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch

from invertdesc.errors import InputError
from invertdesc.features.local import LocalFeatures
from invertdesc.features.provenance import Provenance
from invertdesc.maps._carry import carry
from invertdesc.maps._choose import Patches
from invertdesc.maps._distortion import Array
from invertdesc.maps._guess import Guessed, guess_points
from invertdesc.maps._rows import Described, match_rows
from invertdesc.maps._surface import Surface
from invertdesc.maps._view import (
    Selection,
    ViewOptions,
    nearest_images,
    seen_guesses,
    seen_points,
    visible,
    warps_of,
)
from invertdesc.maps.camera import Camera
from invertdesc.maps.model import MapImage, Model
from invertdesc.maps.pose import Pose
from invertdesc.stores.base import Store

_KEPT = 2**28  # bytes of descriptors that are kept between views
_GUESSES = 64  # images whose guessed points are kept


class Map:
    r"""A model of a scene with the features of its images, of which views read what they need.

    Made by `open_map`.

    Attributes:
        path: The folder of the model.
        model: Cameras, images, points and observations.
        store: Features of the images; None where none were found.

    >>> import tempfile
    >>> from invertdesc import open_map
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "cameras.txt").write_text("1 SIMPLE_PINHOLE 64 48 50 32 24\n")
    ...     _ = Path(folder, "images.txt").write_text("1 1 0 0 0 0 0 4 1 front.jpg\n\n")
    ...     Path(folder, "points3D.txt").touch()
    ...     open_map(folder).image("front.jpg").pose.centre
    array([ 0.,  0., -4.])
    """

    def __init__(self, path: Path, model: Model, store: Store | None) -> None:
        self.path, self.model, self.store = path, model, store
        self._rows: OrderedDict[int, Described] = OrderedDict()
        self._guesses: OrderedDict[tuple[int, frozenset[int]], Guessed] = OrderedDict()
        self._selected: tuple[frozenset[int], Selection] | None = None

    @property
    def images(self) -> tuple[MapImage, ...]:
        """The images, by name; each has a camera and a pose."""
        return self.model.images

    def image(self, name: str) -> MapImage:
        """Return the image of a name.

        Raises:
            InputError: There is none.
        """
        return self.images[self._number(name)]

    def view(
        self,
        camera: Camera,
        pose: Pose,
        *,
        leave_out: Iterable[str] = (),
        options: ViewOptions | None = None,
    ) -> LocalFeatures:
        """Return the features that a camera would see.

        Each point in front of it brings the observation that was made from nearest in angle; its
        scale and orientation go through the affine step between the two pictures of the plane
        around the point. Keypoints of the nearest images that were not triangulated come too, on
        the planes of those around them. Left out is what other points cover, what turns away, and
        what nobody saw from that side. Colours are those of the points.

        Args:
            camera: What looks.
            pose: From where.
            leave_out: Names of images whose observations, and the points that fewer than two
                others saw, are not used. Where cameras stand and points lie was still computed
                with them, and so were the colours of points.
            options: How observations are chosen.

        Raises:
            FileError: The store is damaged.
            InputError: No features, an image that is not there, or too large a picture.
        """
        options = options or ViewOptions()
        left_out = frozenset(self._number(name) for name in leave_out)
        selection = self._selection(left_out)
        patches = seen_points(self.model, self._surface, camera, pose, selection, options)
        count, parts = len(patches), [patches]
        for number in nearest_images(patches, len(self.images), options.neighbours):
            guessed, centre = self._guess(number, left_out), self.images[number].pose.centre
            parts.append(seen_guesses(guessed, number, centre, camera, pose, options))
        patches, pixels = visible(
            Patches.join(parts), count, self._surface, camera, pose, options.most
        )
        return self._features(patches, pixels, camera, pose)

    def close(self) -> None:
        """Let go of the store's file."""
        if self.store is not None:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<map of {len(self.images):,} images and {len(self.model.xyz):,} points at "
            f"{str(self.path)!r}>"
        )

    @cached_property
    def _surface(self) -> Surface:
        return Surface(self.model)

    @cached_property
    def _stored(self) -> set[str]:
        """Names of images that the store has; no other is asked for, whatever a map calls them."""
        return set(self._features_of_images.names())

    @property
    def _features_of_images(self) -> Store:
        if self.store is None:
            raise InputError(
                f"Expected a map with the features of its images, found none near {self.path}. "
                "Say where they are: open_map(path, features=...)."
            )
        return self.store

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {image.name: number for number, image in enumerate(self.images)}

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            raise InputError(f"Expected the name of an image of {self.path}, got {name!r}.")
        return self._numbers[name]

    def _selection(self, left_out: frozenset[int]) -> Selection:
        if self._selected is None or self._selected[0] != left_out:
            absent = {n for n, image in enumerate(self.images) if image.name not in self._stored}
            found = Selection.without(self.model, self._surface.owners, left_out | absent)
            self._selected = left_out, found
        return self._selected[1]

    def _guess(self, number: int, left_out: frozenset[int]) -> Guessed:
        key = number, left_out
        if key not in self._guesses:
            image, points = self.images[number], self._selection(left_out).points
            known = (image.points >= 0) & points[image.points] if len(points) else image.points >= 0
            self._guesses[key] = guess_points(image, self.model.xyz, known)
            if len(self._guesses) > _GUESSES:
                self._guesses.popitem(last=False)
        return self._guesses[key]

    def _described(self, number: int) -> Described:
        """Return what the store holds of an image, by the map's keypoints."""
        if number not in self._rows:
            store = self._features_of_images
            self._rows[number] = match_rows(store, self.images[number])
            kept = [one.features.descriptors.nbytes for one in self._rows.values()]
            while len(self._rows) > 1 and sum(kept) > _KEPT:
                self._rows.popitem(last=False)
                del kept[0]
        self._rows.move_to_end(number)
        return self._rows[number]

    def _features(
        self, patches: Patches, pixels: Array, camera: Camera, pose: Pose
    ) -> LocalFeatures:
        warps, good = warps_of(patches, self.model, camera, pose)
        order = np.flatnonzero(good)
        order = order[np.argsort(patches.images[order], kind="stable")]
        parts: list[LocalFeatures] = []
        rows: list[Array] = []
        for number in np.unique(patches.images[order]):
            some = order[patches.images[order] == number]
            described = self._described(int(number))
            at = described.rows[patches.keypoints[some]]
            rows.append(some[at >= 0])
            parts.append(described.features[torch.from_numpy(at[at >= 0])])
        kept = np.concatenate([*rows, np.zeros(0, np.int64)])
        colors = self.model.colors[patches.points[kept]]
        return _joined(parts or [self._nothing()], pixels[kept], warps[kept], colors, camera)

    def _nothing(self) -> LocalFeatures:
        """Return no features, of the kind that the store has."""
        number = min(n for n, image in enumerate(self.images) if image.name in self._stored)
        return self._described(number).features[:0]


def _joined(
    parts: list[LocalFeatures], pixels: Array, warps: Array, colors: Array, camera: Camera
) -> LocalFeatures:
    """Return features of a view from those of its images, with frames that go through warps."""
    first = parts[0]
    scales, turns = (
        None
        if any(getattr(part, name) is None for part in parts)
        else torch.cat([getattr(part, name) for part in parts]).numpy().astype(np.float64)
        for name in ("scales", "orientations")
    )
    scales, turns = carry(scales, turns, warps)
    return LocalFeatures(
        keypoints=torch.from_numpy(pixels.astype(np.float32)),
        descriptors=torch.cat([part.descriptors for part in parts]),
        image_size=camera.image_size,
        descriptor=first.descriptor,
        scales=None if scales is None else torch.from_numpy(scales.astype(np.float32)),
        orientations=None if turns is None else torch.from_numpy(turns.astype(np.float32)),
        colors=torch.from_numpy(colors.astype(np.float32) / 255),
        provenance=Provenance(gray=first.provenance.gray, producer=first.provenance.producer),
    )
