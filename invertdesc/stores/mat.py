"""MATLAB's `.mat` with what VLFeat's `vl_sift` returns: frames `f` (4, N), vectors `d` (128, N).

Frames may have 3 rows, x, y and sigma, or 6, of a turned ellipse, as `vl_covdet` returns. MATLAB
counts pixels from 1. Files of version 5 are read here, those of 7.3, which are HDF5, by h5py.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.stores import _matfile
from invertdesc.stores._files import FileStore, read_bytes
from invertdesc.stores._hdf5 import BROKEN, check_unpacked, is_hdf5, open_hdf5, read_dataset
from invertdesc.stores.record import Array, Record, check_count, check_rows_alike
from invertdesc.stores.vlfeat import from_vlfeat

MAGICS = (_matfile.MAGIC, b"MATLAB 7.3 MAT-file")
FRAMES = ("f", "frames", "frame", "keypoints", "kp")
VECTORS = ("d", "descr", "descrs", "descriptors", "descriptor", "desc")
WIDTH = 128
ROWS = (4, 3, 6)
SHEARED = "Ellipses are reduced to a scale and an orientation."


def recognise(head: bytes) -> bool:
    """Say whether a file that begins so is MATLAB's."""
    return head.startswith(MAGICS)


class MatStore(FileStore):
    """Read SIFT from MATLAB's files, one or a folder of them."""

    kind: ClassVar[str] = "MATLAB .mat"

    def _read(self, file: Path) -> Record:
        arrays = _arrays(file)
        frames, vectors = (_one_of(arrays, names, file) for names in (FRAMES, VECTORS))
        if vectors.shape[0] != WIDTH and vectors.shape[1] == WIDTH:
            vectors = vectors.T
        if vectors.shape[0] != WIDTH:
            raise InputError(f"Expected vectors of {WIDTH} numbers, got shape {vectors.shape}.")
        count = vectors.shape[1]
        if frames.shape[0] not in ROWS and frames.shape[1] in ROWS:
            frames = frames.T
        if frames.shape[0] not in ROWS:
            raise InputError(f"Expected frames of 3, 4 or 6 rows, got shape {frames.shape}.")
        check_count(count, WIDTH)
        check_rows_alike(frames.shape[1], count)
        frames = frames.astype(np.float64)
        scales, turns, notes = _shape(frames)
        return Record(
            xy=frames[:2].T - 1,
            vectors=from_vlfeat(np.ascontiguousarray(vectors.T)),
            scales=scales,
            orientations=turns,
            producer="vlfeat in matlab",
            origin="first",
            notes=notes,
        )


def _shape(frames: Array) -> tuple[Array, Array | None, tuple[str, ...]]:
    """Return scales and orientations of frames (3, 4 or 6, N), and what is lost."""
    if len(frames) == 3:
        return frames[2], None, ()
    if len(frames) == 4:
        return frames[2], frames[3], ()
    a11, a21, a12, a22 = frames[2:]
    return np.sqrt(np.abs(a11 * a22 - a12 * a21)), np.arctan2(a21, a11), (SHEARED,)


def _one_of(arrays: dict[str, Array], names: tuple[str, ...], file: Path) -> Array:
    lower = {name.lower(): array for name, array in arrays.items()}
    for name in names:
        if name in lower:
            return lower[name]
    found = ", ".join(list(arrays)[:8]) or "none"
    raise InputError(f"Expected an array {names[0]!r} or {names[1]!r} in {file}, got {found}.")


def _arrays(file: Path) -> dict[str, Array]:
    """Return the arrays at the top of a file, as MATLAB has their axes."""
    if not is_hdf5(file):
        return _matfile.read_mat(read_bytes(file), str(file))
    h5py, opened = open_hdf5(file)
    try:
        names = [name for name in opened if name.lower() in (*FRAMES, *VECTORS)]
        check_unpacked(h5py, [(opened, name) for name in names])
        found = {name: read_dataset(h5py, opened, name, 2) for name in names}
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        raise FileError(f"Expected a whole MATLAB file at {file}, got: {error}.") from error
    finally:
        opened.close()
    return {name: array.T for name, array in found.items() if array is not None}
