"""Datasets of HDF5 files that strangers wrote: numbers in the file itself, of reasonable size."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from invertdesc._optional import require
from invertdesc.errors import FileError, InputError
from invertdesc.limits import check_limit
from invertdesc.stores.record import Array

MAGIC = b"\x89HDF\r\n\x1a\n"
BLOCK = 512  # bytes that MATLAB puts in front
BROKEN = (OSError, KeyError, RuntimeError, ValueError, TypeError, MemoryError)  # h5py's own


def open_hdf5(path: Path) -> tuple[Any, Any]:
    """Return the module h5py and a file opened by it.

    Raises:
        MissingDependencyError: h5py is not installed.
        FileError: Unreadable.
    """
    h5py: Any = require("h5py", "hloc", needed_by=f"reading {path}")
    try:
        return h5py, h5py.File(path, "r")
    except BROKEN as error:
        raise FileError(f"Expected a whole HDF5 file at {path}, got: {error}.") from error


def is_hdf5(path: Path) -> bool:
    """Say whether a file is HDF5, behind the block of MATLAB's that may come first."""
    try:
        with path.open("rb") as file:
            return MAGIC in (file.read(len(MAGIC)), file.seek(BLOCK) and file.read(len(MAGIC)))
    except OSError:
        return False


def read_dataset(h5py: Any, group: Any, name: str, axes: int | None) -> Array | None:
    """Return a small enough dataset of numbers with so many axes; None where there is none.

    Args:
        h5py: The module.
        group: A group of the file, or the file itself.
        name: In it.
        axes: How many, or None for any.

    Raises:
        InputError: It is no such dataset, or not in the file itself.
    """
    if group.get(name, getlink=True) is None:
        return None
    if not is_here(h5py, group, name):
        raise InputError(f"Expected {name!r} in the file itself, got a link to elsewhere.")
    data = group[name]
    shape = getattr(data, "shape", None)
    if not isinstance(data, h5py.Dataset) or shape is None or data.dtype.kind not in "fiu":
        raise InputError(f"Expected {name!r} as a dataset of numbers, got {data}.")
    if axes is not None and len(shape) != axes:
        raise InputError(f"Expected {name!r} with {axes} axes, got shape {shape}.")
    if data.external or data.is_virtual:
        raise InputError(f"Expected {name!r} in the file itself, got one kept elsewhere.")
    check_limit("values", data.size, f"a dataset such as {name!r}")
    return np.asarray(data[()])


def is_here(h5py: Any, group: Any, name: str) -> bool:
    """Say whether there is something of that name, and no link to elsewhere."""
    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def check_unpacked(h5py: Any, parts: Iterable[tuple[Any, str]]) -> None:
    """Check what the datasets of an image unpack to, each a group and a name in it.

    Raises:
        InputError: More than `Limits` allow.
    """
    found = (group.get(name) for group, name in parts if is_here(h5py, group, name))
    total = sum(_unpacked(part) for part in found if isinstance(part, h5py.Dataset))
    check_limit("unpacked", total, "datasets of an image")


def _unpacked(data: Any) -> int:
    """Return the bytes that a dataset unpacks to; 0 where it takes as many in the file.

    A file of a few bytes can claim any shape: what was never written takes no room in it. And a
    chunk, which is unpacked as a whole, can be larger than its dataset.
    """
    if data.shape is None:
        return 0
    chunk = prod(data.chunks) * data.dtype.itemsize if data.chunks else 0
    most = max(int(data.nbytes), chunk)
    return most if most > data.id.get_storage_size() else 0
