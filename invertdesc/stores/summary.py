"""Summarise a store: its content, what was decided about it, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from invertdesc._text import printable
from invertdesc.descriptors import create_descriptor
from invertdesc.descriptors.base import encoding_of
from invertdesc.errors import InputError, InvertDescError
from invertdesc.features.guesses import Guesses
from invertdesc.sources import spread
from invertdesc.stores._decide import UNKNOWN
from invertdesc.stores._learned import FIT
from invertdesc.stores.base import Description, Store
from invertdesc.stores.open import open_store
from invertdesc.stores.record import adapter_of
from invertdesc.unfolding.frames.guess import shipped_frame_network

REASONS = {"orientations": "turns", "scales": "grows"}
GUESSES = {"orientations": 0.0, "scales": 2.0}


@dataclass(frozen=True, kw_only=True)
class StoreSummary:
    """A summary of a store.

    Attributes:
        path: Path of the store.
        description: Description of the store, with what was decided about it.
        images: Number of images.
        read: Number of images that were read.
        keypoints: Number of keypoints of the images that were read.
        fewest: Smallest number of keypoints of an image; None if no image was read.
        most: Largest number of keypoints of an image; None if no image was read.
        without: Number of images without keypoints.
        errors: Sentences about images that cannot be read.
        costs: Sentences about what an attacker cannot do because of missing fields.
        guesses: Guesses that can replace missing fields that the frame needs, where these cannot be
            recovered.

    `inspect_store` creates it.

    >>> import tempfile
    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     features = extract(camera()[::2, ::2], descriptor="latch")
    ...     features.without("orientations").save(f"{folder}/camera.npz")
    ...     summary = inspect_store(folder)
    >>> summary.guesses
    Guesses(scales=None, orientations=0.0)
    """

    path: Path
    description: Description
    images: int
    read: int
    keypoints: int
    fewest: int | None
    most: int
    without: int
    errors: tuple[str, ...]
    costs: tuple[str, ...]
    guesses: Guesses

    def __str__(self) -> str:
        """Lay out what was found, a line each, but for the errors."""
        description = self.description
        guesses = [f"{k}={v:g}" for k, v in vars(self.guesses).items() if v is not None]
        empty = f"{self.without:,} images without keypoints" if self.without else None
        lines = [
            ("images", self._images()),
            ("keypoints", self._keypoints()),
            ("descriptor", f"{description.descriptor}, {description.dim} long"),
            ("looks like", description.looks_like),
            ("normalisation", description.normalisation),
            ("positions", description.positions),
            ("image size", description.image_size),
            ("missing", ", ".join(description.missing) or "nothing"),
            ("empty", empty),
            *(("cost", sentence) for sentence in self.costs),
            ("guess", f"Helps a little: assume {' and '.join(guesses)}." if guesses else None),
            *(("note", sentence) for sentence in description.notes),
            *(("left out", sentence) for sentence in description.left_out),
        ]
        rows = [f"  {title:<14} {printable(value)}" for title, value in lines if value is not None]
        return "\n".join([f"{description.kind}: {printable(self.path)}", *rows])

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON takes it, the description's fields among the rest."""
        found = asdict(self)
        return {**found.pop("description"), **found, "path": str(self.path)}

    def _images(self) -> str:
        every = self.read + len(self.errors) == self.images
        return f"{self.images:,}" + ("" if every else f", of which {self.read:,} were read")

    def _keypoints(self) -> str:
        mean = self.keypoints / max(1, self.read)
        span = f"{mean:,.0f} an image, {self.fewest or 0:,} to {self.most:,}"
        return f"{self.keypoints:,} ({span})"


