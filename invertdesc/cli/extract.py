"""`invertdesc extract`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.cli.options import (
    DescriptorName,
    DescriptorOptions,
    Example,
    Gray,
    Out,
    Sources,
    make_descriptor,
)
from invertdesc.cli.sources import plan_files

if TYPE_CHECKING:
    from invertdesc.cli.bulk import Loaded
    from invertdesc.features.local import LocalFeatures


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
    from invertdesc.cli.bulk import Work, in_parts, report

    plan = plan_files(sources, example, output, IMAGE_SUFFIXES, ".npz", "")
    adapter = make_descriptor(descriptor, descriptor_option, gray)

    def write(loaded: Loaded, features: LocalFeatures) -> None:
        features.save(loaded[0])

    work = Work(lambda part: [features for _, features, _ in part], write)
    report(plan, in_parts(plan, adapter, work, size=1, title="extract"))
