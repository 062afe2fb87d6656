"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from invertdesc.cli.sources import parse_options
from invertdesc.errors import FileError
from invertdesc.sources import EXAMPLES

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.methods import Method

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE...",
        help="Images, folders, patterns; .npz features too.",
        show_default=False,
    ),
]
SourcesOrStore = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE...",
        help="Images, folders, patterns; .npz features too; or one store, see `inspect`.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File, or folder for many.", show_default=False),
]
Example = Annotated[
    str | None,
    typer.Option(
        help=f"A picture that scikit-image ships: {', '.join(EXAMPLES)}.", show_default=False
    ),
]
DescriptorName = Annotated[
    str, typer.Option("--descriptor", "-d", help="What to extract from images.")
]
DescriptorOrTold = Annotated[
    str | None,
    typer.Option(
        "--descriptor",
        "-d",
        help="What to extract from images, or what a store's vectors are.",
        show_default="sift, or what a store tells",
    ),
]
DescriptorOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--descriptor-option",
        "-D",
        metavar="NAME=VALUE",
        help="Parameter of the descriptor, such as contrast_threshold=0.03. Repeatable.",
    ),
]
MethodName = Annotated[str, typer.Option("--method", "-m", help="How to reconstruct.")]
MethodOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--method-option",
        "-M",
        metavar="NAME=VALUE",
        help="Parameter of the method, such as stochastic=true. Repeatable.",
    ),
]
Gray = Annotated[
    str | None,
    typer.Option(help="How the extractor sees colour: gamma or luma.", show_default="gamma"),
]
Device = Annotated[
    str | None, typer.Option(help="Where to compute, such as cuda.", show_default="cpu")
]
UnfoldingFile = Annotated[
    Path | None,
    typer.Option("--unfolding", help="Map from `invertdesc fit`, in place of the shipped one."),
]
ImageNames = Annotated[
    str | None,
    typer.Option(
        "--names",
        metavar="GLOB",
        help="Of a store, only images of such names.",
        show_default="all",
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Of a store, every N-th image from number I on, 0 to N - 1.",
        show_default="0/1",
    ),
]
Assume = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Guess for what a store does not tell, such as orientations=0 or scales=2.",
    ),
]
StoreSize = Annotated[
    str | None,
    typer.Option(
        "--image-size", metavar="WxH", help="Of a store that does not tell.", show_default=False
    ),
]
Mend = Annotated[
    bool,
    typer.Option(
        "--mend/--no-mend",
        help="Bring a store's vectors, angles and scales into our order and units where they "
        "plainly have others.",
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images that are reconstructed together.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Images = Annotated[
    int | None,
    typer.Option(min=1, help="Take so many of a folder, evenly spaced.", show_default="all"),
]

# What methods, and the collecting of databases, take, but not as NAME=VALUE.
APART = {"descriptor": "-d NAME", "unfolding": "--unfolding FILE"}
COLLECTING_APART = {
    "descriptor": "-d NAME",
    "images": "a folder of them",
    "output": "-o",
    "progress": "a bar, which terminals show",
}


def make_descriptor(name: str, options: list[str] | None, gray: str | None) -> Descriptor:
    """Create an adapter from what the user typed."""
    from invertdesc.descriptors import create_descriptor

    known = parse_options(options or [])
    return create_descriptor(name, **(known if gray is None else known | {"gray": gray}))


def vectors_of(descriptor: str | None, unfolding: Path | None) -> str | None:
    """Return what a store's vectors are called: as typed, or the map's file if it tells of them."""
    from invertdesc.descriptors import create_descriptor

    if descriptor is not None or unfolding is None or unfolding.suffix != ".safetensors":
        return descriptor
    try:
        return create_descriptor(str(unfolding)).name
    except FileError:  # of a map whose vectors have a name; what else there is, loading it tells
        return None


def make_method(
    name: str,
    options: list[str] | None,
    unfolding: Path | None,
    descriptor: Descriptor | None = None,
) -> Method:
    """Create a method from what the user typed."""
    from invertdesc.methods import create_method
    from invertdesc.unfolding.unfolding import Unfolding

    known: dict[str, Any] = parse_options(options or [], APART)
    if unfolding is not None:
        known["unfolding"] = Unfolding.load(unfolding)
    return create_method(name, descriptor=descriptor, **known)
