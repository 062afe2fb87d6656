"""Find out by content what a file or folder is, and open it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from invertdesc._feature_checks import checked_size
from invertdesc.errors import FileError
from invertdesc.io import _feat, colmap, hloc, lowe, npz, opencv, oxford, visualsfm, vlfeat
from invertdesc.io._files import FileStore, walk
from invertdesc.io.alicevision import NAMES, AlicevisionStore
from invertdesc.io.base import Store
from invertdesc.io.kapture import KaptureStore, recognise_folder
from invertdesc.io.openmvg import OpenmvgStore

HEAD = 4096  # bytes that a kind is told by
TRIES = 1000  # files of a folder that are looked at

_WHOLE: list[tuple[Callable[[bytes], bool], type[Store]]] = [
    (colmap.recognise, colmap.ColmapStore),
    (hloc.recognise, hloc.HlocStore),
]
_FILES: list[tuple[Callable[[bytes], bool], type[FileStore]]] = [
    (npz.recognise, npz.NpzStore),
    (opencv.recognise, opencv.OpencvStore),
    (lowe.recognise, lowe.LoweStore),
    (visualsfm.recognise, visualsfm.VisualsfmStore),
    (oxford.recognise, oxford.OxfordStore),
    (vlfeat.recognise, vlfeat.VlfeatStore),
]
KNOWN = (
    "COLMAP's database.db, hloc's features.h5, invertdesc's .npz, OpenCV's FileStorage, Lowe's "
    ".key, VLFeat's text, VisualSFM's .sift, Oxford's regions, OpenMVG's and AliceVision's .feat "
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

    The kind is told by content, for a folder by that of the first file of a kind that is known.
    What was decided, such as SIFT or RootSIFT, is in the result's `description`.

    Args:
        path: A COLMAP database, an hloc file, a folder of kapture's, or a file or folder of .npz,
            OpenCV's FileStorage, Lowe's, VLFeat's, VisualSFM's, Oxford's, OpenMVG's or
            AliceVision's files.
        descriptor: Registry name of the vectors, where the store does not tell or is wrong.
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
        "descriptor": descriptor,
        "image_size": None if image_size is None else checked_size(image_size),
    }
    text = os.fspath(path)
    place = Path(text)
    if "\0" in text or not place.exists():
        raise FileError(f"Expected a store of features, found none at {text!r}.")
    store = _open_folder(place, options) if place.is_dir() else _open_single(place, options)
    store.mend = mend
    return store


def is_store(path: Path) -> bool:
    """Say whether a path leads to what `open_store` would try to open."""
    try:
        if path.is_dir():
            return recognise_folder(path) or _first_known(path) is not None
        return _find_kind(path) is not None
    except OSError:
        return False


def _open_single(file: Path, options: dict[str, Any]) -> Store:
    found = _find_kind(file)
    if found is None:
        raise FileError(f"Expected a store of a kind that is known ({KNOWN}), got {file}.")
    return _open_file(found, file, file, options)


def _open_folder(folder: Path, options: dict[str, Any]) -> Store:
    if recognise_folder(folder):
        return KaptureStore(folder, **options)
    first = _first_known(folder)
    if first is None:
        raise FileError(
            f"Expected files of a kind that is known ({KNOWN}) in the folder {folder}, found none."
        )
    file, kind = first
    return _open_file(kind, folder, file, options)


def _open_file(kind: type[Store], place: Path, file: Path, options: dict[str, Any]) -> Store:
    """Open a store of which `file` is the first, or the only one."""
    if not issubclass(kind, FileStore):
        return kind(file, **options)
    return kind(place, suffix=_suffix(kind, file), **options)


def _suffix(kind: type[Store], file: Path) -> str:
    """Return the end of a file's name that all files of the store share."""
    parts = file.suffixes
    packed = len(parts) > 1 and parts[-1] == ".gz"
    # .sift.feat, .hesaff.sift
    described = len(parts) > 1 and kind in (AlicevisionStore, oxford.OxfordStore)
    return "".join(parts[-2:]) if packed or described else file.suffix


def _first_known(folder: Path) -> tuple[Path, type[Store]] | None:
    for name in islice(walk(folder), TRIES):
        kind = _find_kind(folder / name)
        if kind is not None:
            return folder / name, kind
    return None


def _find_kind(file: Path) -> type[Store] | None:
    head = _head(file)
    for recognise, store in (*_WHOLE, *_FILES):
        if recognise(head):
            return store
    if file.suffix == ".feat" and _feat.recognise(head):
        return AlicevisionStore if NAMES.fullmatch(file.name) else OpenmvgStore
    return None


def _head(file: Path) -> bytes:
    """Return how a regular file begins, unpacked where gzip packed it; nothing of any other."""
    if not file.is_file():
        return b""
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD)
        if head.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except (OSError, zlib.error):
        return b""
    return head
