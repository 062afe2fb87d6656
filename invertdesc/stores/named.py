"""Tell names of a store from names of images and of files of features."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.errors import InputError
from invertdesc.stores._search import look_at
from invertdesc.stores.npz import NpzStore
from invertdesc.stores.open import is_store

STORES = (".db", ".h5", ".hdf5")  # taken for stores even when they are damaged


class Named(NamedTuple):
    """What names lead to.

    Attributes:
        store: The store, or None where they lead to images and .npz files.
        passed_over: Stores that lie in a folder which was taken for one of images.
    """

    store: Path | None
    passed_over: tuple[Path, ...] = ()


def find_store(names: Sequence[str | os.PathLike[str]], *, alone: bool = True) -> Named:
    """Find out whether names lead to a store, or to images and .npz files.

    A folder with images in it is one of images. A folder of .npz files is a store where it is the
    only name, and else is read file by file.

    Args:
        names: Files and folders.
        alone: Whether nothing else is asked for beside the names.

    Raises:
        InputError: A store, and something beside it.
    """
    paths = list(map(Path, names))
    several = len(paths) > 1 or not alone
    found = [path for path in paths if _is_store(path, several)]
    if found and several:
        raise InputError(f"Expected one store and nothing beside it, got {found[0]} with more.")
    if found:
        return Named(found[0])
    return Named(None, tuple(inside for path in paths for inside in _stores_in(path)))


def _stores_in(folder: Path) -> list[Path]:
    with suppress(OSError):  # reported when it is read
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        return [path for path in inside if path.suffix.lower() in STORES]
    return []


def _is_foreign(file: Path) -> bool:
    """Return whether an .npz file is that of another program, of a kind that is read."""
    found = look_at(file)
    return found is not None and found.kind not in (None, NpzStore)


def _is_store(path: Path, several: bool) -> bool:
    try:
        if not path.exists() or path.suffix.lower() in IMAGE_SUFFIXES:
            return False
        if path.is_file() and path.suffix.lower() == ".npz":
            return _is_foreign(path)
        if path.is_file() and path.suffix.lower() in STORES:
            return True
        files = (*IMAGE_SUFFIXES, ".npz") if several else IMAGE_SUFFIXES
        if path.is_dir() and any(p.suffix.lower() in files for p in path.iterdir()):
            return False
    except OSError:
        return False
    return is_store(path)
