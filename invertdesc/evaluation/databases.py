"""Collect the databases of methods from images once, and use them again later."""

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
    """The options of methods for descriptors, including their databases, for `compare`.

    Attributes:
        methods: Options of methods, by name.
        collecting: Options for collecting databases, by method.
        databases: Database files, by method, or by method and descriptor.
        train: Images to collect databases from, if there is no file; empty for no collecting.
        folder: Folder of collected databases.
        progress: Whether collecting shows a progress bar.

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
        """Return the options of a method; collect its database if necessary.

        Raises:
            FileError: The existing database was collected from other data.
            InvertDescError: The method cannot use the descriptor.
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
        """Check that every option belongs to a compared method or descriptor.

        Raises:
            InputError: An option belongs to none of them.
        """
        for key in [*self.methods, *self.collecting, *self.databases]:
            name, *of = [key] if isinstance(key, str) else key
            if name not in names or not set(of) <= set(descriptors):
                raise InputError(
                    f"Expected options for compared methods and descriptors ({', '.join(names)}; "
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
    """Return the file of a method's database; collect it if it does not exist.

    A .json file of the same name says what it was collected from: adapter, images (names and
    sizes), options and version.

    Args:
        method: Registry name of a method that needs a database.
        descriptor: Adapter of the descriptor.
        images: Image files to collect from.
        folder: Folder of databases.
        options: Options of the method's `collect`.
        progress: Show a progress bar.

    Raises:
        FileError: There is a database that was collected from other data.
        InvertDescError: The method cannot use the descriptor.
    """
    path = folder / f"{method}-{descriptor.name}.safetensors"
    record = path.with_suffix(".json")
    known = dict(options or {})
    recipe = _recipe(method, descriptor, images, known)
    if path.exists():
        _check_fresh(path, record, recipe)
        return path
    note = collect_database(method, images, path, descriptor=descriptor, progress=progress, **known)
    with atomic_write(record) as file:
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


def _check_fresh(path: Path, record: Path, recipe: dict[str, object]) -> None:
    try:
        found = json.loads(record.read_text())
    except (OSError, ValueError):
        found = {}
    stale = [key for key, value in recipe.items() if found.get(key) != value]
    if stale:
        raise FileError(
            f"Expected {path} to be collected from these images, with this descriptor and these "
            f"options, but it differs in: {', '.join(stale)}. Remove it, or "
            "choose another folder."
        )
