"""Many files, one after another: read, worked on in parts, bad ones reported and left out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import typer
from torch import Tensor
from tqdm import tqdm

from invertdesc.cli.sources import BAD_INPUT
from invertdesc.descriptors import Descriptor
from invertdesc.errors import InputError, InvertDescError
from invertdesc.features import LocalFeatures
from invertdesc.image import read_image

Loaded: TypeAlias = tuple[Path, LocalFeatures, Tensor | None]  # target, features, original


class Job(NamedTuple):
    """What becomes of one image.

    Attributes:
        target: Where the result goes.
        read: Returns the features and, where there is one, the original; None for nothing to do.
    """

    target: Path
    read: Callable[[], tuple[LocalFeatures, Tensor | None] | None]


def in_parts(
    plan: dict[Path, Path],
    adapter: Descriptor,
    work: Callable[[Sequence[Loaded]], None],
    *,
    size: int,
    title: str,
) -> int:
    """Read sources, hand them on in parts, report those that fail, and go on with the others.

    Args:
        plan: Source file, image or features, to target file.
        adapter: What to extract from images.
        work: Writes the targets of a part.
        size: Sources in a part.
        title: Of the progress bar.

    Returns:
        How many sources failed.
    """
    jobs = [Job(target, partial(_read, source, adapter)) for source, target in plan.items()]
    return run_jobs(jobs, work, size=size, title=title)


def run_jobs(
    jobs: Sequence[Job], work: Callable[[Sequence[Loaded]], None], *, size: int, title: str
) -> int:
    """Read images, hand them on in parts, report those that fail, and go on with the others.

    Args:
        jobs: One an image.
        work: Writes the targets of a part.
        size: Images in a part.
        title: Of the progress bar.

    Returns:
        How many failed.
    """
    failed = 0
    part: list[Loaded] = []
    with tqdm(total=len(jobs), desc=title, unit="image", disable=None) as bar:

        def attempt(part: Sequence[Loaded]) -> int:
            try:
                work(part)
            except InvertDescError as error:
                if len(part) > 1:
                    return sum(attempt([one]) for one in part)
                bar.write(f"error: {error}", file=sys.stderr)
                return len(part)
            return 0

        for number, job in enumerate(jobs, 1):
            try:
                loaded = job.read()
                if loaded is not None:
                    part.append((job.target, *loaded))
            except InvertDescError as error:
                failed += 1
                bar.write(f"error: {error}", file=sys.stderr)
            if part and (len(part) == size or number == len(jobs)):
                failed += attempt(part)
                part = []
            bar.update()
    return failed


def _read(source: Path, adapter: Descriptor) -> tuple[LocalFeatures, Tensor | None]:
    """Return the features of a file, and the image where it is one."""
    image = None if source.suffix.lower() == ".npz" else read_image(source)
    features = LocalFeatures.load(source) if image is None else adapter.extract(image)
    if not len(features):
        raise InputError(
            f"Expected keypoints, got none in {source}: nothing to reconstruct from. Is it flat, "
            "blurred or tiny? A lower threshold finds more, such as -D contrast_threshold=0.01."
        )
    return features, image


def report(plan: dict[Path, Path], failed: int) -> None:
    """Say what was written, and end with a status for bad input where some failed."""
    done = len(plan) - failed
    if done:
        target = next(iter(plan.values()))
        typer.echo(
            f"Wrote {target}." if len(plan) == 1 else f"Wrote {done} files to {target.parent}."
        )
    if failed:
        raise typer.Exit(BAD_INPUT)
