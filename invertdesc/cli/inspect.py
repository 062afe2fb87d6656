"""`invertdesc inspect`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from invertdesc._text import printable
from invertdesc.cli.messages import complain
from invertdesc.cli.options import AsJson, DescriptorOrTold, Mend, StoreSize
from invertdesc.cli.sources import BAD_INPUT
from invertdesc.cli.stores import open_named

if TYPE_CHECKING:
    from invertdesc.stores.summary import StoreSummary

SHOWN = 5  # errors


def inspect(
    store: Annotated[Path, typer.Argument(help="COLMAP database, hloc file, folder, ...")],
    descriptor: DescriptorOrTold = None,
    image_size: StoreSize = None,
    mend: Mend = True,
    images: Annotated[int, typer.Option(min=1, help="Read so many, evenly spaced.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Say what is in a store of features, what was decided about it, and what is missing.

    **Examples**

        invertdesc inspect database.db

        invertdesc inspect outputs/features.h5 --json
    """
    from invertdesc.stores.summary import inspect_store

    with open_named(store, descriptor, image_size, mend=mend) as opened:
        found = inspect_store(opened, images=images)
    if as_json:
        told = asdict(found)
        typer.echo(json.dumps({**told.pop("description"), **told, "path": str(store)}, indent=2))
    else:
        _print(store, found)
    if found.errors:
        raise typer.Exit(BAD_INPUT)


def _print(store: Path, found: StoreSummary) -> None:
    told, read = found.description, found.read
    mean = found.keypoints / max(1, read)
    all_read = read + len(found.errors) == found.images
    spans = f"{mean:,.0f} an image, {found.fewest or 0:,} to {found.most:,}"
    options = [
        f"--assume {name}={value:g}"
        for name, value in asdict(found.guesses).items()
        if value is not None
    ]
    lines: list[tuple[str, Any]] = [
        ("images", f"{found.images:,}" + ("" if all_read else f", of which {read:,} were read")),
        ("keypoints", f"{found.keypoints:,} ({spans})"),
        ("descriptor", f"{told.descriptor}, {told.dim} long"),
        ("looks like", told.looks_like),
        ("normalisation", told.normalisation),
        ("positions", told.positions),
        ("image size", told.image_size),
        ("missing", ", ".join(told.missing) or "nothing"),
        ("empty", f"{found.without:,} images without keypoints" if found.without else None),
        *(("cost", sentence) for sentence in found.costs),
        ("guess", f"Helps a little: {' '.join(options)}." if options else None),
        *(("note", sentence) for sentence in told.notes),
        *(("left out", sentence) for sentence in told.left_out),
    ]
    typer.echo(f"{told.kind}: {printable(store)}")
    for title, value in lines:
        if value is not None:
            typer.echo(f"  {title:<14} {printable(value)}")
    for error in found.errors[:SHOWN]:
        complain("error", error)
    if len(found.errors) > SHOWN:
        complain("error", f"and {len(found.errors) - SHOWN} more images.")
