"""`invertdesc fit`."""

from pathlib import Path
from typing import Any

import typer

from invertdesc._text import printable
from invertdesc.cli.calling import make_descriptor
from invertdesc.sources import find_images


def fit(
    context: typer.Context,
    descriptor: str,
    data: list[Path],
    output: Path,
    images: int = 250,
    **_: Any,
) -> None:
    """Fit a descriptor's unfolding to photographs, so that methods such as poisson can read it.

    Some hundred photographs are enough.

    Examples:
        invertdesc fit -d sift --data photos/ -o mine.safetensors
        invertdesc reconstruct photo.jpg --unfolding mine.safetensors
    """
    from invertdesc.unfolding.fit import fit_unfolding

    photos = find_images(data, images)
    fitted = fit_unfolding(make_descriptor(context), photos, progress=True)
    fitted.save(output, card={"descriptor": descriptor, "photographs": len(photos)})
    typer.echo(f"Wrote {printable(output)}, fitted to {len(photos)} photographs.")
