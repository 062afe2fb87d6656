"""`invertdesc train`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from invertdesc.cli.options import Device, Images
from invertdesc.sources import find_sources, spread


def train(
    data: Annotated[list[Path], typer.Option("--data", help="Folder of images. Repeatable.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    method: Annotated[
        str,
        typer.Option("--method", "-m", help="unfold, unfold+cgan, coarse, coarse+cgan or upconv."),
    ] = "unfold",
    descriptor: Annotated[
        list[str] | None,
        typer.Option(
            "--descriptor",
            "-d",
            help="Registry name. Repeatable for unfold and unfold+cgan.",
            show_default="sift",
        ),
    ] = None,
    images: Images = None,
    start: Annotated[
        Path | None,
        typer.Option(
            help="Weights to start from; for a +cgan method, those of the network in front."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="Losses and their weights, such as l2 or l1=1,ssim=0.2,perceptual=0.1.",
            show_default="the method's",
        ),
    ] = None,
    vgg16: Annotated[
        Path | None,
        typer.Option(
            help="Weights of VGG16, for perceptual and style loss.",
            show_default="torchvision's, if downloaded",
        ),
    ] = None,
    vgg_layer: Annotated[str, typer.Option(help="Layer of VGG16 to compare at.")] = "conv3_3",
    vgg_patch: Annotated[
        int | None,
        typer.Option(min=1, help="Side of a random square for VGG16.", show_default="all"),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Updates of the weights.")] = 5000,
    minutes: Annotated[
        float | None, typer.Option(help="End, saved, after so long; --resume goes on.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 8,
    rate: Annotated[
        float | None, typer.Option(help="Learning rate.", show_default="the method's")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="cosine or constant learning rate.", show_default="the method's"),
    ] = None,
    average: Annotated[
        float,
        typer.Option(
            min=0,
            help="Save a moving average of the weights with this decay a step, such as 0.999.",
            show_default="none",
        ),
    ] = 0.0,
    width: Annotated[
        int | None,
        typer.Option(
            min=1, help="Channels of the network's first level.", show_default="the method's"
        ),
    ] = None,
    refiner_width: Annotated[
        int | None,
        typer.Option(min=1, help="The same of the refiner G.", show_default="the method's"),
    ] = None,
    discriminator_width: Annotated[
        int, typer.Option(min=1, help="The same of the discriminator D.")
    ] = 64,
    discriminator_steps: Annotated[int, typer.Option(min=1, help="Updates of D a step.")] = 5,
    crop: Annotated[
        int, typer.Option(min=1, help="Pixels of the square that pictures are cut to.")
    ] = 256,
    patch: Annotated[
        int | None,
        typer.Option(min=1, help="Train on random squares of that side.", show_default="all"),
    ] = None,
    drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of pictures that lose keypoints.",
            show_default="the method's",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything drawn.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that extract features.")] = 2,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for extracted features.", show_default="in -o")
    ] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write losses for TensorBoard too.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")] = False,
    device: Device = None,
) -> None:
    """Train a method's network on your own pictures, for any descriptors.

    Features are extracted once and kept. The folder of the run shows how it goes: `sheet.png`,
    `log.jsonl`. Ctrl-C saves what was learned, and --resume goes on from there. Several processes
    share the work when `torchrun` starts them.

    **Examples**

        invertdesc train --data faces/ -d sift -d orb -o run/ --minutes 60

        invertdesc reconstruct photo.jpg -m unfold -M weights=run/unfold.safetensors

        invertdesc train --data faces/ -m coarse -o r/ --vgg16 vgg16.safetensors

        invertdesc train --data faces/ -m coarse+cgan --start r/coarse.safetensors -o gan/

        torchrun --nproc-per-node 4 -m invertdesc train --data faces/ -o run/ --device cuda
    """
    import time

    from invertdesc.methods.network import preset
    from invertdesc.methods.recipe import LossWeights, PatchGANConfig
    from invertdesc.training.checkpoint import list_checkpoints
    from invertdesc.training.loop import train as run

    config = preset(method)
    network: Any = config.network
    if refiner_width is not None and hasattr(network, "refiner"):
        network = replace(network, refiner=replace(network.refiner, width=refiner_width))
    if width is not None and not hasattr(network, "refiner"):
        network = replace(network, width=width)
    chosen = {"rate": rate, "schedule": schedule, "drop": drop, "network": network}
    chosen["losses"] = LossWeights.parse(loss) if loss else None
    changes: dict[str, Any] = {k: v for k, v in chosen.items() if v is not None}
    config = replace(
        config,
        descriptors=tuple(descriptor or ["sift"]),
        discriminator=PatchGANConfig(width=discriminator_width),
        discriminator_steps=discriminator_steps,
        vgg_layer=vgg_layer,
        vgg_patch=vgg_patch,
        crop=crop,
        patch=patch,
        steps=steps,
        average=average,
        batch=batch_size,
        seed=seed,
        threads=threads,
        compile=compile_,
        **changes,
    )
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    try:
        weights = run(
            [path for folder in data for path in spread(find_sources([str(folder)]), images)],
            output,
            config,
            start=start,
            vgg16=vgg16,
            resume=resume,
            device=device or "cpu",
            cache=cache,
            workers=workers,
            tensorboard=tensorboard,
            until=lambda: time.monotonic() > end,
        )
    except KeyboardInterrupt:
        if saved := list_checkpoints(output):
            typer.echo(f"Saved {saved[-1]}; go on from there with --resume.", err=True)
        raise
    typer.echo(f"Wrote {weights}.")
