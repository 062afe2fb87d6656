"""`keypoints.h5` and `descriptors.h5` side by side, a dataset an image in each.

The Image Matching Benchmark and the notebooks of Kaggle's Image Matching Challenges write these;
`scales.h5`, `angles.h5` and `scores.h5`, or kornia's `lafs.h5`, may lie beside. Scales are OpenCV's
diameters, angles degrees. Nothing names the descriptor, nor the images' sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.stores import _learned
from invertdesc.stores._hdf5 import BROKEN, MAGIC, check_unpacked, open_hdf5, read_dataset
from invertdesc.stores.base import Store
from invertdesc.stores.dumps import by_keypoint
from invertdesc.stores.record import Array, Record

REQUIRED = ("keypoints", "descriptors")
OTHERS = ("scales", "angles", "scores", "lafs")
LAF_SCALE = 6.0  # a local affine frame's half side in sigma, of a square of 12 sigma


def recognise(file: Path, head: bytes) -> bool:
    """Say whether a file is one of such a pair."""
    return (
        head.startswith(MAGIC)
        and file.suffix == ".h5"
        and file.stem in (*REQUIRED, *OTHERS)
        and all((file.parent / f"{part}.h5").is_file() for part in REQUIRED)
    )


class FlatStore(Store):
    """Read a pair of HDF5 files and what lies beside. Needs h5py, the extra `hloc`."""

    kind: ClassVar[str] = "keypoints.h5 and descriptors.h5"

    def _open(self) -> None:
        """Open the files beside one of them.

        Raises:
            MissingDependencyError: h5py is not installed.
            FileError: One is unreadable.
        """
        self._h5py: Any = None
        self._files: dict[str, Any] = {}
        try:
            for part in (*REQUIRED, *OTHERS):
                file = self.path.parent / f"{part}.h5"
                if part in REQUIRED or file.is_file():
                    self._h5py, self._files[part] = open_hdf5(file)
        except FileError:
            self.close()
            raise

    def names(self) -> Iterator[str]:
        """Yield the names of all images, sorted; nested groups are joined by `/`."""
        yield from self._names

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            with suppress(*BROKEN):
                file.close()

    @cached_property
    def _names(self) -> list[str]:
        found: list[str] = []

        def visit(name: str, item: Any) -> None:  # returning anything would end the walk
            if isinstance(item, self._h5py.Dataset):
                found.append(name)

        try:
            self._files["keypoints"].visititems(visit)  # hard links only
        except BROKEN as error:
            raise FileError(f"Expected a whole HDF5 file at {self.path}, got: {error}.") from error
        return sorted(found)

    def _record(self, name: str) -> Record:
        try:
            return self._read(name)
        except (InputError, FileError):
            raise
        except BROKEN as error:
            raise FileError(f"Expected a whole dataset, got: {error}.") from error

    def _read(self, name: str) -> Record:
        check_unpacked(self._h5py, [(file, name) for file in self._files.values()])
        xy = self._part("keypoints", name)
        if xy is None:
            raise InputError("Expected an image of that name, found none.")
        if xy.ndim != 2 or xy.shape[1] < 2:
            raise InputError(f"Expected keypoints of shape (N, 2), got {xy.shape}.")
        stored = self._part("descriptors", name)
        if stored is None:
            raise InputError("Expected descriptors of that name in descriptors.h5, found none.")
        vectors = by_keypoint(stored, len(xy))
        scales, turns, scores = (
            self._rows(part, name, len(xy)) for part in ("scales", "angles", "scores")
        )
        lafs = None if scales is not None else self._lafs(name, len(xy))
        if lafs is not None:
            scales, turns = lafs
        elif turns is not None:
            turns = np.deg2rad(turns.astype(np.float64))
        folder = self.path.parent.name
        return Record(
            xy=xy[:, :2].astype(np.float64),
            vectors=vectors,
            scales=scales,
            diameters=lafs is None,
            orientations=turns,
            scores=scores,
            descriptor=_learned.name_in_file(folder, vectors),
            producer="keypoints.h5",
        )

    def _part(self, part: str, name: str) -> Array | None:
        file = self._files.get(part)
        return None if file is None else read_dataset(self._h5py, file, name, None)

    def _rows(self, part: str, name: str, count: int) -> Array | None:
        found = self._part(part, name)
        if found is not None and found.size != count:
            raise InputError(f"Expected {count} numbers in {part}.h5, got shape {found.shape}.")
        return None if found is None else found.reshape(count)

    def _lafs(self, name: str, count: int) -> tuple[Array, Array] | None:
        """Return scales and orientations of local affine frames, of shape (1, N, 2, 3)."""
        found = self._part("lafs", name)
        if found is None:
            return None
        if found.size != 6 * count:
            raise InputError(f"Expected {count} frames of 2 x 3 in lafs.h5, got {found.shape}.")
        axes = found.reshape(count, 2, 3)[:, :, :2].astype(np.float64)
        half = np.sqrt(np.abs(axes[:, 0, 0] * axes[:, 1, 1] - axes[:, 0, 1] * axes[:, 1, 0]))
        return half / LAF_SCALE, np.arctan2(axes[:, 1, 0], axes[:, 0, 0])