def inspect_store(store: Store | str | os.PathLike[str], *, images: int = 1000) -> StoreSummary:
    """Summarise a store of features: its content, what was decided, and what is missing.

    Args:
        store: An open store, or a path for `open_store`.
        images: Maximum number of images to read, evenly spaced.

    Raises:
        FileError: The store is missing, damaged, or of an unknown kind.
        InputError: `images` is below 1.

    >>> import tempfile
    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     extract(camera()[::2, ::2]).without("scores").save(f"{folder}/camera.npz")
    ...     summary = inspect_store(folder)
    >>> summary.images, summary.description.descriptor, summary.description.missing
    (1, 'sift', ('scores',))
    """
    if images < 1:
        raise InputError(f"Expected images >= 1, got {images}.")
    with opened(store) as source:
        names = list(source.names())
        errors: list[str] = []

        def note(_: str, error: InvertDescError) -> None:
            errors.append(str(error))

        counts = [len(one) for _, one in source.items(spread(names, images), on_error=note)]
        description = source.description
    needed = _needed(description)
    guessed = [] if _recoverable(description) else needed
    return StoreSummary(
        path=source.path,
        description=description,
        images=len(names),
        read=len(counts),
        keypoints=sum(counts),
        fewest=min(counts, default=None),
        most=max(counts, default=0),
        without=counts.count(0),
        errors=tuple(errors),
        costs=tuple(_costs(description, needed)),
        guesses=Guesses(**{name: GUESSES[name] for name in guessed}),
    )


@contextmanager
def opened(
    store: Store | str | os.PathLike[str],
    descriptor: str | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    mend: bool = True,
) -> Iterator[Store]:
    """Open a store for a block; one that is open already stays so.

    Args:
        store: An open store, or the path of one.
        descriptor: Registry name of the vectors, where `store` is a path.
        image_size: (H, W) of images, as `open_store` takes it, where `store` is a path.
        mend: As `open_store` takes it, where `store` is a path.

    Raises:
        FileError: The store is missing, damaged, or of an unknown kind.
        InputError: A descriptor was given with an open store, or it is unknown.
    """
    if isinstance(store, Store):
        if descriptor is not None:
            raise InputError(
                f"Expected descriptor= with a path, got it with {store!r}: open it with that."
            )
        yield store
        return
    if descriptor is not None:
        create_descriptor(descriptor)  # an unknown name gets a suggestion
    with open_store(store, descriptor=descriptor, image_size=image_size, mend=mend) as found:
        yield found


def check_readable(store: Store) -> None:
    """Check once for a store that a method can read its vectors.

    Raises:
        InputError: Their descriptor has no adapter, or all are placeholders.
    """
    description = store.description
    if store.only_placeholders:
        raise InputError(
            f"Expected descriptors in {store.path}, got placeholders alone. {description.notes[-1]}"
        )
    if description.dim and adapter_of(description.descriptor) is None:
        guessed = description.descriptor == UNKNOWN and description.notes
        advice = description.notes[0] if guessed else FIT
        error = InputError(
            "Expected descriptors with an adapter, one of `list_descriptors()`, got "
            f"{description.descriptor!r} of {description.dim} numbers. {advice}"
        )
        raise error.with_hint(descriptor="NAME") if guessed else error.with_hint("fit_program")


def _needed(description: Description) -> list[str]:
    """Return the missing fields that the frame of the vectors needs."""
    adapter = adapter_of(description.descriptor) if description.dim else None
    return (
        []
        if adapter is None
        else [one for one in adapter.frame.needs if one in description.missing]
    )


def _recoverable(description: Description) -> bool:
    """Say whether a network ships that recovers missing scales and orientations."""
    adapter = adapter_of(description.descriptor)
    return adapter is not None and shipped_frame_network(encoding_of(adapter)) is not None


def _costs(description: Description, needed: list[str]) -> Iterator[str]:
    if not description.dim:
        yield "Without descriptors there is nothing to reconstruct from."
        return
    if adapter_of(description.descriptor) is None:
        yield (
            f"No method can read {description.descriptor!r}, which has no adapter. {FIT} Or "
            "register an adapter of your own (docs/guides/add-a-descriptor.md)."
        )
        return
    if needed:
        why = " and ".join(REASONS[name] for name in needed)
        lacking = f"Without {' and '.join(needed)}, `poisson` and `unfold`"
        which = f"{description.descriptor!r}, which {why} with its keypoint."
        if _recoverable(description):
            yield f"{lacking} have to recover them first: {which}"
        else:
            yield f"{lacking} cannot unfold {which}"
    if "scores" in description.missing:
        yield "Without scores, methods that use one keypoint per cell use the first stored one."
