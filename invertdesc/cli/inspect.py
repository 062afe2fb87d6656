"""`invertdesc inspect`."""

import json
from pathlib import Path

import typer

from invertdesc._text import parse_size
from invertdesc.cli.messages import BAD_INPUT, complain


def inspect(
    store: Path,
    descriptor: str | None = None,
    image_size: str | None = None,
    mend: bool = True,
    images: int = 1000,
    as_json: bool = False,
) -> None:
    """Say what is in a store of features, what was decided about it, and what is missing.

    Examples:
        invertdesc inspect database.db
        invertdesc inspect outputs/features.h5 --json
    """
    from invertdesc.stores.summary import inspect_store, opened

    with opened(store, descriptor, image_size=parse_size(image_size), mend=mend) as source:
        found = inspect_store(source, images=images)
    if as_json:
        typer.echo(json.dumps(found.as_json() | {"path": str(store)}, indent=2))
    else:
        typer.echo(found)
        for error in found.errors[:5]:
            complain("error", error)
        if len(found.errors) > 5:
            complain("error", f"and {len(found.errors) - 5} more images.")
    if found.errors:
        raise typer.Exit(BAD_INPUT)
