"""`invertdesc extract`."""

from pathlib import Path
from typing import Any

import typer

from invertdesc.cli.calling import call, make_descriptor, names_of
from invertdesc.cli.messages import finish


def extract(
    context: typer.Context,
    output: Path | None = None,
    **_: Any,
) -> None:
    """Extract the features of images to .npz files, which hold nothing else of the images.

    Examples:
        invertdesc extract photo.jpg -o photo.npz
        invertdesc extract photos/ -o features/ -d sift -D max_num_keypoints=500
    """
    from invertdesc.bulk import extract_files, plan_outputs

    plan = plan_outputs(names_of(context), output, ".npz")
    finish(call(context, extract_files, plan=plan, descriptor=make_descriptor(context)))
