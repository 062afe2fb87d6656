"""The base class of stores: features of images by name, read one at a time."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import ClassVar, Self, TypeAlias

import numpy as np

from invertdesc.descriptors.checking import ENOUGH, Check, check
from invertdesc.errors import BadImageWarning, InputError, InvertDescError
from invertdesc.features.convert import meant_name
from invertdesc.features.local import LocalFeatures
from invertdesc.features.placeholders import WHERE, check_descriptors, placeholder
from invertdesc.features.provenance import Provenance
from invertdesc.stores._decide import Decision, decide, doubts
from invertdesc.stores.record import ORIGINS, Array, Record, check_pixels, inside, sized, to_tensor

OnError: TypeAlias = Callable[[str, InvertDescError], None]
SAMPLE, TRIES = 8, 64  # images used to decide about a store, and images tried to find them
LOOKED, SHOWN = 3000, 5  # keypoints to check at least; names in the note about what is left out


@dataclass(frozen=True)
class Description:
    """A description of a store in words: its content and what was decided about it.

    Attributes:
        kind: Kind of the store, such as `"COLMAP database"`.
        descriptor: Registry name of the vectors, or their name in the store.
        dim: Number of values or bytes of a vector; 0 if no vector was found.
        normalisation: How the vectors are scaled, and how this was found.
        positions: Coordinates of a pixel's centre in the store, and their conversion.
        image_size: Whether the size of images is stored.
        missing: Fields of `LocalFeatures` that the store does not have; `"descriptors"` if no image
            with keypoints was found.
        notes: Sentences with further information.
        left_out: Sentences about data that was found and is not read.
        looks_like: Result of `check` with its confidence; None if it cannot compare.

    >>> import tempfile
    >>> from skimage.data import camera
    >>> from invertdesc import extract, open_store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     extract(camera()[::2, ::2]).save(f"{folder}/camera.npz")
    ...     open_store(folder).description.descriptor
    'sift'
    """

    kind: str
    descriptor: str
    dim: int
    normalisation: str
    positions: str
    image_size: str
    missing: tuple[str, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    looks_like: str | None = None


class Store(ABC):
    """Features of many images, which are read one at a time.

    `open_store` creates it. Iteration yields `(name, features)` in a fixed order of names, with one
    image in memory at a time. An image that cannot be read does not end the iteration: `items`
    passes its error to `on_error`, or warns if there is none. `load` raises the error.

    Attributes:
        path: Path of the file or folder.
        kind: Kind of the store, in words.
        also_found: Other stores in the opened folder, which are not read.
        mend: Whether vectors, angles and scales are corrected if `found` is certain that they
            differ from those of the store's kind.

    >>> import tempfile
    >>> from skimage.data import camera
    >>> from invertdesc import extract, open_store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     extract(camera()[::2, ::2]).save(f"{folder}/camera.npz")
    ...     with open_store(folder) as store:
    ...         store.load("camera").image_size
    (256, 256)
    """

    kind: ClassVar[str]
    also_found: tuple[str, ...] = ()
    mend: bool = True

    def __init__(
        self,
        path: Path,
        *,
        descriptor: str | None = None,
        image_size: tuple[int, int] | None = None,
    ) -> None:
        self.path, self._given, self._image_size = path, descriptor, image_size
        self._open()

    def _open(self) -> None:  # noqa: B027  # most stores keep nothing open
        """Open what stays open, or read what holds for all images; close it where that fails."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the names of all images, in the same order each time.

        Raises:
            FileError: The store is damaged, and its names cannot be read.
        """

    @abstractmethod
    def _record(self, name: str) -> Record:
        """Read one image, in the units of invertdesc.

        Raises:
            InvertDescError: The image is missing or damaged.
        """

    @np.errstate(all="ignore")  # for NaN and infinity, which LocalFeatures refuses
    def load(self, name: str) -> LocalFeatures:
        """Read the features of one image.

        Raises:
            FileError: The image is missing or damaged.
            InputError: The image has invalid values, or placeholders for descriptors.
        """
        try:
            return self._mended(self._load(name))
        except InvertDescError as error:
            raise type(error)(f"Cannot read {name!r} of {self.path}: {error}") from error

    def positions(self, name: str) -> Array:
        """Return where all keypoints of an image are, in the order of the store, as (N, 2) float64.

        `load` leaves out the few outside the image; numbers of keypoints count them.

        Raises:
            FileError: The image is missing or damaged.
            InputError: The image has invalid values.
        """
        try:
            return self._positions(name).astype(np.float64)
        except InvertDescError as error:
            raise type(error)(f"Cannot read {name!r} of {self.path}: {error}") from error

    def _positions(self, name: str) -> Array:
        return self._record(name).xy

    def _load(self, name: str) -> LocalFeatures:
        """Read one image without corrections."""
        return self._features(self._record(name))

    def _mended(self, features: LocalFeatures) -> LocalFeatures:
        """Return features with the corrections of `found`, if it is certain."""
        check_descriptors(features.descriptors.numpy())
        found = self.found if self.mend else None
        known = found is not None and found.expected == features.descriptor
        return found.mend(features) if found and known and found.certain else features

    def items(
        self, names: Iterable[str] | None = None, *, on_error: OnError | None = None
    ) -> Iterator[tuple[str, LocalFeatures]]:
        """Yield (name, features), reading each image when it is needed.

        Args:
            names: Names of the images, in the wanted order; None for all.
            on_error: Function that is called with the name and the error of an image that cannot be
                read and is left out; None to warn.

        Warns:
            BadImageWarning: An image cannot be read, and no `on_error` was given.
        """
        for name in self.names() if names is None else names:
            try:
                features = self.load(name)
            except InvertDescError as error:
                if on_error is None:
                    warnings.warn(str(error), BadImageWarning, stacklevel=2)
                else:
                    on_error(name, error)
                continue
            yield name, features

    def __iter__(self) -> Iterator[tuple[str, LocalFeatures]]:
        """Yield (name, features) of all images that can be read; see `items`."""
        return self.items()

    def __len__(self) -> int:
        """Count the images."""
        return sum(1 for _ in self.names())

    def __bool__(self) -> bool:
        """Return True, also for a store without images."""
        return True

    def __repr__(self) -> str:
        return f"<{self.kind} at {str(self.path)!r}>"

    def close(self) -> None:
        """Close the file."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    @np.errstate(all="ignore")
    def found(self) -> Check | None:
        """The result of `check` for the first images, without corrections; None if unknown.

        If there are too few vectors for a correction, they are not checked.
        """
        if sum(len(record.xy) for record in self._sample) < ENOUGH:
            return None
        images: list[LocalFeatures] = []
        name = self._decision.descriptor
        for record in self._sample:
            try:
                features = self._features(record)
            except InvertDescError:  # reported when it is read
                continue
            if features.descriptor == name and sum(map(len, images)) < LOOKED:
                images.append(features)
        try:
            return replace(check(images, descriptor=name), descriptor=name)  # the decided name
        except InvertDescError:  # no statistics, no adapter, or no vectors
            return None

    @cached_property
    @np.errstate(all="ignore")
    def description(self) -> Description:
        """The description, from the first images that can be read."""
        sample, decision, found = self._sample, self._decision, self.found
        first = sample[0] if sample else None
        missing = first.missing if first else ("descriptors",)
        stored = first is not None and first.image_size is not None
        if self._image_size is not None:
            size = "given by the caller"
        elif stored:
            size = "stored"
        else:
            size = "not stored: taken from the outermost keypoints, so too small by some pixels"
        notes = dict.fromkeys(note for record in sample for note in record.notes)
        doubted = () if found is None else doubts(found, self.mend)
        return Description(
            self.kind,
            decision.descriptor,
            first.vectors.shape[1] if first else 0,
            decision.normalisation,
            ORIGINS[first.origin] if first else "unknown",
            size,
            missing,
            (*decision.notes, *doubted, *notes, *self._notes(), *self._placeholder_notes()),
            (*self._beside(), *self._left_out(), *self._outside()),
            None if found is None else found.summary,
        )

    def _notes(self) -> tuple[str, ...]:
        """Return sentences about the store as a whole."""
        return ()

    def _left_out(self) -> tuple[str, ...]:
        """Return sentences about data of the store that is not read."""
        return ()

    def _beside(self) -> tuple[str, ...]:
        """Return a sentence about other stores that were found."""
        if not self.also_found:
            return ()
        more = len(self.also_found) - SHOWN
        names = "; ".join(self.also_found[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return (f"Also found, not read: {names}.",)

    def _outside(self) -> tuple[str, ...]:
        """Return a sentence about keypoints outside their images."""
        count = sum(len(one.xy) - len(self._inside(one).xy) for one in self._sample)
        if not count:
            return ()
        total = sum(len(one.xy) for one in self._sample)
        return (
            f"{count} of {total} keypoints of the first {len(self._sample)} images are outside "
            "their image. Such keypoints are left out in all images.",
        )

    def _inside(self, record: Record) -> Record:
        try:
            return inside(record, sized(record, self._image_size))
        except InputError:  # reported when it is read
            return record

    @property
    def only_placeholders(self) -> bool:
        """Whether it is known that every image has placeholders instead of descriptors."""
        return 0 < len(self._looked) == len(self) and not self._sample

    def _placeholder_notes(self) -> tuple[str, ...]:
        looked, count = len(self._looked), sum(record is None for record in self._looked)
        if not count:
            return ()
        where = f"{count} of the first {looked} images with keypoints"
        return (f"No descriptors but placeholders in {where}: {WHERE}.",)

    @property
    def _sample(self) -> list[Record]:
        return [record for record in self._looked if record is not None]

    @cached_property
    def _looked(self) -> list[Record | None]:
        """The first images with keypoints; None for one with placeholders for descriptors."""
        found: list[Record | None] = []
        for name in islice(self.names(), TRIES):
            try:
                record = self._record(name)
            except InvertDescError:  # reported when it is read
                continue
            if len(record.xy):
                found.append(record if placeholder(record.vectors) is None else None)
            if sum(one is not None for one in found) == SAMPLE:
                break
        return found

    @cached_property
    def _decision(self) -> Decision:
        return decide(self._sample, self._given)

    def _features(self, record: Record) -> LocalFeatures:
        known, own = self._given is not None, record.descriptor
        name = self._decision.descriptor if known or own is None else meant_name(own)
        check_pixels(record.xy, self._image_size or record.image_size)
        size = sized(record, self._image_size)
        record = inside(record, size)
        return LocalFeatures(
            keypoints=to_tensor(record.xy),
            descriptors=record.as_emitted(name),
            image_size=size,
            descriptor=name,
            scales=to_tensor(record.scales_for(name)),
            orientations=to_tensor(record.orientations),
            scores=to_tensor(record.scores),
            provenance=Provenance(producer=record.producer),
        )
