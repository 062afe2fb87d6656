"""`invertdesc reconstruct`."""

from __future__ import annotations

from typing import Annotated

import typer

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.cli.bulk import complain_of, report_files, report_store
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
    vectors_of,
)
from invertdesc.cli.sources import parse_options, plan_outputs
from invertdesc.cli.stores import find_store, open_named, parse_shard, tell, warn_of_left_out
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

    From a store, such as COLMAP's database, pictures keep the images' names. Existing pictures are
    skipped, so that an interrupted run can be resumed.

    **Examples**

        invertdesc reconstruct photo.jpg -o back.png --side-by-side

        invertdesc reconstruct --example astronaut -d sift -D contrast_threshold=0.03

        invertdesc reconstruct features.npz "scans/**/*.png" -o out/ --device cuda

        invertdesc reconstruct database.db -o out/ --names "cam0/*" --shard 0/4

        invertdesc reconstruct database.db -o out/ --ray local
    """
    from invertdesc.bulk import reconstruct_files, reconstruct_store
    from invertdesc.bulk.files import common_descriptor
    from invertdesc.features.guesses import Guesses
    from invertdesc.stores.summary import check_readable

    path = find_store(sources or [], example is not None)
    if path is not None:
        if output is None or output.suffix.lower() in IMAGE_SUFFIXES:
            raise InputError(f"Expected a folder to write to, -o DIR, got {output}.")
        if descriptor_option or gray is not None:
            raise InputError(f"Expected -D and --gray for images only, got them for {path}.")
        chosen = make_method(method, method_option, unfolding)
        with open_named(path, vectors_of(descriptor, unfolding), image_size, mend=mend) as store:
            check_readable(store)
            tell(store.description.notes)
            warn_of_left_out(store)
            summary = reconstruct_store(
                store,
                output,
                method=chosen,
                names=images,
                shard=parse_shard(shard),
                assume=Guesses.of(parse_options(assume or [])),
                device=device,
                batch_size=batch_size,
                consistency=consistency,
                side_by_side=side_by_side,
                ray=ray,
                on_outcome=complain_of,
                progress=True,
            )
        report_store(summary, output)
        return
    given = (images, shard, image_size, ray, assume or None, consistency or None)
    if any(option is not None for option in given):
        raise InputError(
            "Expected --names, --shard, --image-size, --assume, --consistency and --ray with a "
            "store, got none."
        )
    plan = plan_outputs(
        sources, example, output, (*IMAGE_SUFFIXES, ".npz"), ".png", "-reconstruction"
    )
    adapter = make_descriptor(descriptor or "sift", descriptor_option, gray)
    summary = reconstruct_files(
        plan,
        descriptor=adapter,
        method=make_method(method, method_option, unfolding, common_descriptor(plan, adapter)),
        device=device,
        batch_size=batch_size,
        side_by_side=side_by_side,
        on_outcome=complain_of,
        progress=True,
    )
    report_files(summary, plan)
