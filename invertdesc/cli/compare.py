"""`invertdesc compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from invertdesc._text import printable
from invertdesc.cli.options import COLLECTING_APART, Device, Images
from invertdesc.cli.sources import find_sources, parse_options, spread, title_of
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.evaluation.compare import Comparison


def compare(
    data: Annotated[list[Path], typer.Option("--data", help="Folder of images. Repeatable.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for tables, sheet and databases.")
    ],
    descriptor: Annotated[
        list[str] | None,
        typer.Option(
            "--descriptor", "-d", help="Name or wildcard. Repeatable.", show_default="sift"
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Name or wildcard. Repeatable.", show_default="all"),
    ] = None,
    method_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD.NAME=VALUE",
            help="Parameter of a method, such as gradient.steps=50. Repeatable.",
        ),
    ] = None,
    images: Images = None,
    train: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of images to collect databases from. Repeatable."),
    ] = None,
    train_images: Annotated[
        int | None,
        typer.Option(
            min=1, help="Take so many of each such folder, evenly spaced.", show_default="all"
        ),
    ] = None,
    index_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD.NAME=VALUE",
            help="Parameter of collecting a database, as `index` takes it. Repeatable.",
        ),
    ] = None,
    database: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD[:DESCRIPTOR]=FILE", help="Database that is there already. Repeatable."
        ),
    ] = None,
    memory: Annotated[
        bool, typer.Option(help="Measure memory; costs seconds a method and descriptor.")
    ] = True,
    shown: Annotated[int, typer.Option(min=1, help="Images of a folder on the sheet.")] = 2,
    device: Device = None,
) -> None:
    """Measure all methods that fit each descriptor, in one table and one contact sheet.

    Methods that do not fit are named with the reason. OUTPUT gets table.md, table.csv, table.json
    and sheet.png, after each descriptor and folder anew.

    **Examples**

        invertdesc compare --data faces/ --images 20 -o out/

        invertdesc compare --data faces/ --data photos/ -d sift -d brief --train pictures/ -o out/

        invertdesc compare --data faces/ -d sift-kornia -m gradient -m poisson
        --method-option gradient.steps=50 -o out/
    """
    from invertdesc.descriptors import create_descriptor, list_descriptors
    from invertdesc.evaluation.compare import compare as measure
    from invertdesc.methods import list_methods

    names = _named(method or ["*"], list_methods)
    given = _named(descriptor or ["sift"], list_descriptors)
    source = _Options(
        by_method(method_option or [], {"descriptor": "-d NAME"}),
        by_method(index_option or [], COLLECTING_APART),
        _files(database or []),
        [path for folder in train or [] for path in spread(_images(folder), train_images)],
        output / "databases",
    )
    source.check(names, given)
    found = {title_of(one): spread(_images(one), images) for one in data}
    if len(found) < len(data):
        raise InputError("Expected folders of different names and parents, to tell them apart.")
    result = measure(
        found,
        [create_descriptor(name) for name in given],
        names,
        options=source,
        memory=memory,
        device=device,
        shown=shown,
        done=lambda now: _save(now, output),
        progress=True,
    )
    if not result.rows:
        reasons = "; ".join(f"{one.method}: {one.reason}" for one in result.left_out)
        raise InputError(f"Expected a method that fits, found none. {reasons}")
    typer.echo(result.to_markdown())
    typer.echo(f"Wrote table.md, table.csv, table.json and sheet.png to {printable(output)}.")


def by_method(
    texts: Sequence[str], apart: Mapping[str, str] = MappingProxyType({})
) -> dict[str, dict[str, object]]:
    """Turn `method.name=value` texts into options by method; for `apart` see `parse_options`.

    Raises:
        InputError: A text of another form, or a name that is given otherwise.

    >>> by_method(["gradient.steps=50", "gradient.start=noise"])
    {'gradient': {'steps': 50, 'start': 'noise'}}
    """
    options: dict[str, dict[str, object]] = {}
    for text in texts:
        name, dot, rest = text.partition("=")[0].partition(".")
        if not (dot and name and rest):
            raise InputError(f"Expected an option as METHOD.NAME=VALUE, got {text!r}.")
        options.setdefault(name, {}).update(parse_options([text[len(name) + 1 :]], apart))
    return options


@dataclass
class _Options:
    """The options of a method for a descriptor, its database among them.

    Attributes:
        methods: Of methods, by name.
        collecting: Of the collecting of databases, by method.
        databases: Files, by method or `method:descriptor`.
        train: Images to collect databases from.
        folder: Where collected databases are kept.
    """

    methods: Mapping[str, Mapping[str, Any]]
    collecting: Mapping[str, Mapping[str, Any]]
    databases: Mapping[str, Path]
    train: Sequence[Path]
    folder: Path

    def __call__(self, name: str, adapter: Descriptor) -> dict[str, Any]:
        """Return them; the database is collected where that is asked for."""
        from invertdesc.evaluation.databases import provide_database
        from invertdesc.methods import methods
        from invertdesc.methods.database import Collector

        known = dict(self.methods.get(name, {}))
        files = (self.databases.get(key) for key in (f"{name}:{adapter.name}", name))
        file = next((one for one in files if one is not None), None)
        if file is not None:
            known["database"] = file
        elif self.train and "database" not in known and isinstance(methods.get(name), Collector):
            known["database"] = provide_database(
                name,
                adapter,
                self.train,
                self.folder,
                options=self.collecting.get(name),
                progress=True,
            )
        return known

    def check(self, names: Sequence[str], descriptors: Sequence[str]) -> None:
        """Check that every option is for something that is compared.

        Raises:
            InputError: One is not.
        """
        for key in [*self.methods, *self.collecting, *self.databases]:
            name, _, of = key.partition(":")
            if name not in names or (of and of not in descriptors):
                raise InputError(
                    f"Expected options for what is compared ({', '.join(names)}; "
                    f"{', '.join(descriptors)}), got some for {key!r}."
                )


def _files(texts: Sequence[str]) -> dict[str, Path]:
    """Turn `method=file` and `method:descriptor=file` texts into files by what they are for.

    Raises:
        InputError: A text of another form.
    """
    files = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise InputError(
                f"Expected a database as METHOD=FILE or METHOD:DESCRIPTOR=FILE, got {text!r}."
            )
        files[name] = Path(file)
    return files


def _images(folder: Path) -> list[Path]:
    return find_sources([str(folder)])


def _named(patterns: Sequence[str], known: Callable[[str], list[str]]) -> list[str]:
    """Expand wildcards; what nothing matches stays, for the registry to refuse."""
    return list(dict.fromkeys(name for one in patterns for name in known(one) or [one]))


def _save(now: Comparison, folder: Path) -> None:
    from invertdesc._files import atomic_write
    from invertdesc.drawing import comparison_sheet
    from invertdesc.evaluation.evaluate import save_table
    from invertdesc.image import write_image

    save_table(now.rows, folder / "table.csv")
    save_table(now.rows, folder / "table.json")
    with atomic_write(folder / "table.md") as file:
        file.write((now.to_markdown() + "\n").encode())
    sheet = comparison_sheet([(block.title, block.columns) for block in now.blocks])
    write_image(sheet, folder / "sheet.png")
