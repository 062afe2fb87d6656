"""A request for pictures of a store, as values that can be sent to other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc.api import BATCH_PIXELS, reconstruct
from invertdesc.bulk.jobs import Job, Loaded, Status, Work
from invertdesc.bulk.log import log_path
from invertdesc.bulk.places import Places, Shard, check_inside, is_there, plan_images
from invertdesc.drawing import side_by_side
from invertdesc.errors import InputError
from invertdesc.evaluation.consistency import agreement
from invertdesc.features.guesses import Guesses
from invertdesc.features.local import LocalFeatures
from invertdesc.image import write_image
from invertdesc.methods import MethodLike, create_method
from invertdesc.methods.base import name_of
from invertdesc.stores.base import Store
from invertdesc.stores.record import adapter_of


@dataclass(frozen=True)
class Recipe:
    """The settings by which features become pictures.

    Attributes:
        method: Name, or a method; a method that is sent to other processes must be picklable.
        device: Device to compute on; None keeps features on their device.
        batch_size: Number of images that are reconstructed together.
        side_by_side: Whether to show the keypoints and the original next to the picture.
        consistency: Whether to measure how well the picture's own descriptors agree with the
            stored.
        batch_pixels: Number of pixels that the images of a batch may have together; a larger image
            is alone.
    """

    method: str | MethodLike
    device: str | torch.device | None = None
    batch_size: int = 16
    side_by_side: bool = False
    consistency: bool = False
    batch_pixels: int = BATCH_PIXELS

    def __post_init__(self) -> None:
        check_range("batch_size", self.batch_size, 1)
        check_range("batch_pixels", self.batch_pixels, 1)

    def work(self) -> Work:
        """Return the work of a run: functions that make and write pictures.

        Raises:
            InputError: No method has this name.
        """
        method = create_method(self.method) if isinstance(self.method, str) else self.method

        def make(part: Sequence[Loaded]) -> list[Tensor]:
            features = [one for _, one, _ in part]
            return reconstruct(
                features,
                method=method,
                device=self.device,
                batch_size=self.batch_size,
                batch_pixels=self.batch_pixels,
            )

        return Work(make, partial(self._write, name_of(method)))

    def _write(self, method: str, loaded: Loaded, picture: Tensor) -> dict[str, float]:
        target, features, image = loaded
        measures = _consistency(features, picture.cpu()) if self.consistency else {}
        if self.side_by_side:
            picture = side_by_side(features, picture, image, method)
        write_image(picture, target)
        return measures


def _consistency(features: LocalFeatures, picture: Tensor) -> dict[str, float]:
    """Return how well a picture's descriptors agree with the stored ones, if this is possible."""
    found = agreement(adapter_of(features.descriptor), features, picture)
    if found is None:
        return {}
    return {"agreement": round(found[0], 4), "shuffled": round(found[1], 4)}


@dataclass(frozen=True)
class Order:
    """A request for pictures of a store.

    Attributes:
        open: Function that opens the store.
        out: Folder to write pictures to.
        recipe: Settings of the reconstruction.
        guesses: Values for missing fields of the features.
        names: Wildcard pattern that image names have to match; None for all.
        shard: (number, count): every count-th of those images, from that number on.
    """

    open: Callable[[], Store]
    out: Path
    recipe: Recipe
    guesses: Guesses
    names: str | None = None
    shard: Shard = (0, 1)

    @property
    def log(self) -> Path:
        """The file that gets a line for each image."""
        return log_path(self.out, self.shard)

    def places(self, store: Store) -> Callable[[], Places]:
        """Return what yields the images that are wanted, with their targets, whenever it is called.

        Raises:
            InputError: No image has such a name.
        """
        places = partial(plan_images, list(store.names()), self.out, self.names, self.shard)
        if self.names is not None and self.shard == (0, 1) and not any(True for _ in places()):
            raise InputError(f"Expected images of names like {self.names!r} in {store.path}.")
        return places

    def jobs(self, store: Store, places: Places) -> Iterator[Job]:
        """Yield a job for each image."""
        for name, place in places:
            target = place if isinstance(place, Path) else self.out
            yield Job(name, target, partial(self._read, store, name, place))

    def is_done(self, place: Path | Exception) -> bool:
        """Return whether a picture exists already.

        Raises:
            InputError: The picture has no valid path, or one outside the folder.
        """
        if not isinstance(place, Path):
            raise place
        check_inside(place, self.out)
        return is_there(place)

    def _read(
        self, store: Store, name: str, place: Path | Exception
    ) -> tuple[LocalFeatures, None] | Status:
        if self.is_done(place):
            return Status.THERE
        features = store.load(name)
        return (self.guesses.fill(features), None) if len(features) else Status.EMPTY
