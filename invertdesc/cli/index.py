"""`invertdesc index`."""

from pathlib import Path
from typing import Any

import typer

from invertdesc._text import parse_options, printable
from invertdesc.cli.calling import make_descriptor
from invertdesc.cli.describing import TEXTS
from invertdesc.sources import find_images


def index(
    context: typer.Context,
    method: str,
    data: list[Path],
    output: Path,
    method_option: list[str] | None = None,
    images: int | None = None,
    most: int | None = None,
    **_: Any,
) -> None:
    """Collect from images the database that a method looks things up in, as patch-database does.

    Examples:
        invertdesc index -m patch-database -d sift --data photos/ -o patches.safetensors
        invertdesc reconstruct photo.jpg -m patch-database -M database=patches.safetensors
    """
    from invertdesc.methods.database import collect_database

    options = parse_options(method_option, TEXTS["apart"]["index"])
    options |= {} if most is None else {"most": most}
    options |= {"descriptor": make_descriptor(context), "progress": True}
    line = collect_database(method, find_images(data, images), output, **options)
    typer.echo(f"Wrote {printable(output)}: {line}")
