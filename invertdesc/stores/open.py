"""Recognise a store by its content, and open it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from invertdesc.errors import FileError, InvertDescError
from invertdesc.features._checks import checked_size
from invertdesc.stores import _strangers
from invertdesc.stores._search import Found, look_at, search
from invertdesc.stores.base import Store
from invertdesc.stores.kapture import KaptureStore, recognise_folder
from invertdesc.stores.record import absolute_name

MOST = 50  # maximum number of stores of a folder to try

KNOWN = (
    "COLMAP's database.db, hloc's features.h5, keypoints.h5 with descriptors.h5, invertdesc's "
    ".npz, OpenSfM's .features.npz, archives of keypoints and descriptors, .npy with a "
    "layout.json, OpenCV's FileStorage, Lowe's .key, VLFeat's text, .frame and .mat, VisualSFM's "
    "and SiftGPU's .sift, INRIA's .siftgeo, Oxford's regions, OpenMVG's and AliceVision's .feat "
    "with .desc, kapture"
)


def open_store(
    path: str | os.PathLike[str],
    *,
    descriptor: str | None = None,
    image_size: tuple[int, int] | None = None,
    mend: bool = True,
) -> Store:
    """Open a store, which has the features of many images.

    The kind is recognised by content. For a folder, the store with descriptors at the highest level
    is opened; at the same level, a whole store, such as `database.db`, has priority over single
    files. `also_found` of the result names the other stores. `description` says what was decided,
    such as SIFT or RootSIFT.

    Args:
        path: A COLMAP database, an hloc file, a folder of kapture, or a file or folder of .npz
            files or of files of OpenSfM, OpenCV (FileStorage), Lowe's program, SiftGPU, VLFeat,
            VisualSFM, INRIA, Oxford, OpenMVG or AliceVision; docs/formats.md lists all.
        descriptor: Registry name of the vectors, or the file that `fit_program` saved for them, if
            the store does not contain it or is wrong.
        image_size: (H, W) of all images, if the store does not contain sizes.
        mend: Whether to correct vectors, angles and scales if `check` is certain that they differ
            from those of the store's kind; the description says what was done.

    Raises:
        FileError: The store is missing, damaged, or of an unknown kind.
        InputError: `image_size` is invalid.
        MissingDependencyError: A package to read this kind is not installed.

    >>> import tempfile
    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     extract(camera()[::2, ::2]).save(f"{folder}/camera.npz")
    ...     for name, features in open_store(folder):
    ...         print(name, features.image_size, features.descriptor)
    camera (256, 256) sift
    """
    options: dict[str, Any] = {
        "descriptor": absolute_name(descriptor),
        "image_size": None if image_size is None else checked_size(image_size),
    }
    text = os.fspath(path)
    place = Path(text)
    if not text or "\0" in text or not _is_there(place):
        raise FileError(f"Expected a store of features, found none at {text!r}.")
    store = _open_folder(place, options) if place.is_dir() else _open_single(place, options)
    store.mend = mend
    return store


def opener(store: Store) -> Callable[[], Store]:
    """Return a function that opens the store again in the same way, also in another process."""
    return partial(
        open_store,
        store.path.absolute(),
        descriptor=store._given,
        image_size=store._image_size,
        mend=store.mend,
    )


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError as error:  # for example a name that is too long, or no permission
        raise FileError(f"Cannot look at {place}: {error.strerror or error}.") from error


def is_store(path: Path) -> bool:
    """Return whether `open_store` recognises a path, as a store or as an unsupported file."""
    try:
        if path.is_dir():
            return recognise_folder(path) or next(search(path), None) is not None
        return look_at(path) is not None
    except OSError:
        return False


def _open_single(file: Path, options: dict[str, Any]) -> Store:
    found = look_at(file)
    if found is None or found.kind is None:
        words = _strangers.words_for(file) if found is None else found.words
        what = f"{file}, {words}" if words else file
        raise FileError(f"Expected a store of a known kind ({KNOWN}), got {what}.")
    return _open(found, file, options)


def _open_folder(folder: Path, options: dict[str, Any]) -> Store:
    found = sorted(search(folder), key=lambda one: (len(one.file.parts), not one.is_whole))
    if recognise_folder(folder):
        store: Store = KaptureStore(folder, **options)
        store.also_found = tuple(one.name_in(folder) for one in found)
        return store
    known = [one for one in found if one.kind is not None]
    if not known:
        what = "; ".join(one.name_in(folder) for one in found) or "none"
        advice = "" if found else _strangers.advice_for(folder)
        raise FileError(
            f"Expected files of a known kind ({KNOWN}) in the folder {folder}, found "
            f"{what}.{advice}"
        )
    return _open_best(known[:MOST], found, folder, options)


def _open_best(
    known: list[Found], found: list[Found], folder: Path, options: dict[str, Any]
) -> Store:
    """Open the first store with descriptors; if there is none, the first that can be opened.

    Raises:
        InvertDescError: No store can be opened; this is the error of the first.
    """
    empty: Store | None = None
    errors: list[InvertDescError] = []
    for one in known:
        try:
            store = _open(one, folder, options)
        except InvertDescError as error:
            errors.append(error)
            continue
        store.also_found = tuple(other.name_in(folder) for other in found if other is not one)
        if len(known) == 1 or _holds_descriptors(store):
            if empty is not None:
                empty.close()
            return store
        if empty is None:
            empty = store
        else:
            store.close()
    if empty is None:
        raise errors[0]
    return empty


def _holds_descriptors(store: Store) -> bool:
    with suppress(InvertDescError):
        return bool(store.description.dim)
    return False


def _open(found: Found, place: Path, options: dict[str, Any]) -> Store:
    """Open a store; for single files, it contains all files of this kind in `place`."""
    kind: Any = found.kind
    store: Store = (
        kind(found.file, **options)
        if found.is_whole
        else kind(place, suffix=found.suffix, **options)
    )
    return store
