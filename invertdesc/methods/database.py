"""Databases for methods, collected from other pictures."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

from torch import Tensor

from invertdesc._files import open_tensors, save_tensors
from invertdesc._optional import require
from invertdesc._options import check_options
from invertdesc._progress import watch
from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.base import encoding_of, gray_of
from invertdesc.errors import BadImageWarning, FileError, InputError
from invertdesc.image import read_image
from invertdesc.unfolding.frame import Frame

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.batch import FeatureBatch
    from invertdesc.features.local import LocalFeatures

FORMAT = "invertdesc-database"
VERSION = 1
_ADVICE = "Collect one with collect_database, and give it as database=FILE."


@runtime_checkable
class Collector(Protocol):
    """A method, its class, that works from a database: `collect_database` calls `collect`."""

    name: ClassVar[str]

    @classmethod
    def collect(cls, collection: Collection, **options: Any) -> str:
        """Read pictures, write a database, and return a line that describes it.

        Options are numbers, by keyword, with a default.
        """


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The header of a database.

    Attributes:
        method: Registry name of the method.
        descriptor: Registry name of the encoded vectors.
        frame: Frame of the descriptor.
        gray: Gray mode of the vectors; None if unknown.
        images: Number of pictures that it was collected from.
        parameters: The options that the descriptor was created with.
        options: Options of the collecting.
    """

    method: str
    descriptor: str
    frame: Frame
    gray: str | None
    images: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, method: str, adapter: Descriptor, images: int, **options: Any) -> Self:
        """Return the header of a database that is collected with an adapter."""
        parameters: Any = asdict(adapter) if is_dataclass(adapter) else {}
        return cls(
            method=method,
            descriptor=encoding_of(adapter),
            frame=adapter.frame,
            gray=gray_of(adapter),
            images=images,
            parameters=json.loads(json.dumps(parameters, default=str)),
            options=options,
        )


