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
    """Fit a descriptor's unfolding to photographs, so that methods such as poisson can read it.

    Some hundred photographs are enough.

    Examples:
        invertdesc fit -d sift --data photos/ -o mine.safetensors
        invertdesc reconstruct photo.jpg --unfolding mine.safetensors
        invertdesc fit --command 'extract.py {images} {out}' --data photos/ -o theirs.safetensors
        invertdesc reconstruct their-features/ -o out/ -d theirs.safetensors
    """
    from invertdesc.unfolding.fit import fit_unfolding

    if (descriptor is None) == (command is None):
        raise InputError("Expected a descriptor's name, -d, or a program, --command: one of them.")
    for name, given in (("--support", support is not None), ("--decoder", decoder)):
        if command is None and given:
            raise InputError(f"Expected {name} with --command, got it without.")
    photos = find_images(data, images)
    if command is not None:
        typer.echo(_fit_program(command, photos, support, decoder, output))
        return
    fitted = fit_unfolding(make_descriptor(context), photos, progress=True)
    fitted.save(output, card={"descriptor": descriptor, "photographs": len(photos)})
    typer.echo(f"Wrote {printable(output)}, fitted to {len(photos)} photographs.")


def _fit_program(
    command: str, photos: list[Path], support: float | None, decoder: bool, output: Path
) -> str:
    """Fit to a program's features, and return what to print."""
    from invertdesc.training.decoders import DecoderConfig
    from invertdesc.training.program import fit_program
    from invertdesc.unfolding.frame import Frame

    if output.suffix != ".safetensors":
        raise InputError(f"Expected a .safetensors file to write, got {output}.")
    square = None if support is None else Frame(support, scaled=False, rotated=False)
    found = fit_program(
        command, photos, frame=square, decoder=DecoderConfig() if decoder else None, progress=True
    )
    found.save(output)
    return f"{found}\nWrote {printable(output)}. Read such features with -d {printable(output)}."
