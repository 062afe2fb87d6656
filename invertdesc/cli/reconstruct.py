"""`invertdesc reconstruct`."""

from pathlib import Path
from typing import Any

import typer

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc._text import parse_numbers, parse_options
from invertdesc.cli.calling import call, make_descriptor, method_options, names_of, store_of
from invertdesc.cli.messages import describe_store, finish
from invertdesc.errors import InputError


def reconstruct(
    context: typer.Context,
    output: Path | None = None,
    names: str | None = None,
    shard: str | None = None,
    image_size: str | None = None,
    assume: list[str] | None = None,
    consistency: bool = False,
    ray: str | None = None,
    **_: Any,
) -> None:
    """Reconstruct pictures from features, or from images by way of their features.

    From a store, such as COLMAP's database, pictures keep the images' names. Existing pictures are
    skipped, so that a run that was stopped can go on.

    Examples:
        invertdesc reconstruct photo.jpg -o back.png --side-by-side
        invertdesc reconstruct --example astronaut -d sift -D contrast_threshold=0.03
        invertdesc reconstruct features.npz "scans/**/*.png" -o out/ --device cuda
        invertdesc reconstruct database.db -o out/ --names "cam0/*" --shard 0/4
    """
    from invertdesc.bulk import plan_outputs, reconstruct_files, reconstruct_store

    common: dict[str, Any] = {"method_options": method_options(context)}
    with store_of(context) as store:
        if store is not None:
            if output is None or output.suffix.lower() in IMAGE_SUFFIXES:
                raise InputError(f"Expected a folder to write to, -o DIR, got {output}.")
            describe_store(store.description)
            common |= {"store": store, "descriptor": None, "folder": output}
            common["shard"] = parse_numbers(shard or "0/1", 2, "/", "a shard I/N, such as 0/4")
            common["assume"] = parse_options(assume)
            finish(call(context, reconstruct_store, **common))
            return
    if names or shard or image_size or assume or consistency or ray:
        raise InputError(
            "Expected --names, --shard, --image-size, --assume, --consistency and --ray with a "
            "store, got none."
        )
    kinds, tail = (*IMAGE_SUFFIXES, ".npz"), "-reconstruction"
    plan = plan_outputs(names_of(context), output, ".png", suffixes=kinds, tail=tail)
    common |= {"plan": plan, "descriptor": make_descriptor(context)}
    finish(call(context, reconstruct_files, **common))
