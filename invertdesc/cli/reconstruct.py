"""`invertdesc reconstruct`."""

from __future__ import annotations

from typing import Annotated

import typer

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.cli.options import (
    Assume,
    BatchSize,
    DescriptorOptions,
    DescriptorOrTold,
    Device,
    Example,
    Gray,
    ImageNames,
    Mend,
    MethodName,
    MethodOptions,
    Out,
    Shard,
    SourcesOrStore,
    StoreSize,
    UnfoldingFile,
    make_descriptor,
    make_method,
)
from invertdesc.cli.sources import plan_files
from invertdesc.cli.stores import find_store, parse_guesses, parse_shard
from invertdesc.errors import InputError


def reconstruct(
    sources: SourcesOrStore = None,
    output: Out = None,
    example: Example = None,
    descriptor: DescriptorOrTold = None,
    descriptor_option: DescriptorOptions = None,
    gray: Gray = None,
    method: MethodName = "unfold",
    method_option: MethodOptions = None,
    unfolding: UnfoldingFile = None,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Draw original, keypoints and reconstruction.")
    ] = False,
    device: Device = None,
    batch_size: BatchSize = 16,
    images: ImageNames = None,
    shard: Shard = None,
    image_size: StoreSize = None,
    assume: Assume = None,
    mend: Mend = True,
    consistency: Annotated[
        bool,
        typer.Option(
            "--consistency",
            help="Of a store, measure how well pictures' own descriptors agree with the stored.",
        ),
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of a store, share the work out by Ray: local, auto, or a cluster's address.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Reconstruct pictures from features, or from images by way of their features.

    From a store, such as COLMAP's database, pictures are called as their images are; those that are
    there already are left, so that a run that was stopped goes on where it was.

    **Examples**

        invertdesc reconstruct photo.jpg -o back.png --side-by-side

        invertdesc reconstruct --example astronaut -d sift -D contrast_threshold=0.03

        invertdesc reconstruct features.npz "scans/**/*.png" -o out/ --device cuda

        invertdesc reconstruct database.db -o out/ --names "cam0/*" --shard 0/4

        invertdesc reconstruct database.db -o out/ --ray local
    """
    from invertdesc.cli.bulk import in_parts, report
    from invertdesc.cli.orders import Order, Recipe, carry_out
    from invertdesc.image import image_format

    place = find_store(sources or [], example is not None)
    chosen = tuple(method_option or [])
    recipe = Recipe(method, chosen, unfolding, device, batch_size, side_by_side, consistency)
    if place is not None:
        if output is None or output.suffix.lower() in IMAGE_SUFFIXES:
            raise InputError(f"Expected a folder to write to, -o DIR, got {output}.")
        if descriptor_option or gray is not None:
            raise InputError(f"Expected -D and --gray for images only, got them for {place}.")
        guesses = parse_guesses(assume)
        order = Order(place, output, recipe, descriptor, image_size, guesses, mend)
        carry_out(order, pattern=images, shard=parse_shard(shard), cluster=ray)
        return
    given = (images, shard, image_size, ray, assume or None, consistency or None)
    if any(option is not None for option in given):
        raise InputError(
            "Expected --names, --shard, --image-size, --assume, --consistency and --ray with a "
            "store, got none."
        )
    plan = plan_files(
        sources, example, output, (*IMAGE_SUFFIXES, ".npz"), ".png", "-reconstruction"
    )
    for target in plan.values():
        image_format(target)
    adapter = make_descriptor(descriptor or "sift", descriptor_option, gray)
    # What a file of features was made by, it tells itself.
    known = None if any(path.suffix == ".npz" for path in plan) else adapter
    work = recipe.work(make_method(method, method_option, unfolding, known))
    failed = in_parts(
        plan, adapter, work, size=batch_size, title="reconstruct", originals=side_by_side
    )
    report(plan, failed)
