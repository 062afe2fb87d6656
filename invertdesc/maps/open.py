"""Find a map and the features of its images, and open both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from invertdesc.errors import FileError, InputError, InvertDescError, MissingDependencyError
from invertdesc.maps._colmap import is_model, read_model
from invertdesc.maps.map import Map
from invertdesc.maps.model import Model
from invertdesc.stores.base import Store
from invertdesc.stores.open import open_store

_INSIDE = ("", "sparse/0", "sparse", "0", "sfm", "model", "colmap/sparse/0", "distorted/sparse/0")
_UP = 2  # folders above the model's in which features are looked for
_TRIED = 16  # stores that are looked at
_STORES = (".db", ".h5", ".hdf5")


def open_map(
    path: str | os.PathLike[str],
    *,
    features: str | os.PathLike[str] | None = None,
    descriptor: str | None = None,
) -> Map:
    r"""Open a COLMAP model with the features of its images.

    Args:
        path: The folder of the model (cameras, images and points3D, as .bin or .txt), or one that
            has it in `sparse/0`, `sparse` or, as hloc, in `sfm`.
        features: A store with the features of its images, as `open_store` takes it. None looks for
            `database.db` and hloc's `features*.h5` in the model's folder and the two above it; a
            map without any can be inspected, but has no views.
        descriptor: Registry name of the vectors, where the store does not say it or is wrong.

    Raises:
        FileError: No model, or a damaged one.
        InputError: Files that do not fit each other, or features of other images.
        MissingDependencyError: What reads the features is not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "cameras.txt").write_text("1 SIMPLE_PINHOLE 64 48 50 32 24\n")
    ...     _ = Path(folder, "images.txt").write_text("1 1 0 0 0 0 0 4 1 front.jpg\n\n")
    ...     Path(folder, "points3D.txt").touch()
    ...     open_map(folder).images[0].name
    'front.jpg'
    """
    folder = _find_model(Path(path))
    model = read_model(folder)
    if features is not None:
        store = open_store(features, descriptor=descriptor)
        if not _has(store, model):
            store.close()
            raise InputError(
                f"Expected features of the images of {folder}, such as "
                f"{model.images[0].name!r}; got those of others in {features}."
            )
        return Map(folder, model, store)
    return Map(folder, model, _find_features(folder, model, descriptor))


def is_map(path: str | os.PathLike[str]) -> bool:
    """Say whether a path leads to a model that `open_map` would read."""
    try:
        return Path(path).is_dir() and any(is_model(Path(path, inside)) for inside in _INSIDE)
    except (OSError, ValueError):
        return False


def _find_model(path: Path) -> Path:
    try:
        there = path.is_dir()
    except (OSError, ValueError):
        there = False
    if not there or not os.fspath(path):
        raise FileError(f"Expected the folder of a map, found none at {str(path)!r}.")
    for inside in _INSIDE:
        if is_model(path / inside):
            return path / inside
    raise FileError(
        f"Expected a COLMAP model in {path}: images.bin or images.txt, in it, in sparse/0 or in "
        "sfm; found none."
    )


def _find_features(folder: Path, model: Model, descriptor: str | None) -> Store | None:
    """Return the nearest store of the model's images; None where there is none.

    Raises:
        MissingDependencyError: There is one that nothing here can read, and no other.
    """
    missing: MissingDependencyError | None = None
    for file in islice(_stores_near(folder), _TRIED):
        try:
            store = open_store(file, descriptor=descriptor)
        except MissingDependencyError as error:
            missing = missing or error
            continue
        except InvertDescError:
            continue
        if _has(store, model) and store.description.dim and not store.only_placeholders:
            return store
        store.close()
    if missing is not None:
        raise missing
    return None


def _stores_near(folder: Path) -> Iterator[Path]:
    place = folder.resolve()
    for around in (place, *place.parents[:_UP]):
        try:
            files = sorted(around.iterdir())
        except OSError:
            continue
        named = [file for file in files if file.suffix.lower() in _STORES and file.is_file()]
        yield from sorted(named, key=lambda file: file.suffix.lower() != ".db")


def _has(store: Store, model: Model) -> bool:
    """Say whether a store has images of the model."""
    wanted = {image.name for image in model.images}
    try:
        return any(name in wanted for name in store.names())
    except InvertDescError:
        return False
