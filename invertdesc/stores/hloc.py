"""Read hloc's `features.h5`: one group per image, with `keypoints`, `descriptors` (D, N) etc."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.stores import _learned
from invertdesc.stores._hdf5 import BROKEN, MAGIC, check_unpacked, open_hdf5, read_dataset
from invertdesc.stores.base import Store
from invertdesc.stores.record import Array, Record, check_count, check_rows_alike

PARTS = ("keypoints", "descriptors", "scales", "oris", "scores", "image_size")


def recognise(head: bytes) -> bool:
    """Return whether a file with this beginning is HDF5."""
    return head.startswith(MAGIC)


class HlocStore(Store):
    """Read an hloc file. Needs h5py, the extra `hloc`.

    Whole numbers are pixel centres. The positions of COLMAP's detector, which come with `scales`
    and `oris`, are an exception: hloc does not convert them, and half a pixel is subtracted here.
    """

    kind: ClassVar[str] = "hloc features"

    def _open(self) -> None:
        """Open a file.

        Raises:
            MissingDependencyError: h5py is not installed.
            FileError: The file is unreadable, or is not a file of hloc.
        """
        self._h5py, self._file = open_hdf5(self.path)
        try:
            self._check()
        except FileError:
            self.close()
            raise

    def names(self) -> Iterator[str]:
        """Yield the names of all images, sorted; nested groups are joined by `/`."""
        yield from self._names

    def close(self) -> None:
        """Close the file."""
        with suppress(*BROKEN):
            self._file.close()

    def _check(self) -> None:
        if self._names:
            return
        globals_only = self._globals
        more = " It holds global descriptors, one an image, of which no picture can be made."
        raise FileError(
            f"Expected groups with 'keypoints', as hloc writes them, in {self.path}; found none."
            + (more if globals_only else "")
        )

    @cached_property
    def _names(self) -> list[str]:
        found: list[str] = []
        self._globals = False

        def visit(name: str, item: Any) -> None:  # returning a value would end the visit
            parent, _, last = name.rpartition("/")
            if last == "keypoints" and parent and isinstance(item, self._h5py.Dataset):
                found.append(parent)
            self._globals = self._globals or last == "global_descriptor"

        try:
            self._file.visititems(visit)  # only hard links, since soft links may lead anywhere
        except BROKEN as error:
            raise FileError(f"Expected a whole HDF5 file at {self.path}, got: {error}.") from error
        return sorted(found)

    def _record(self, name: str) -> Record:
        try:
            return self._read(name)
        except (InputError, FileError):
            raise
        except BROKEN as error:
            raise FileError(f"Expected a whole group, got: {error}.") from error

    def _read(self, name: str) -> Record:
        group = self._file.get(name)
        if not isinstance(group, self._h5py.Group):
            raise InputError("Expected an image of that name, found none.")
        check_unpacked(self._h5py, [(group, part) for part in PARTS])
        xy = self._required(group, "keypoints", 2)
        if xy.shape[1] != 2:
            raise InputError(f"Expected 'keypoints' of shape (N, 2), got {xy.shape}.")
        vectors = self._required(group, "descriptors", 2).T
        if len(vectors) != len(xy) == vectors.shape[1]:
            raise InputError(
                f"Expected descriptors of shape (D, N) with N = {len(xy)} keypoints, got "
                f"{vectors.shape[::-1]}. Are they transposed?"
            )
        check_rows_alike(len(xy), len(vectors))
        check_count(*vectors.shape)
        scales, turns, scores = (
            read_dataset(self._h5py, group, part, 1) for part in ("scales", "oris", "scores")
        )
        from_colmap = scales is not None and turns is not None
        half = xy.dtype == np.float16
        positions = xy.astype(np.float64)
        return Record(
            xy=positions - 0.5 if from_colmap else positions,
            vectors=vectors,
            image_size=self._size(group),
            scales=scales,
            orientations=None if turns is None else np.deg2rad(turns.astype(np.float64)),
            scores=scores,
            descriptor=_learned.name_in_file(self.path.name, vectors),
            producer="hloc",
            origin="corner" if from_colmap else "centre",
            notes=(
                "Positions are float16: precise to half a pixel above 512, one pixel above 1024.",
            )
            if half
            else (),
        )

    def _size(self, group: Any) -> tuple[int, int] | None:
        stored = read_dataset(self._h5py, group, "image_size", 1)
        if stored is None:
            return None
        if not (len(stored) == 2 and np.isfinite(stored).all() and (stored >= 1).all()):
            raise InputError(f"Expected image_size (W, H) in pixels, got {stored.tolist()}.")
        width, height = (int(side) for side in stored)
        return height, width

    def _required(self, group: Any, name: str, axes: int) -> Array:
        found = read_dataset(self._h5py, group, name, axes)
        if found is None:
            raise InputError(f"Expected a dataset {name!r}, found none.")
        return found
