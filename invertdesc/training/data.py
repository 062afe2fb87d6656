"""Pictures and their features for training, extracted once in parallel and cached on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

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
from invertdesc.methods.recipe import Augmentation
from invertdesc.training.augmentation import Variant, configured, vary

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
        augmentation: Augmentation | None = None,
        variants: int = 0,
        workers: int = 1,
        progress: bool = False,
    ) -> None:
        """Extract features that are not in the cache, then load all.

        With an augmentation, features of changed pictures are extracted. `item` reads them from the
        cache, since there may be too many for the memory.

        Args:
            paths: Image files.
            descriptors: Registry names of the descriptors.
            crop: Side in pixels of the square that pictures are cropped and scaled to.
            cache: Folder for features, one file for each picture and descriptor; safe to delete.
            mirrored: Whether to extract features of the mirrored pictures too.
            augmentation: Random changes of pictures; None for no changes.
            variants: Number of changed copies of each picture to keep in the cache; 0 to change the
                picture and extract its features in each call of `item`.
            workers: Number of processes that extract; 0 to use this process.
            progress: Show bars.

        Raises:
            InputError: There are no images.
        """
        if not paths:
            raise InputError("Expected images to train on, got none.")
        self.paths = list(paths)
        self.descriptors = list(descriptors)
        self.crop, self.cache = crop, cache
        self.augmentation, self.variants = augmentation, variants
        todo = [
            self._job(path, name, flip, variant)
            for variant in range(1 if augmentation is None else variants)
            for flip in (False, True)[: 1 + mirrored]
            for name in descriptors
            for path in paths
        ]
        with show_progress(progress):
            _extract_missing(todo, workers)
            self.features = [] if augmentation is not None else _load_all(todo)
            # One array, since a list of arrays took four times as much memory: the heap was
            # fragmented by the temporary arrays of reading.
            self.pictures = np.empty((len(paths), crop, crop, 3), np.uint8)
            for number, path in enumerate(watch(paths, "read")):
                self.pictures[number] = _cut(path, crop)

    def item(
        self, picture: int, descriptor: int = 0, mirrored: bool = False, variant: int = 0
    ) -> tuple[Tensor, LocalFeatures]:
        """Return a picture (3, crop, crop) in [0, 1] and its features.

        Args:
            picture: Index of the picture in the paths.
            descriptor: Index of the descriptor in the descriptors.
            mirrored: Whether to return the mirrored picture.
            variant: Number of the changed copy, if there is an augmentation; below `variants`,
                unless that is 0.
        """
        if self.augmentation is not None:
            name = self.descriptors[descriptor]
            job = self._job(self.paths[picture], name, mirrored, variant)
            if not self.variants:
                return _described(job, self.pictures[picture])
            return _shown(job, self.pictures[picture]).picture, LocalFeatures.load(job.target)
        image = torch.from_numpy(self.pictures[picture]).permute(2, 0, 1).float() / 255
        place = descriptor + len(self.descriptors) * mirrored
        features = self.features[picture + len(self.paths) * place]
        return (image.flip(-1) if mirrored else image), features

    def _job(self, path: Path, name: str, mirrored: bool, variant: int) -> _Job:
        plain = self.augmentation is None
        key = _key(create_descriptor(name), self.crop, mirrored, self.augmentation)
        file = f"{_digest(path)}.npz" if plain else f"{_digest(path)}-{variant}.npz"
        target = self.cache / key / file
        return _Job(path, name, self.crop, mirrored, target, self.augmentation, variant)


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
    augmentation: Augmentation | None
    variant: int


def _extract_missing(todo: Sequence[_Job], workers: int) -> None:
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


def _load_all(todo: Sequence[_Job]) -> list[LocalFeatures]:
    loaded = watch(todo, "load")
    return [replace(LocalFeatures.load(job.target), scores=None) for job in loaded]


def _set_up(limits: Limits) -> None:
    """Set up an extracting process: one thread, and the limits of the main process."""
    import cv2

    set_limits(limits)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _extract(job: _Job) -> None:
    _described(job, _cut(job.path, job.crop))[1].save(job.target)


def _described(job: _Job, pixels: NDArray[np.uint8]) -> tuple[Tensor, LocalFeatures]:
    """Return the picture to reconstruct and its features."""
    variant, descriptor = _shown(job, pixels), create_descriptor(job.name)
    if job.augmentation is None:
        return variant.picture, descriptor.extract(variant.seen)
    features = configured(descriptor, variant.sparsity).extract(variant.seen)
    provenance = replace(features.provenance, gray=variant.gray)
    return variant.picture, replace(features, provenance=provenance)


def _shown(job: _Job, pixels: NDArray[np.uint8]) -> Variant:
    """Return a picture (crop, crop, 3) with the changes of a job."""
    if job.mirrored:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    if job.augmentation is None:
        image = to_image(pixels)
        return Variant(image, image, 1.0, "gamma")
    return vary(pixels, job.augmentation, (crc32(job.path.name.encode()), job.variant))


def _key(
    descriptor: Descriptor, crop: int, mirrored: bool, augmentation: Augmentation | None
) -> str:
    """Return a folder name that changes with everything that affects the features."""
    options: Any = asdict(descriptor) if is_dataclass(descriptor) else {}
    what = [options, crop, __version__]
    if augmentation is not None:
        what.append([asdict(augmentation), "gray mode"])
    text = json.dumps(what, sort_keys=True, default=str)
    key = f"{descriptor.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return f"{key}-mirrored" if mirrored else key


def _digest(path: Path) -> str:
    state = path.stat()
    text = f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]
