"""`invertdesc reconstruct`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer

from invertdesc.cli.options import (
    Assume,
    BatchSize,
    DescriptorOptions,
    DescriptorOrTold,
    Device,
    Example,
    Gray,
    ImageNames,
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
from invertdesc.cli.sources import IMAGES, plan_files
from invertdesc.cli.stores import Run, find_store, open_named, parse_guesses, parse_shard
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from invertdesc.cli.bulk import Loaded
    from invertdesc.reconstructors import Reconstructor

WRITERS = 4  # threads


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
) -> None:
    """Reconstruct pictures from features, or from images by way of their features.

    From a store, such as COLMAP's database, pictures are called as their images are; those that are
    there already are left, so that a run that was stopped goes on where it was.

    **Examples**

        invertdesc reconstruct photo.jpg -o back.png --side-by-side

        invertdesc reconstruct --example astronaut -d sift -D contrast_threshold=0.03

        invertdesc reconstruct features.npz "scans/**/*.png" -o out/ --device cuda

        invertdesc reconstruct database.db -o out/ --images "cam0/*" --shard 0/4
    """
    from invertdesc.cli.bulk import in_parts, report
    from invertdesc.image import image_format

    place = find_store(sources or [], example is not None)
    if place is not None:
        if output is None or output.suffix.lower() in IMAGES:
            raise InputError(f"Expected a folder to write to, -o DIR, got {output}.")
        if descriptor_option or gray is not None:
            raise InputError(f"Expected -D and --gray for images only, got them for {place}.")
        part, guesses = parse_shard(shard), parse_guesses(assume)
        with open_named(place, descriptor, image_size) as store:
            chosen = make_method(method, method_option, unfolding, None)
            work = _worker(chosen, device, batch_size, side_by_side)
            Run(store, output, guesses)(work, size=batch_size, pattern=images, shard=part)
        return
    if any(option is not None for option in (images, shard, image_size)) or assume:
        raise InputError(
            "Expected --images, --shard, --image-size and --assume with a store, got none."
        )
    plan = plan_files(sources, example, output, (*IMAGES, ".npz"), ".png", "-reconstruction")
    for target in plan.values():
        image_format(target)
    adapter = make_descriptor(descriptor or "sift", descriptor_option, gray)
    # What a file of features was made by, it tells itself.
    known = None if any(path.suffix == ".npz" for path in plan) else adapter
    work = _worker(
        make_method(method, method_option, unfolding, known), device, batch_size, side_by_side
    )
    report(plan, in_parts(plan, adapter, work, size=batch_size, title="reconstruct"))


def _worker(
    method: Reconstructor, device: str | None, batch_size: int, side_by_side: bool
) -> Callable[[Sequence[Loaded]], None]:
    """Return what reconstructs and writes a part."""
    from invertdesc.api import reconstruct as run
    from invertdesc.drawing import side_by_side as draw
    from invertdesc.image import write_image

    def write(loaded: Loaded, picture: Tensor) -> None:
        target, features, image = loaded
        shown = draw(features, picture, image, method.name) if side_by_side else picture
        write_image(shown, target)

    def work(part: Sequence[Loaded]) -> None:
        pictures = run([f for _, f, _ in part], method=method, device=device, batch_size=batch_size)
        # Packing a PNG takes as long as `poisson`: 107 and 106 ms, 512 x 512, a core of an x86.
        with ThreadPoolExecutor(WRITERS) as pool:
            for _ in pool.map(write, part, pictures):
                pass

    return work
