"""`invertdesc index`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from invertdesc._text import printable
from invertdesc.cli.options import (
    COLLECTING_APART,
    DescriptorName,
    DescriptorOptions,
    Gray,
    Images,
    MethodOptions,
    make_descriptor,
)
from invertdesc.cli.sources import parse_options
from invertdesc.sources import find_sources, spread


def index(
    method: Annotated[str, typer.Option("--method", "-m", help="What the database is for.")],
    data: Annotated[list[Path], typer.Option("--data", help="Folder of pictures. Repeatable.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .safetensors file.")],
    descriptor: DescriptorName = "sift",
    descriptor_option: DescriptorOptions = None,
    gray: Gray = None,
    method_option: MethodOptions = None,
    images: Images = None,
    most: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Collect so many keypoints of a picture at most.",
            show_default="as the method has it",
        ),
    ] = None,
) -> None:
    """Collect from pictures what a method looks things up in, as patch-database does.

    **Examples**

        invertdesc index -m patch-database -d sift --data photos/ -o patches.safetensors

        invertdesc reconstruct photo.jpg -m patch-database -M database=patches.safetensors
    """
    from invertdesc.methods.database import collect_database

    adapter = make_descriptor(descriptor, descriptor_option, gray)
    folders = [find_sources([str(folder)]) for folder in data]
    pictures = [path for paths in folders for path in spread(paths, images)]
    options = parse_options(method_option or [], COLLECTING_APART)
    if most is not None:
        options["most"] = most
    line = collect_database(method, pictures, output, descriptor=adapter, progress=True, **options)
    typer.echo(f"Wrote {printable(output)}: {line}")
