"""`invertdesc fit`."""

from pathlib import Path
from typing import Annotated

import typer

from invertdesc.cli.options import DescriptorOptions, Gray, make_descriptor
from invertdesc.cli.sources import find_sources


def fit(
    descriptor: Annotated[str, typer.Option("--descriptor", "-d", help="Registry name.")],
    data: Annotated[Path, typer.Option("--data", help="Folder of photographs, some hundred.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .safetensors file.")],
    descriptor_option: DescriptorOptions = None,
    gray: Gray = None,
    most: Annotated[int, typer.Option(min=1, help="Use so many photographs at most.")] = 250,
) -> None:
    """Fit a descriptor's unfolding to photographs, so that methods like poisson can take it.

    **Example**

        invertdesc fit -d sift --data photos/ -o mine.safetensors

        invertdesc reconstruct photo.jpg --unfolding mine.safetensors
    """
    from invertdesc.unfolding import Unfolding

    photos = find_sources([str(data)])[:most]
    fitted = Unfolding.fit(
        make_descriptor(descriptor, descriptor_option, gray), photos, progress=True
    )
    fitted.save(output, card={"descriptor": descriptor, "photographs": len(photos)})
    typer.echo(f"Wrote {output}, fitted to {len(photos)} photographs.")
