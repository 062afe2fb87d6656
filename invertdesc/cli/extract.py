"""`invertdesc extract`."""

from __future__ import annotations

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.cli.bulk import complain_of, report_files
from invertdesc.cli.options import (
    DescriptorName,
    DescriptorOptions,
    Example,
    Gray,
    Out,
    Sources,
    make_descriptor,
)
from invertdesc.cli.sources import plan_outputs


def extract(
    sources: Sources = None,
    output: Out = None,
    example: Example = None,
    descriptor: DescriptorName = "sift",
    descriptor_option: DescriptorOptions = None,
    gray: Gray = None,
) -> None:
    """Extract features of images to .npz files, which hold nothing else of them.

    **Examples**

        invertdesc extract photo.jpg -o photo.npz

        invertdesc extract photos/ -o features/ -d sift -D max_num_keypoints=500
    """
    from invertdesc.bulk import extract_files

    plan = plan_outputs(sources, example, output, IMAGE_SUFFIXES, ".npz", "")
    adapter = make_descriptor(descriptor, descriptor_option, gray)
    summary = extract_files(plan, descriptor=adapter, on_outcome=complain_of, progress=True)
    report_files(summary, plan)
