"""`invertdesc fit`."""

from pathlib import Path
from typing import Annotated, cast

import typer

from invertdesc._text import printable
from invertdesc.cli.options import DescriptorOptions, Gray, make_descriptor
from invertdesc.errors import InputError
from invertdesc.sources import find_sources, spread


def fit(
    data: Annotated[
        list[Path], typer.Option("--data", help="Folder of photographs, some hundred. Repeatable.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .safetensors file.")],
    descriptor: Annotated[
        str | None, typer.Option("--descriptor", "-d", help="Registry name.", show_default=False)
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            metavar="'PROGRAM {images} {out}'",
            help="A program that writes features of a folder of pictures, in place of a name.",
            show_default=False,
        ),
    ] = None,
    support: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="With --command: side in pixels of the square that a vector describes.",
            show_default="what suits best",
        ),
    ] = None,
    descriptor_option: DescriptorOptions = None,
    gray: Gray = None,
    images: Annotated[
        int, typer.Option(min=1, help="Take so many of a folder, evenly spaced.")
    ] = 250,
) -> None:
    """Fit a descriptor's unfolding to photographs, so that methods like poisson can take it.

    **Examples**

        invertdesc fit -d sift --data photos/ -o mine.safetensors

        invertdesc reconstruct photo.jpg --unfolding mine.safetensors

        invertdesc fit --command 'extract.py {images} {out}' --data photos/ -o theirs.safetensors

        invertdesc reconstruct their-features/ -o out/ -d theirs.safetensors
    """
    from invertdesc.unfolding.fit import fit_unfolding

    if (descriptor is None) == (command is None):
        raise InputError("Expected a descriptor's name, -d, or a program, --command: one of them.")
    if command is None and support is not None:
        raise InputError("Expected --support with --command, got it without.")
    photos = [path for folder in data for path in spread(find_sources([str(folder)]), images)]
    if command is not None:
        _fit_program(command, photos, support, output)
        return
    adapter = make_descriptor(cast("str", descriptor), descriptor_option, gray)
    fitted = fit_unfolding(adapter, photos, progress=True)
    fitted.save(output, card={"descriptor": descriptor, "photographs": len(photos)})
    typer.echo(f"Wrote {printable(output)}, fitted to {len(photos)} photographs.")


def _fit_program(command: str, photos: list[Path], support: float | None, output: Path) -> None:
    from invertdesc.training.program import fit_program
    from invertdesc.unfolding.frame import Frame

    if output.suffix != ".safetensors":
        raise InputError(f"Expected a .safetensors file to write, got {output}.")
    square = None if support is None else Frame(support, scaled=False, rotated=False)
    found = fit_program(command, photos, frame=square, progress=True)
    found.save(output)
    frame = found.unfolding.frame
    side = f"{frame.support:g} {'times the scale' if frame.scaled else 'pixels'}"
    turned = ", turned with the keypoint" if frame.rotated else ""
    how = (
        "" if found.ncc is None else f", by which unseen pictures come out with NCC {found.ncc:.2f}"
    )
    typer.echo(
        f"Wrote {printable(output)}, fitted to {found.keypoints:,} vectors of "
        f"{found.photographs} photographs; a vector describes a square of {side}{turned}{how}."
    )
    typer.echo(f"Read such features with -d {printable(output)}.")
