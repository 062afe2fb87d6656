"""`invertdesc fit`."""

from pathlib import Path
from typing import Annotated

import typer

from invertdesc._text import printable
from invertdesc.cli.options import DescriptorOptions, Gray, make_descriptor
from invertdesc.sources import find_sources, spread


def fit(
    descriptor: Annotated[str, typer.Option("--descriptor", "-d", help="Registry name.")],
    data: Annotated[
        list[Path], typer.Option("--data", help="Folder of photographs, some hundred. Repeatable.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .safetensors file.")],
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
    """
    from invertdesc.unfolding.fit import fit_unfolding

    photos = [path for folder in data for path in spread(find_sources([str(folder)]), images)]
    fitted = fit_unfolding(
        make_descriptor(descriptor, descriptor_option, gray), photos, progress=True
    )
    fitted.save(output, card={"descriptor": descriptor, "photographs": len(photos)})
    typer.echo(f"Wrote {printable(output)}, fitted to {len(photos)} photographs.")
