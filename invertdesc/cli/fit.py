"""`invertdesc fit`."""

from pathlib import Path
from typing import Any

import typer

from invertdesc._text import printable
from invertdesc.cli.calling import make_descriptor
from invertdesc.errors import InputError
from invertdesc.sources import find_images


def fit(
    context: typer.Context,
    data: list[Path],
    output: Path,
    descriptor: str | None = None,
    command: str | None = None,
    support: float | None = None,
    decoder: bool = False,
    images: int = 250,
    **_: Any,
) -> None:
    """Fit a descriptor's unfolding to some hundred photographs, for methods such as poisson.

    Examples:
        invertdesc fit -d sift --data photos/ -o mine.safetensors
        invertdesc reconstruct photo.jpg --unfolding mine.safetensors
        invertdesc fit --command 'extract.py {images} {out}' --data photos/ -o theirs.safetensors
        invertdesc reconstruct their-features/ -o out/ -d theirs.safetensors
    """
    from invertdesc import fit_unfolding

    if (descriptor is None) == (command is None):
        raise InputError("Expected a descriptor's name, -d, or a program, --command: one of them.")
    photos = find_images(data, images)
    if command is not None:
        typer.echo(_fit_to(command, photos, support, decoder, output))
    elif support is not None or decoder:
        raise InputError("Expected --support and --decoder with --command, got them without.")
    else:
        fitted = fit_unfolding(make_descriptor(context), photos, progress=True)
        fitted.save(output, card={"descriptor": descriptor, "photographs": len(photos)})
        typer.echo(f"Wrote {printable(output)}, fitted to {len(photos)} photographs.")


def _fit_to(program: str, photos: list[Path], side: float | None, corrected: bool, to: Path) -> str:
    """Fit to the features of a program, and return what to print."""
    from invertdesc import Frame, fit_program
    from invertdesc.training.decoders import DecoderConfig

    if to.suffix != ".safetensors":
        raise InputError(f"Expected a .safetensors file to write, got {to}.")
    square = None if side is None else Frame(side, scaled=False, rotated=False)
    net = DecoderConfig() if corrected else None
    found = fit_program(program, photos, frame=square, decoder=net, progress=True)
    found.save(to)
    return f"{found}\nWrote {printable(to)}. Read such features with -d {printable(to)}."
