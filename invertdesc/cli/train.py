"""`invertdesc train`."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from invertdesc.cli.calling import call
from invertdesc.sources import find_images


def train(
    context: typer.Context,
    data: list[Path],
    output: Path,
    method: str = "unfold",
    descriptor: list[str] | None = None,
    images: int | None = None,
    loss: str | None = None,
    minutes: float | None = None,
    **given: Any,
) -> None:
    """Train a method's network on your own pictures, for any descriptors.

    Features are extracted once and kept. The folder of the run shows how it goes: `sheet.png`,
    `log.jsonl`. Ctrl-C saves what was learned, and --resume goes on from there. Several processes
    share the work when `torchrun` starts them.

    Examples:
        invertdesc train --data faces/ -d sift -d orb -o run/ --minutes 60
        invertdesc reconstruct photo.jpg -m unfold -M weights=run/unfold.safetensors
        invertdesc train --data faces/ -m coarse+cgan --start r/coarse.safetensors -o gan/
        torchrun --nproc-per-node 4 -m invertdesc train --data faces/ -o run/ --device cuda
    """
    import invertdesc
    from invertdesc.methods.recipe import TrainConfig
    from invertdesc.training.adjust import adjusted_recipe
    from invertdesc.training.checkpoint import list_checkpoints

    changes = {one.name: given[one.name] for one in fields(TrainConfig) if one.name in given}
    changes["descriptors"] = tuple(descriptor or ["sift"])
    config = call(context, adjusted_recipe, losses=loss, changes=changes)
    known: dict[str, Any] = {"paths": find_images(data, images), "out": output, "config": config}
    known["minutes"] = minutes
    try:
        weights = call(context, invertdesc.train, **known)
    except KeyboardInterrupt:
        if saved := list_checkpoints(output):
            typer.echo(f"Saved {saved[-1]}; go on from there with --resume.", err=True)
        raise
    typer.echo(f"Wrote {weights}.")
