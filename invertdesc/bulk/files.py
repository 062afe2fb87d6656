"""Extract and reconstruct image files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invertdesc.api import BATCH_PIXELS
from invertdesc.bulk.jobs import Job, Loaded, StageTimes, Work, run_jobs
from invertdesc.bulk.order import Recipe
from invertdesc.bulk.places import Sources, plan_files
from invertdesc.bulk.summary import OnOutcome, Summary, summarise
from invertdesc.descriptors import Descriptor, resolve_descriptor
from invertdesc.errors import InputError
from invertdesc.features.local import LocalFeatures
from invertdesc.features.placeholders import check_descriptors
from invertdesc.image import image_format, read_image
from invertdesc.methods import MethodLike, create_method
from invertdesc.methods.registry import check_unfolding


def extract_folder(
    sources: Sources,
    folder: str | os.PathLike[str],
    *,
    descriptor: str | Descriptor = "sift",
    on_outcome: OnOutcome | None = None,
    progress: bool = False,
) -> Summary:
    """Extract the features of images to .npz files, which hold nothing else of them.

    The folder can then be opened as a store. An image that cannot be read is reported and left out.

    Args:
        sources: A file, folder or pattern, or several. For a folder, its images are used, or, if
            there are none, the images in its subfolders.
        folder: Folder to write the files to.
        descriptor: Name, or an adapter from `create_descriptor`, which takes parameters.
        on_outcome: Function that is called with the `Outcome` of each image, in this thread.
        progress: Show a progress bar, on a terminal.

    Raises:
        FileError: A source matches no file.
        InputError: There is no source, two would be written to one file, or the descriptor is
            unknown.

    >>> import tempfile
    >>> from invertdesc.sources import example_path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = extract_folder(example_path("camera"), folder)
    ...     (summary.made, [path.name for path in Path(folder).iterdir()])
    (1, ['camera.npz'])
    """
    plan = plan_files(sources, folder, ".npz")
    return extract_files(plan, descriptor=descriptor, on_outcome=on_outcome, progress=progress)


def extract_files(
    plan: Mapping[Path, Path],
    *,
    descriptor: str | Descriptor = "sift",
    on_outcome: OnOutcome | None = None,
    progress: bool = False,
) -> Summary:
    """Extract the features of images to the files of a plan; see `extract_folder`.

    Args:
        plan: .npz file for each image.
        descriptor: Name, or an adapter.
        on_outcome: Function that is called with the `Outcome` of each image, in this thread.
        progress: Show a progress bar, on a terminal.

    Raises:
        InputError: An unknown descriptor.
    """

    def write(loaded: Loaded, features: LocalFeatures) -> None:
        features.save(loaded[0])

    work = Work(lambda part: [features for _, features, _ in part], write)
    jobs = _jobs(plan, resolve_descriptor(descriptor))
    return _run(jobs, work, plan, "extract", on_outcome, progress)


def reconstruct_files(
    plan: Mapping[Path, Path],
    *,
    descriptor: str | Descriptor = "sift",
    method: str | MethodLike = "auto",
    method_options: Mapping[str, Any] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
    batch_pixels: int = BATCH_PIXELS,
    side_by_side: bool = False,
    on_outcome: OnOutcome | None = None,
    progress: bool = False,
) -> Summary:
    """Reconstruct images, or .npz files of features, to the picture files of a plan.

    Args:
        plan: Picture file for each image or .npz file; `plan_files` makes a plan.
        descriptor: What to extract from images: a name, or an adapter.
        method: Name, or a method from `create_method`.
        method_options: Options of a method that is given by its name.
        device: Where to compute, such as `"cuda"`; None for the CPU.
        batch_size: Images that are reconstructed together.
        batch_pixels: Number of pixels that they may have together; a larger image is alone.
        side_by_side: Whether to draw original and keypoints beside each picture.
        on_outcome: Called with the `Outcome` of each image, in this thread.
        progress: Show a bar, where there is a terminal.

    Raises:
        InputError: A name is unknown, or the suffix of a picture is not that of an image format.
    """
    for target in plan.values():
        image_format(target)
    adapter = resolve_descriptor(descriptor)
    if isinstance(method, str):
        common = _common_descriptor(plan, adapter)
        if "unfolding" not in (method_options or {}):
            check_unfolding(method, common)
        method = create_method(method, descriptor=common, **(method_options or {}))
    recipe = Recipe(method, device, batch_size, side_by_side, batch_pixels=batch_pixels)
    jobs = _jobs(plan, adapter, originals=side_by_side)
    return _run(jobs, recipe.work(), plan, "reconstruct", on_outcome, progress, batch_size)


def _common_descriptor(plan: Iterable[Path], adapter: Descriptor) -> Descriptor | None:
    """Return what all features come from; None where files of features name their own."""
    return None if any(path.suffix == ".npz" for path in plan) else adapter


def _jobs(plan: Mapping[Path, Path], adapter: Descriptor, *, originals: bool = False) -> list[Job]:
    return [
        Job(str(source), target, partial(_read_file, source, adapter, originals))
        for source, target in plan.items()
    ]


def _run(
    jobs: Sequence[Job],
    work: Work,
    plan: Mapping[Path, Path],
    title: str,
    on_outcome: OnOutcome | None,
    progress: bool,
    size: int = 1,
) -> Summary:
    times = StageTimes()
    return summarise(
        run_jobs(jobs, work, size=size, times=times),
        lambda: ((str(source), target) for source, target in plan.items()),
        times,
        title=title,
        on_outcome=on_outcome,
        progress=progress,
        target=_common_target(list(plan.values())),
    )


def _common_target(targets: Sequence[Path]) -> Path:
    if len(targets) == 1:
        return targets[0]
    return Path(os.path.commonpath([target.parent for target in targets]))


def _read_file(
    source: Path, adapter: Descriptor, original: bool
) -> tuple[LocalFeatures, Tensor | None]:
    """Return the features of a file, and the image, if the file is an image and it is wanted."""
    image = None if source.suffix.lower() == ".npz" else read_image(source)
    features = LocalFeatures.load(source) if image is None else adapter.extract(image)
    if not len(features):
        raise InputError(
            f"Expected keypoints, got none in {source}: nothing to reconstruct from. Is it flat, "
            "blurred or tiny? A lower threshold finds more, such as a contrast_threshold of 0.01."
        )
    if image is None:
        check_descriptors(features.descriptors.numpy())
    return features, image if original else None
