"""Find out by content what a file or folder is, and open it."""

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

MOST = 50  # stores of a folder that are tried

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
    """Open what holds the features of many images, of whatever kind it is.

    The kind is told by content. Of a folder the nearest that holds descriptors is taken, and of
    what is equally near a whole store, such as `database.db`, before loose files; `also_found` of
    the result names what else there is. What was decided, such as SIFT or RootSIFT, is in its
    `description`.

    Args:
        path: A COLMAP database, an hloc file, a folder of kapture's, or a file or folder of .npz,
            OpenSfM's, OpenCV's FileStorage, Lowe's, SiftGPU's, VLFeat's, VisualSFM's, INRIA's,
            Oxford's, OpenMVG's or AliceVision's files; docs/formats.md has them all.
        descriptor: Registry name of the vectors, or the file that `fit_program` saved for them,
            where the store does not tell or is wrong.
        image_size: (H, W) of all images, where the store does not tell.
        mend: Whether to bring vectors, angles and scales into our order and units where `check` is
            certain that the store has others than its kind; the description says what was done.

    Raises:
        FileError: Missing, damaged, or of no kind that is known.
        InputError: `image_size` is none.
        MissingDependencyError: What reads this kind is not installed.

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
    """Return what opens a store again, as it was opened, in another process too."""
    return partial(
        open_store,
        store.path.absolute(),
        descriptor=store._told,
        image_size=store._image_size,
        mend=store.mend,
    )


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError as error:  # a name that is too long, a folder without permission
        raise FileError(f"Cannot look at {place}: {error.strerror or error}.") from error


def is_store(path: Path) -> bool:
    """Say whether a path leads to what `open_store` would try to open, or knows to be foreign."""
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
        raise FileError(f"Expected a store of a kind that is known ({KNOWN}), got {what}.")
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
            f"Expected files of a kind that is known ({KNOWN}) in the folder {folder}, found "
            f"{what}.{advice}"
        )
    return _open_best(known[:MOST], found, folder, options)


def _open_best(
    known: list[Found], found: list[Found], folder: Path, options: dict[str, Any]
) -> Store:
    """Open the first that holds descriptors; where none does, the first that opens.

    Raises:
        InvertDescError: None opens; of the first.
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
    """Open a store, which of loose files is all that `place` has of them."""
    kind: Any = found.kind
    store: Store = (
        kind(found.file, **options)
        if found.is_whole
        else kind(place, suffix=found.suffix, **options)
    )
    return store
