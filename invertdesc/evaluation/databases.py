"""Databases of methods, collected from a folder of images once and then used again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invertdesc._files import atomic_write
from invertdesc._version import __version__
from invertdesc.errors import FileError
from invertdesc.methods.database import collect_database

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor


def provide_database(
    method: str,
    descriptor: Descriptor,
    images: Sequence[Path],
    folder: Path,
    *,
    options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Path:
    """Return the file of a method's database, which is collected if it is not there yet.

    A .json file beside it tells what it was collected from: adapter, images (their names and
    sizes), options and version.

    Args:
        method: Registry name of one that works from a database.
        descriptor: Adapter.
        images: Files to collect from.
        folder: Where databases are kept.
        options: Of the method's `collect`.
        progress: Show a bar.

    Raises:
        FileError: There is one that was collected from something else.
        InvertDescError: The method does not serve the descriptor.
    """
    path = folder / f"{method}-{descriptor.name}.safetensors"
    told = path.with_suffix(".json")
    known = dict(options or {})
    recipe = _recipe(method, descriptor, images, known)
    if path.exists():
        _check_fresh(path, told, recipe)
        return path
    note = collect_database(method, images, path, descriptor=descriptor, progress=progress, **known)
    with atomic_write(told) as file:
        file.write((json.dumps(recipe | {"note": note}, indent=2) + "\n").encode())
    return path


def _recipe(
    method: str, descriptor: Descriptor, images: Sequence[Path], options: dict[str, Any]
) -> dict[str, object]:
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.name}\0{image.stat().st_size}\0".encode())
    return {
        "method": method,
        "descriptor": repr(descriptor),
        "images": len(images),
        "digest": digest.hexdigest(),
        "options": options,
        "version": __version__,
    }


def _check_fresh(path: Path, told: Path, recipe: dict[str, object]) -> None:
    try:
        found = json.loads(told.read_text())
    except (OSError, ValueError):
        found = {}
    stale = [key for key, value in recipe.items() if found.get(key) != value]
    if stale:
        raise FileError(
            f"Expected {path} to be collected from these images, with this descriptor and these "
            f"options; what it was collected from differs in: {', '.join(stale)}. Remove it, or "
            "choose another folder."
        )
