"""Databases of methods, collected from a folder of images once and then used again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from invertdesc._files import atomic_write
from invertdesc._version import __version__
from invertdesc.descriptors import Descriptor
from invertdesc.errors import FileError, InputError
from invertdesc.methods import methods
from invertdesc.methods.database import Collector, collect_database


@dataclass(frozen=True)
class CompareOptions:
    """The options of methods for descriptors, their databases among them, as `compare` asks.

    Attributes:
        methods: Options of methods, by name.
        collecting: Options of the collecting of databases, by method.
        databases: Files, by method, or by method and descriptor.
        train: Images to collect databases from, where there is no file; none for no collecting.
        folder: Where collected databases are kept.
        progress: Whether collecting shows a bar.

    >>> from invertdesc import create_descriptor
    >>> options = CompareOptions({"gradient": {"steps": 50}})
    >>> options("gradient", create_descriptor("sift"))
    {'steps': 50}
    """

    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    collecting: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    databases: Mapping[str | tuple[str, str], Path] = field(default_factory=dict)
    train: Sequence[Path] = ()
    folder: Path = Path("databases")
    progress: bool = False

    def __call__(self, name: str, adapter: Descriptor) -> dict[str, Any]:
        """Return those of a method; its database is collected where that is asked for.

        Raises:
            FileError: There is a database that was collected from something else.
            InvertDescError: The method does not serve the descriptor.
        """
        known = dict(self.methods.get(name, {}))
        file = self.databases.get((name, adapter.name), self.databases.get(name))
        if file is not None:
            known["database"] = file
        elif self.train and "database" not in known and isinstance(methods.get(name), Collector):
            known["database"] = provide_database(
                name,
                adapter,
                self.train,
                self.folder,
                options=self.collecting.get(name),
                progress=self.progress,
            )
        return known

    def check(self, names: Sequence[str], descriptors: Sequence[str]) -> None:
        """Check that every option is for something that is compared.

        Raises:
            InputError: One is not.
        """
        for key in [*self.methods, *self.collecting, *self.databases]:
            name, *of = [key] if isinstance(key, str) else key
            if name not in names or not set(of) <= set(descriptors):
                raise InputError(
                    f"Expected options for what is compared ({', '.join(names)}; "
                    f"{', '.join(descriptors)}), got some for {':'.join([name, *of])!r}."
                )


def parse_databases(texts: Iterable[str] | None) -> dict[str | tuple[str, str], Path]:
    """Turn `method=file` and `method:descriptor=file` texts into files by what they are for.

    Raises:
        InputError: A text of another form.

    >>> list(parse_databases(["ridge=a.safetensors", "ridge:orb=b.safetensors"]))
    ['ridge', ('ridge', 'orb')]
    """
    files: dict[str | tuple[str, str], Path] = {}
    for text in texts or ():
        name, _, file = text.partition("=")
        method, colon, descriptor = name.partition(":")
        if not (name and file):
            raise InputError(
                f"Expected a database as METHOD=FILE or METHOD:DESCRIPTOR=FILE, got {text!r}."
            )
        files[(method, descriptor) if colon else method] = Path(file)
    return files


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
