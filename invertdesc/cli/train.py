"""`invertdesc train`."""

from pathlib import Path
from typing import Annotated

import typer

from invertdesc.cli.options import Device, Images
from invertdesc.cli.sources import find_sources, spread


def train(
    data: Annotated[list[Path], typer.Option("--data", help="Folder of images. Repeatable.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    descriptor: Annotated[
        list[str] | None,
        typer.Option("--descriptor", "-d", help="Registry name. Repeatable.", show_default="sift"),
    ] = None,
    images: Images = None,
    steps: Annotated[int, typer.Option(min=1, help="Updates of the weights.")] = 5000,
    minutes: Annotated[
        float | None, typer.Option(help="End, saved, after so long; --resume goes on.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 8,
    width: Annotated[int, typer.Option(min=1, help="Channels of the network's first level.")] = 24,
    seed: Annotated[int, typer.Option(help="Of everything drawn.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that extract features.")] = 2,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for extracted features.", show_default="in -o")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")] = False,
    device: Device = None,
) -> None:
    """Train the `unfold` network on your own pictures, for any descriptors.

    **Examples**

        invertdesc train --data faces/ -d sift -d orb -o run/ --minutes 60

        invertdesc reconstruct photo.jpg -m unfold -M weights=run/unfold.safetensors
    """
    import time

    from invertdesc.reconstructors.networks.unet import UNetConfig
    from invertdesc.training.config import TrainConfig
    from invertdesc.training.loop import train as run

    config = TrainConfig(
        descriptors=tuple(descriptor or ["sift"]),
        network=UNetConfig(width=width),
        steps=steps,
        batch=batch_size,
        seed=seed,
        threads=threads,
    )
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    weights = run(
        [path for folder in data for path in spread(find_sources([str(folder)]), images)],
        output,
        config,
        resume=resume,
        device=device or "cpu",
        cache=cache,
        workers=workers,
        until=lambda: time.monotonic() > end,
    )
    typer.echo(f"Wrote {weights}.")
