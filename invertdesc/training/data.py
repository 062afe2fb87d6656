"""Pictures and their features for training, extracted once in parallel and cached on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
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
from invertdesc.training.tables import FeatureTable, Rows

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor


T = TypeVar("T")
PARALLEL = 500  # files, from which on several processes read them
SHARE = 0.4  # of a device's free memory that pictures and features may take


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
        in_memory: bool = False,
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
            in_memory: Whether to keep all changed copies and their features in memory too.
            workers: Number of processes that extract; 0 to use this process.
            progress: Show bars.

        Raises:
            InputError: There are no images, or changed copies are to be kept in memory, but their
                number is not given.
        """
        if not paths:
            raise InputError("Expected images to train on, got none.")
        if in_memory and augmentation is not None and not variants:
            raise InputError("Expected a number of variants to keep in memory, got 0.")
        self.paths = list(paths)
        self.descriptors = list(descriptors)
        self.crop, self.cache = crop, cache
        self.augmentation, self.variants = augmentation, variants
        self.in_memory = in_memory or augmentation is None
        self.device = torch.device("cpu")
        sides = (False, True)[: 1 + mirrored]
        groups = {
            (name, flip): [
                self._job(path, name, flip, copy)
                for copy in range(1 if augmentation is None else variants)
                for path in paths
            ]
            for flip in sides
            for name in dict.fromkeys(descriptors)
        }
        with show_progress(progress):
            _extract_missing([job for jobs in groups.values() for job in jobs], workers)
            self.pictures, self.tables = self._read(groups, sides, workers)

    @property
    def bytes(self) -> int:
        """Size of the pictures and features in memory."""
        return sum(map(torch.numel, self.pictures.values())) + sum(
            table.bytes for table in self.tables.values()
        )

    def move(self, device: torch.device) -> None:
        """Move pictures and features to a device, if they take less than 40 % of its free memory.

        Batches are then gathered there, and only indices are copied.
        """
        if not self.in_memory or device.type != "cuda":
            return
        if self.bytes > SHARE * torch.cuda.mem_get_info(device)[0]:
            return
        self.device = device
        self.pictures = {key: pictures.to(device) for key, pictures in self.pictures.items()}
        self.tables = {key: table.to(device) for key, table in self.tables.items()}

    def number(self, picture: int, variant: int) -> int:
        """Return the place of a picture, or of a changed copy of it, in the tables."""
        return picture + (0 if self.augmentation is None else variant * len(self.paths))

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
        name = self.descriptors[descriptor]
        if not self.in_memory:
            job = self._job(self.paths[picture], name, mirrored, variant)
            pixels = self.pictures[False][picture].numpy()
            if not self.variants:
                return _described(job, pixels)
            return _shown(job, pixels).picture, LocalFeatures.load(job.target)
        number = self.number(picture, variant)
        image = self.images([number], mirrored)[0].cpu()
        return image, self.tables[name, mirrored].of(number)

    def images(self, numbers: Sequence[int], mirrored: bool) -> Tensor:
        """Return pictures (B, 3, crop, crop) in [0, 1], on the device of the data.

        Args:
            numbers: Places of the pictures, as `number` returns them.
            mirrored: Whether to return mirrored pictures.
        """
        index = torch.tensor(numbers).to(self.device, non_blocking=True)
        if mirrored and True not in self.pictures:
            some = self.pictures[False][index].flip(2)
        else:
            some = self.pictures[mirrored][index]
        return some.permute(0, 3, 1, 2).float() / 255

    def _read(
        self, groups: dict[tuple[str, bool], list[_Job]], sides: Sequence[bool], workers: int
    ) -> tuple[dict[bool, Tensor], dict[tuple[str, bool], FeatureTable]]:
        """Read pictures and tables, all by the same processes, since these take long to start."""
        if self.augmentation is not None and self.in_memory:
            shown = {flip: groups[self.descriptors[0], flip] for flip in sides}
        else:
            plain = [_Job(path, "", self.crop, False, path, None, 0) for path in self.paths]
            shown = {False: plain}
        wanted = groups if self.in_memory else {}
        todo = [(job, True) for jobs in shown.values() for job in jobs]
        todo += [(job, False) for jobs in wanted.values() for job in jobs]
        results = iter(watch(_mapped(_read_one, todo, workers), "read", total=len(todo)))
        pictures, tables = {}, {}
        for flip, jobs in shown.items():
            # One array, since a list of arrays took four times as much memory: the heap was
            # fragmented by the temporary arrays of reading.
            whole = np.empty((len(jobs), self.crop, self.crop, 3), np.uint8)
            for number in range(len(jobs)):
                whole[number] = next(results)
            pictures[flip] = torch.from_numpy(whole)
        for key, jobs in wanted.items():
            tables[key] = FeatureTable.pack(islice(results, len(jobs)))
        return pictures, tables

    @staticmethod
    def file_of(path: Path, descriptor: str, crop: int, cache: Path) -> Path:
        """Return the file for features of an unchanged picture in a cache."""
        key = _key(create_descriptor(descriptor), crop, False, None)
        return cache / key / f"{_digest(path)}.npz"

    def _job(self, path: Path, name: str, mirrored: bool, variant: int) -> _Job:
        plain = self.augmentation is None
        key = _key(create_descriptor(name), self.crop, mirrored, self.augmentation)
        file = f"{_digest(path)}.npz" if plain else f"{_digest(path)}-{variant}.npz"
        target = self.cache / key / file
        return _Job(path, name, self.crop, mirrored, target, self.augmentation, variant)


def cut_square(path: Path, crop: int) -> NDArray[np.uint8]:
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


def _read_one(todo: tuple[_Job, bool]) -> Any:
    """Return the picture of a job as (crop, crop, 3) uint8, or else its features as `Rows`."""
    job, picture = todo
    if not picture:
        return Rows.of(LocalFeatures.load(job.target))
    pixels = cut_square(job.path, job.crop)
    return pixels if job.augmentation is None else to_uint8(_shown(job, pixels).picture)


def _mapped(function: Callable[[T], Any], todo: Sequence[T], workers: int) -> Iterable[Any]:
    """Call a function on each item, in several processes if there are many items."""
    if workers < 2 or len(todo) < PARALLEL:
        return map(function, todo)
    return map_in_processes(function, todo, workers, partial(_set_up, get_limits()))


def _set_up(limits: Limits) -> None:
    """Set up an extracting process: one thread, and the limits of the main process."""
    import cv2

    set_limits(limits)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _extract(job: _Job) -> None:
    _described(job, cut_square(job.path, job.crop))[1].save(job.target)


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
