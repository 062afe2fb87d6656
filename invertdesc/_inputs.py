"""Read the sources of the public functions: images, features, files, stores, or several."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.errors import FileError
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_image

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from invertdesc.stores.base import Store

    Picture: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor
    Source: TypeAlias = Picture | LocalFeatures
    # Not Iterable: an array is iterable too, and would be one image and several to a type checker.
    Sources: TypeAlias = Store | Sequence[Source] | Iterator[Source]

_SINGLE = (str, bytes, os.PathLike, Tensor, LocalFeatures, Mapping)


def several(source: object) -> Iterable[Any] | None:
    """Return the sources to process one by one, or None if there is only a single one.

    Raises:
        FileError: The store at a path cannot be opened.
        InvertDescError: The names of a store cannot be read.
    """
    from invertdesc.stores.base import Store
    from invertdesc.stores.open import open_store

    if isinstance(source, Store):
        return _features_of(source)
    if isinstance(source, Tensor) and source.ndim == 4:
        return source.unbind()
    if isinstance(source, str | os.PathLike) and _leads_to_store(source):
        return _features_of(open_store(source), close=True)
    if isinstance(source, _SINGLE) or not isinstance(source, Iterable) or hasattr(source, "shape"):
        return None
    return source


def read_one(source: object) -> LocalFeatures | Tensor:
    """Return features, also from their file, unchanged, and anything else as an image (3, H, W).

    Raises:
        FileError: A file is missing, or is neither an image nor a file of features.
        InputError: The source is not an image.
    """
    if isinstance(source, LocalFeatures):
        return source
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    if path.lower().endswith(".npz"):
        return LocalFeatures.load(path)
    try:
        return to_image(source)
    except FileError as error:
        advice = _advice(path) if path else None
        if advice is None:
            raise
        raise FileError(f"{error} {advice}") from error


def _leads_to_store(source: str | os.PathLike[str]) -> bool:
    """Return whether a path has features of several images.

    An .npz file has those of one image, and a file with the suffix of an image is read as an image.
    """
    from invertdesc.stores.open import is_store

    path = os.fspath(source)
    if not path or path.lower().endswith((".npz", *IMAGE_SUFFIXES)):
        return False
    return is_store(Path(path))


def _features_of(store: Store, *, close: bool = False) -> Iterator[LocalFeatures]:
    try:
        yield from (features for _, features in store)
    finally:
        if close:
            store.close()


def _advice(path: str) -> str | None:
    if _leads_to_store(path):
        return f"It is a store of several images: pass it alone, or use open_store({path!r})."
    if os.path.isdir(path):  # noqa: PTH112  # it never raises
        return f"It is a folder: pass a list of images, sorted(Path({path!r}).glob('*.png'))."
    if glob.has_magic(path):
        return f"It is a pattern: pass a list of images, sorted(glob.glob({path!r}))."
    return None
