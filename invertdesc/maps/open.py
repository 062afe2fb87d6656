"""Find a map and the features of its images, and open both."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from types import ModuleType

from invertdesc.errors import FileError, InputError, InvertDescError, MissingDependencyError
from invertdesc.maps import _colmap, _kapture, _opensfm
from invertdesc.maps.map import Map
from invertdesc.maps.model import Model
from invertdesc.stores.base import Store
from invertdesc.stores.open import open_store

_KINDS = (_colmap, _opensfm, _kapture)
_INSIDE = (
    "",
    "sparse/0",
    "sparse",
    "0",
    "sfm",
    "model",
    "colmap/sparse/0",
    "distorted/sparse/0",
    "opensfm",
)
_UP = 2  # folders above the model's in which features are looked for
_TRIED = 16  # stores that are looked at
_STORES = (".db", ".h5", ".hdf5")


def open_map(
    path: str | os.PathLike[str],
    *,
    features: str | os.PathLike[str] | None = None,
    descriptor: str | None = None,
) -> Map:
    r"""Open a map with the features of its images.

    Args:
        path: The folder of a COLMAP model (cameras, images and points3D, as .bin or .txt), or one
            that has it in `sparse/0`, `sparse` or, as hloc, in `sfm`; OpenSfM's folder with
            `reconstruction.json`, or one that has it in `opensfm`; or a folder of kapture.
        features: A store with the features of its images, as `open_store` takes it. None takes
            those of OpenSfM and kapture, else looks for `database.db` and hloc's `features*.h5` in
            the model's folder and the two above it; a map without any can be inspected, but has no
            views.
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
    folder, kind = _find_model(Path(path))
    try:
        model = kind.read_model(folder)
    except InputError as error:
        raise InputError(f"Cannot use the {kind.KIND} in {folder}: {error}") from error
    if features is not None:
        store = open_store(features, descriptor=descriptor)
        if not _has(store, model):
            store.close()
            raise InputError(
                f"Expected features of the images of {folder}, such as "
                f"{model.images[0].name!r}; got those of others in {features}."
            )
        return Map(folder, model, store)
    near = chain(filter(None, [kind.features_of(folder)]), _stores_near(folder))
    return Map(folder, model, _find_features(near, model, descriptor))


def is_map(path: str | os.PathLike[str], *, within: bool = True) -> bool:
    """Say whether a path leads to a map that `open_map` would read.

    Args:
        path: A folder.
        within: Whether the map may be in a folder of it, such as `sparse/0`.
    """
    try:
        there = Path(path).is_dir()
        return there and any(place == Path(path) or within for place, _ in _models(Path(path)))
    except (OSError, ValueError):
        return False


def _models(path: Path) -> Iterator[tuple[Path, ModuleType]]:
    for inside in _INSIDE:
        for kind in _KINDS:
            if kind.is_model(path / inside):
                yield path / inside, kind


def _find_model(path: Path) -> tuple[Path, ModuleType]:
    try:
        there = path.is_dir()
    except (OSError, ValueError):
        there = False
    if not there or not os.fspath(path):
        raise FileError(f"Expected the folder of a map, found none at {str(path)!r}.")
    found = next(_models(path), None)
    if found is not None:
        return found
    raise FileError(
        f"Expected a map in {path}: COLMAP's images.bin or images.txt, in it, in sparse/0 or in "
        "sfm; OpenSfM's reconstruction.json; or kapture's reconstruction/points3d.txt with "
        "observations.txt. Found none."
    )


def _find_features(files: Iterable[Path], model: Model, descriptor: str | None) -> Store | None:
    """Return the nearest store of the model's images; None where there is none.

    Raises:
        MissingDependencyError: There is one that nothing here can read, and no other.
    """
    missing: MissingDependencyError | None = None
    for file in islice(files, _TRIED):
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