@dataclass(frozen=True, eq=False)
class Database:
    """A database in memory.

    Attributes:
        origin: Header of the database.
        tensors: Tensors by name, on the CPU.
    """

    origin: Origin
    tensors: Mapping[str, Tensor]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .safetensors file atomically.

        Raises:
            FileError: The file cannot be written.
        """
        save_tensors(path, self.tensors, format=FORMAT, version=VERSION, header=asdict(self.origin))

    @classmethod
    def load(cls, path: str | os.PathLike[str], method: str) -> Self:
        """Read a file that `save` wrote for a method.

        Raises:
            FileError: The file is missing, broken, of another method, or of a later version.
        """
        advice = f" {_ADVICE}"
        what = f"a database for {method!r}"
        reading = open_tensors(path, what=what, format=FORMAT, newest=VERSION, advice=advice)
        try:
            with reading as (header, tensors):
                if header["method"] != method:
                    raise ValueError(f"it is one for {header['method']!r}")
                known = {key: header[key] for key in Origin.__dataclass_fields__}
                return cls(Origin(**known | {"frame": Frame(**known["frame"])}), tensors)
        except FileError as error:
            error.with_hint("collect_database", method=method)
            raise

    def check(self, adapter: Descriptor) -> None:
        """Check that the database was collected with a descriptor.

        Raises:
            InputError: It was collected with another one.
        """
        origin, key = self.origin, encoding_of(adapter)
        if origin.descriptor != key:
            raise InputError(
                f"Expected a database for {origin.method!r} collected with {key!r}, got one "
                f"collected with {origin.descriptor!r}. {_ADVICE}"
            ).with_hint("collect_database", method=origin.method, descriptor=adapter.name)
        if origin.frame != adapter.frame:
            raise InputError(
                f"Expected a database collected with {key!r} of {adapter.frame}, got one of "
                f"{origin.frame}: its options were {dict(origin.parameters)}."
            )

    def check_batch(self, batch: FeatureBatch) -> None:
        """Check that vectors have the gray mode of the database.

        Raises:
            InputError: They have another gray mode.
        """
        gray = self.origin.gray
        others = {provenance.gray for provenance in batch.provenances} - {None, gray}
        if gray is not None and others:
            raise InputError(
                f"Expected descriptors computed on {gray!r} gray, as those of this database for "
                f"{self.origin.method!r}; got {min(map(str, others))!r}. Extract with "
                f"gray={gray!r}, or collect a database with the other."
            )


@dataclass
class Collection:
    """The pictures and the output file of a database that is collected.

    Iteration yields each picture, (3, H, W) in [0, 1], and its features, with one in memory at a
    time. A picture that cannot be read is left out with a warning.

    Attributes:
        method: Registry name of the method that the database is for.
        images: Image files.
        output: Path of the .safetensors file.
        adapter: Adapter of the descriptor.
        progress: Whether to show a progress bar.
        read: Number of pictures that could be read so far.
    """

    method: str
    images: Sequence[Path]
    output: Path
    adapter: Descriptor
    progress: bool = False
    read: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[tuple[Tensor, LocalFeatures]]:
        if not self.images:
            raise InputError("Expected pictures to collect a database from, got none.")
        for path in watch(self.images, f"collect {self.adapter.name}", shown=self.progress):
            try:
                image = read_image(path)
            except (FileError, InputError) as error:
                warnings.warn(f"Left out a picture: {error}", BadImageWarning, stacklevel=2)
                continue
            self.read += 1
            yield image, self.adapter.extract(image)

    def require(self, module: str) -> Any:
        """Return an optional module that is needed for collecting.

        Raises:
            MissingDependencyError: The module is not installed.
        """
        return require(module, "index", needed_by=f"collecting a database for {self.method!r}")

    def save(self, tensors: Mapping[str, Tensor], options: Mapping[str, Any]) -> None:
        """Write the collected tensors, with the options of the collecting.

        Raises:
            FileError: The file cannot be written.
        """
        origin = Origin.of(self.method, self.adapter, self.read, **options)
        Database(origin, tensors).save(self.output)


def collect_database(
    method: str,
    images: Sequence[Path],
    output: Path,
    *,
    descriptor: str | Descriptor,
    progress: bool = False,
    **options: Any,
) -> str:
    """Collect a database for a method; return a line that describes it.

    Args:
        method: Registry name of the method.
        images: Image files.
        output: A .safetensors file.
        descriptor: Name or adapter of the descriptor.
        progress: Show a bar.
        options: Options of the method's `collect`.

    Raises:
        InputError: The method needs no database, has no such option, or takes another kind of
            value.

    >>> collect_database("poisson", [], Path("none.safetensors"), descriptor="sift")
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected a method that works from a database (...), got 'poisson'.
    """
    from invertdesc.methods import methods

    factory = methods.get(method)
    if not isinstance(factory, Collector):
        able = [name for name in methods.names() if isinstance(methods.get(name), Collector)]
        raise InputError(
            f"Expected a method that works from a database ({', '.join(able)}), got {method!r}."
        )
    check_options(f"collecting for {method!r}", factory.collect, options, fixed=("collection",))
    adapter = resolve_descriptor(descriptor)
    collection = Collection(factory.name, images, Path(output), adapter, progress)
    return factory.collect(collection, **options)


def open_database(
    given: str | os.PathLike[str] | Database | None,
    method: str,
    descriptor: str | Descriptor | None,
) -> Database:
    """Load and check the database of a method.

    Args:
        given: A file, or a loaded database.
        method: Registry name of the method.
        descriptor: Name or adapter of the needed descriptor; None for any.

    Raises:
        InputError: There is no database, or it was collected with another descriptor.
        FileError: The file is missing, broken, or not for this method.
    """
    if given is None:
        name = "sift" if descriptor is None else resolve_descriptor(descriptor).name
        raise InputError(
            f"Expected a database for the method {method!r}, got none. {_ADVICE}"
        ).with_hint("collect_database", method=method, descriptor=name)
    database = given if isinstance(given, Database) else Database.load(given, method)
    if database.origin.method != method:
        raise InputError(
            f"Expected a database for {method!r}, got one for {database.origin.method!r}."
        )
    if descriptor is not None:
        database.check(resolve_descriptor(descriptor))
    return database
