"""What is in a store, what was decided about it, and what its gaps cost an attacker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from invertdesc.descriptors import create_descriptor
from invertdesc.errors import InputError, InvertDescError
from invertdesc.features.guesses import Guesses
from invertdesc.sources import spread
from invertdesc.stores._decide import UNKNOWN
from invertdesc.stores._learned import FIT
from invertdesc.stores.base import Description, Store
from invertdesc.stores.open import open_store
from invertdesc.stores.record import adapter_of

REASONS = {"orientations": "turns", "scales": "grows"}
GUESSES = {"orientations": 0.0, "scales": 2.0}


@dataclass(frozen=True, kw_only=True)
class StoreSummary:
    """What was found in a store.

    Attributes:
        path: Of the store.
        description: What was decided about it.
        images: How many it has.
        read: How many of them were read.
        keypoints: Of all that were read.
        fewest: Keypoints of the image that has the fewest; None where none was read.
        most: Keypoints of the image that has the most.
        without: Images without keypoints.
        errors: What is wrong with those that cannot be read, a sentence each.
        costs: What missing fields keep an attacker from, a sentence each.
        guesses: What helps a little in place of the fields that the vectors' frame needs.

    Made by `inspect_store`.

    >>> import tempfile
    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     extract(camera()[::2, ::2]).without("orientations").save(f"{folder}/camera.npz")
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


def inspect_store(store: Store | str | os.PathLike[str], *, images: int = 1000) -> StoreSummary:
    """Say what is in a store of features, what was decided about it, and what is missing.

    Args:
        store: An open store, or the path of one as `open_store` takes it.
        images: How many are read, evenly spaced.

    Raises:
        FileError: Missing, damaged, or of no kind that is known.
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
        told = source.description
    needed = _needed(told)
    return StoreSummary(
        path=source.path,
        description=told,
        images=len(names),
        read=len(counts),
        keypoints=sum(counts),
        fewest=min(counts, default=None),
        most=max(counts, default=0),
        without=counts.count(0),
        errors=tuple(errors),
        costs=tuple(_costs(told, needed)),
        guesses=Guesses(**{name: GUESSES[name] for name in needed}),
    )


@contextmanager
def opened(store: Store | str | os.PathLike[str], descriptor: str | None = None) -> Iterator[Store]:
    """Open a store for a block; one that is open already stays so.

    Args:
        store: An open store, or the path of one.
        descriptor: Registry name of the vectors, where `store` is a path.

    Raises:
        FileError: Missing, damaged, or of no kind that is known.
        InputError: A descriptor with an open store, or one that no adapter has.
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
    with open_store(store, descriptor=descriptor) as found:
        yield found


def check_readable(store: Store) -> None:
    """Check once, and not for each image, that a method can read the vectors.

    Raises:
        InputError: They are of no descriptor that has an adapter, or all placeholders.
    """
    told = store.description
    if store.only_placeholders:
        raise InputError(
            f"Expected descriptors in {store.path}, got placeholders alone. {told.notes[-1]}"
        )
    if told.dim and adapter_of(told.descriptor) is None:
        guessed = told.descriptor == UNKNOWN and told.notes
        advice = told.notes[0] if guessed else FIT
        raise InputError(
            "Expected descriptors with an adapter, one of `list_descriptors()`, got "
            f"{told.descriptor!r} of {told.dim} numbers. {advice}"
        )


def _needed(told: Description) -> list[str]:
    """Return the missing fields that the frame of the vectors needs."""
    adapter = adapter_of(told.descriptor) if told.dim else None
    return [] if adapter is None else [one for one in adapter.frame.needs if one in told.missing]


def _costs(told: Description, needed: list[str]) -> Iterator[str]:
    if not told.dim:
        yield "Without descriptors there is nothing to reconstruct from."
        return
    if adapter_of(told.descriptor) is None:
        yield (
            f"No method can read {told.descriptor!r}, which has no adapter. {FIT} Or register an "
            "adapter of your own (docs/guides/add-a-descriptor.md)."
        )
        return
    if needed:
        why = " and ".join(REASONS[name] for name in needed)
        yield (
            f"Without {' and '.join(needed)}, `poisson` and `unfold` cannot unfold "
            f"{told.descriptor!r}, which {why} with its keypoint."
        )
    if "scores" in told.missing:
        yield "Without scores, methods that give a cell to one keypoint take the first stored."
