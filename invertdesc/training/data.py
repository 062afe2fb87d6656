"""Pictures and their features for training, extracted once in parallel and cached on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from invertdesc._progress import show_progress, watch
from invertdesc._version import __version__
from invertdesc._workers import map_in_processes
from invertdesc.descriptors import create_descriptor
from invertdesc.errors import InputError
from invertdesc.features.local import LocalFeatures
from invertdesc.image import read_image, to_image, to_uint8
from invertdesc.limits import Limits, get_limits, set_limits

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor


class FeatureData:
    """Pictures of one size with their features for each descriptor, in memory."""

    def __init__(
        self,
        paths: Sequence[Path],
        descriptors: Sequence[str],
        *,
        crop: int,
        cache: Path,
        mirrored: bool = False,
        workers: int = 1,
        progress: bool = False,
    ) -> None:
        """Extract features that are not in the cache, then load all.

        Args:
            paths: Image files.
            descriptors: Registry names of the descriptors.
            crop: Side in pixels of the square that pictures are cropped and scaled to.
            cache: Folder for features, one file for each picture and descriptor; safe to delete.
            mirrored: Whether to extract features of the mirrored pictures too.
            workers: Number of processes that extract; 0 to use this process.
            progress: Show bars.

        Raises:
            InputError: There are no images.
        """
        if not paths:
            raise InputError("Expected images to train on, got none.")
        self.paths = list(paths)
        self.descriptors = list(descriptors)
        self.crop = crop
        todo = []
        for flip in (False, True)[: 1 + mirrored]:
            for name in descriptors:
                folder = cache / _key(create_descriptor(name), crop, flip)
                todo += [
                    _Job(path, name, crop, flip, folder / f"{_digest(path)}.npz") for path in paths
                ]
        with show_progress(progress):
            self.features = _extract_all(todo, workers)
            self.pictures = [torch.from_numpy(_cut(path, crop)) for path in watch(paths, "read")]

    def item(
        self, picture: int, descriptor: int = 0, mirrored: bool = False
    ) -> tuple[Tensor, LocalFeatures]:
        """Return a picture (3, crop, crop) in [0, 1] and its features.

        Args:
            picture: Index of the picture in the paths.
            descriptor: Index of the descriptor in the descriptors.
            mirrored: Whether to return the mirrored picture.
        """
        image = self.pictures[picture].permute(2, 0, 1).float() / 255
        place = descriptor + len(self.descriptors) * mirrored
        features = self.features[picture + len(self.paths) * place]
        return (image.flip(-1) if mirrored else image), features


def _cut(path: Path, crop: int) -> NDArray[np.uint8]:
    """Read an image and return its centre square, scaled to (crop, crop, 3) uint8."""
    image = read_image(path)
    height, width = image.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = image[:, top : top + side, left : left + side]
    if side != crop:
        size = (crop, crop)
        image = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    return to_uint8(image)


class _Job(NamedTuple):
    """Extract the features of one picture into a file."""

    path: Path
    name: str
    crop: int
    mirrored: bool
    target: Path


def _extract_all(todo: Sequence[_Job], workers: int) -> list[LocalFeatures]:
    missing = [job for job in todo if not job.target.is_file()]
    if missing:
        begin = partial(_set_up, get_limits())
        done = (
            map_in_processes(_extract, missing, workers, begin)
            if workers
            else map(_extract, missing)
        )
        for _ in watch(done, "extract", total=len(missing)):
            pass
    loaded = watch(todo, "load")
    return [replace(LocalFeatures.load(job.target), scores=None) for job in loaded]


def _set_up(limits: Limits) -> None:
    """Set up an extracting process: one thread, and the limits of the main process."""
    import cv2

    set_limits(limits)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _extract(job: _Job) -> None:
    image = to_image(_cut(job.path, job.crop))
    if job.mirrored:
        image = image.flip(-1).contiguous()
    create_descriptor(job.name).extract(image).save(job.target)


def _key(descriptor: Descriptor, crop: int, mirrored: bool) -> str:
    """Return a folder name that changes with everything that affects the features."""
    options: Any = asdict(descriptor) if is_dataclass(descriptor) else {}
    text = json.dumps([options, crop, __version__], sort_keys=True, default=str)
    key = f"{descriptor.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return f"{key}-mirrored" if mirrored else key


def _digest(path: Path) -> str:
    state = path.stat()
    text = f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]
