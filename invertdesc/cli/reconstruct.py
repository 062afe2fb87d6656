"""`invertdesc reconstruct`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from invertdesc.cli.options import (
    BatchSize,
    DescriptorName,
    DescriptorOptions,
    Device,
    Example,
    Gray,
    MethodName,
    MethodOptions,
    Out,
    Sources,
    UnfoldingFile,
    make_descriptor,
    make_method,
)
from invertdesc.cli.sources import IMAGES, plan_files

if TYPE_CHECKING:
    from invertdesc.cli.bulk import Loaded


def reconstruct(
    sources: Sources = None,
    output: Out = None,
    example: Example = None,
    descriptor: DescriptorName = "sift",
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
) -> None:
    """Reconstruct pictures from features, or from images by way of their features.

    **Examples**

        invertdesc reconstruct photo.jpg -o back.png --side-by-side

        invertdesc reconstruct --example astronaut -d sift -D contrast_threshold=0.03

        invertdesc reconstruct features.npz "scans/**/*.png" -o out/ --device cuda
    """
    from invertdesc.api import reconstruct as run
    from invertdesc.cli.bulk import in_parts, report
    from invertdesc.drawing import side_by_side as draw
    from invertdesc.image import image_format, write_image

    plan = plan_files(sources, example, output, (*IMAGES, ".npz"), ".png", "-reconstruction")
    for target in plan.values():
        image_format(target)
    adapter = make_descriptor(descriptor, descriptor_option, gray)
    # What a file of features was made by, it tells itself.
    known = None if any(path.suffix == ".npz" for path in plan) else adapter
    chosen = make_method(method, method_option, unfolding, known)

    def work(part: Sequence[Loaded]) -> None:
        pictures = run([f for _, f, _ in part], method=chosen, device=device, batch_size=batch_size)
        for (target, features, image), picture in zip(part, pictures, strict=True):
            shown = draw(features, picture, image, chosen.name) if side_by_side else picture
            write_image(shown, target)

    report(plan, in_parts(plan, adapter, work, size=batch_size, title="reconstruct"))
