"""`invertdesc compare`."""

from pathlib import Path
from typing import Any

import typer

from invertdesc._text import parse_by_method, printable
from invertdesc.cli.calling import call
from invertdesc.cli.describing import TEXTS
from invertdesc.sources import find_images


def compare(
    context: typer.Context,
    data: list[Path],
    output: Path,
    descriptor: list[str] | None = None,
    method: list[str] | None = None,
    method_option: list[str] | None = None,
    train: list[Path] | None = None,
    train_images: int | None = None,
    index_option: list[str] | None = None,
    database: list[str] | None = None,
    **_: Any,
) -> None:
    """Measure all methods that fit each descriptor, in one table and one contact sheet.

    Methods that do not fit are named with the reason. The output folder gets table.md, table.csv,
    table.json and sheet.png, anew after each descriptor and folder.

    Examples:
        invertdesc compare --data faces/ --images 20 -o out/
        invertdesc compare --data faces/ --data photos/ -d sift -d brief --train more/ -o out/
        invertdesc compare --data faces/ -m gradient --method-option gradient.steps=50 -o out/
    """
    from invertdesc.evaluation.databases import CompareOptions, parse_databases
    from invertdesc.evaluation.folders import compare_folders

    options = CompareOptions(
        parse_by_method(method_option, {"descriptor": "-d NAME"}),
        parse_by_method(index_option, TEXTS["apart"]["index"]),
        parse_databases(database),
        find_images(train or (), train_images),
        output / "databases",
        progress=True,
    )
    names = {"descriptors": descriptor or ["sift"], "methods": method or ["*"]}
    found = call(context, compare_folders, folders=data, options=options, **names)
    typer.echo(found.to_markdown())
    typer.echo(f"Wrote table.md, table.csv, table.json and sheet.png to {printable(output)}.")
