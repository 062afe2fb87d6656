"""Stores of features on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.cli.messages import complain
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.stores.base import Store

STORES = (".db", ".h5", ".hdf5")  # taken for stores even when they are damaged
_SIZE = re.compile(r"(\d{1,9})x(\d{1,9})")
_SHARD = re.compile(r"(\d{1,9})/(\d{1,9})")


def find_store(sources: Sequence[str], others: bool) -> Path | None:
    """Return the store that a command line names, or None where it names images and .npz files.

    A folder with images in it is read as those, and one with .npz files alone too where something
    stands beside it. A store in such a folder is then named in a warning.

    Args:
        sources: What the user typed.
        others: Whether something else was asked for too.

    Raises:
        InputError: A store, and something beside it.
    """
    several = len(sources) > 1 or others
    found = [source for source in sources if _is_store(Path(source), several)]
    if found and several:
        raise InputError(f"Expected one store and nothing beside it, got {found[0]} with more.")
    if found:
        return Path(found[0])
    for source in sources:
        _warn_of_stores_in(Path(source))
    return None


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Turn `WxH` into (H, W); None stays None.

    >>> parse_size("640x480")
    (480, 640)
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InputError(f"Expected a size WxH in pixels, such as 640x480, got {text!r}.")
    return int(match[2]), int(match[1])


def parse_shard(text: str | None) -> tuple[int, int]:
    """Turn `i/n` into numbers; None into all.

    >>> parse_shard("3/4")
    (3, 4)
    """
    match = _SHARD.fullmatch(text or "0/1")
    if match is None:
        raise InputError(f"Expected a shard I/N, such as 0/4, got {text!r}.")
    return int(match[1]), int(match[2])


def open_named(path: Path, descriptor: str | None, size: str | None, *, mend: bool) -> Store:
    """Open the store that a command line names."""
    from invertdesc.stores.open import open_store

    if descriptor is not None:
        from invertdesc.descriptors import create_descriptor

        create_descriptor(descriptor)  # an unknown name is told at once, with a suggestion
    return open_store(path, descriptor=descriptor, image_size=parse_size(size), mend=mend)


def tell(notes: Iterable[str]) -> None:
    """Write notes on stderr, a line each."""
    for note in notes:
        complain("note", note)


def warn_of_left_out(store: Store) -> None:
    """Say what was found in a store and beside it, and is not read."""
    for sentence in store.description.left_out:
        complain("warning", sentence)


def _warn_of_stores_in(folder: Path) -> None:
    with suppress(OSError):  # reported when it is read
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        for path in inside:
            if path.suffix.lower() in STORES:
                complain("warning", f"Also found, not read: {path}. Pass it by itself.")


def _is_foreign(file: Path) -> bool:
    """Say whether an .npz file is another program's, of a kind that is read."""
    from invertdesc.stores._search import look_at
    from invertdesc.stores.npz import NpzStore

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
    from invertdesc.stores.open import is_store

    return is_store(path)
