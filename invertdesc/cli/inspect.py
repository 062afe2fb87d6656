"""`invertdesc inspect`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from invertdesc._text import printable
from invertdesc.cli.messages import complain
from invertdesc.cli.options import AsJson, DescriptorOrTold, Mend, StoreSize
from invertdesc.cli.sources import BAD_INPUT, spread
from invertdesc.cli.stores import open_named

if TYPE_CHECKING:
    from invertdesc.errors import InvertDescError
    from invertdesc.stores.base import Description, Store

SHOWN = 5  # errors
REASONS = {"orientations": "turns", "scales": "grows"}
GUESSES = {"orientations": 0, "scales": 2}


@dataclass
class _Contents:
    """What was found in the images that were read."""

    images: int
    read: int = 0
    keypoints: int = 0
    fewest: int | None = None
    most: int = 0
    without: int = 0
    errors: list[str] = field(default_factory=list)

    def add(self, count: int) -> None:
        self.read += 1
        self.keypoints += count
        self.fewest = count if self.fewest is None else min(count, self.fewest)
        self.most = max(count, self.most)
        self.without += not count

    def note(self, _: str, error: InvertDescError) -> None:
        self.errors.append(str(error))


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
    with open_named(store, descriptor, image_size, mend=mend) as opened:
        contents = _read(opened, images)
        told = opened.description
    cost = costs(told)
    if as_json:
        typer.echo(
            json.dumps(
                {"path": str(store), **asdict(told), **asdict(contents), "costs": cost},
                indent=2,
            )
        )
    else:
        _print(store, told, contents, cost)
    if contents.errors:
        raise typer.Exit(BAD_INPUT)


def costs(told: Description) -> list[str]:
    """Say in a sentence each what the missing fields keep an attacker from."""
    from invertdesc.stores.record import adapter_of

    if not told.dim:
        return ["Without descriptors there is nothing to reconstruct from."]
    adapter = adapter_of(told.descriptor)
    if adapter is None:
        return [
            f"No method can read {told.descriptor!r}, which has no adapter: name one with -d, or "
            "register your own (docs/guides/add-a-descriptor.md)."
        ]
    needed = [name for name in adapter.frame.needs if name in told.missing]
    sentences = []
    if needed:
        why = " and ".join(REASONS[name] for name in needed)
        guess = " ".join(f"--assume {name}={GUESSES[name]}" for name in needed)
        sentences.append(
            f"Without {' and '.join(needed)}, `poisson` and `unfold` cannot unfold "
            f"{told.descriptor!r}, which {why} with its keypoint. A guess helps a little: {guess}."
        )
    if "scores" in told.missing:
        sentences.append(
            "Without scores, methods that give a cell to one keypoint take the first stored."
        )
    return sentences


def _read(store: Store, most: int) -> _Contents:
    names = list(store.names())
    contents = _Contents(len(names))
    for _, features in store.items(spread(names, most), on_error=contents.note):
        contents.add(len(features))
    return contents


def _print(store: Path, told: Description, contents: _Contents, cost: list[str]) -> None:
    read = contents.read
    mean = contents.keypoints / max(1, read)
    all_read = read + len(contents.errors) == contents.images
    spans = f"{mean:,.0f} an image, {contents.fewest or 0:,} to {contents.most:,}"
    lines: list[tuple[str, Any]] = [
        ("images", f"{contents.images:,}" + ("" if all_read else f", of which {read:,} were read")),
        ("keypoints", f"{contents.keypoints:,} ({spans})"),
        ("descriptor", f"{told.descriptor}, {told.dim} long"),
        ("looks like", told.looks_like),
        ("normalisation", told.normalisation),
        ("positions", told.positions),
        ("image size", told.image_size),
        ("missing", ", ".join(told.missing) or "nothing"),
        ("empty", f"{contents.without:,} images without keypoints" if contents.without else None),
        *(("cost", sentence) for sentence in cost),
        *(("note", sentence) for sentence in told.notes),
        *(("left out", sentence) for sentence in told.left_out),
    ]
    typer.echo(f"{told.kind}: {printable(store)}")
    for title, value in lines:
        if value is not None:
            typer.echo(f"  {title:<14} {printable(value)}")
    for error in contents.errors[:SHOWN]:
        complain("error", error)
    if len(contents.errors) > SHOWN:
        complain("error", f"and {len(contents.errors) - SHOWN} more images.")
