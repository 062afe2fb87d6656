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
    """Say what is in a store of features or the folder of a map, and what is missing.

    Examples:
        invertdesc inspect database.db
        invertdesc inspect outputs/features.h5 --json
        invertdesc inspect sparse/0
    """
    from invertdesc.maps import inspect_map, is_map
    from invertdesc.stores.summary import inspect_store, opened

    if is_map(store, within=False):
        summary = inspect_map(store)
        typer.echo(json.dumps(summary.as_json(), indent=2) if as_json else summary)
        return

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
