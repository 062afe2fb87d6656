"""Read the images of an audit from files, a store or features, with originals if there are any."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc._inputs import read_one
from invertdesc.auditing.subjects import Subject, shrink_subject, with_original
from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import FileError, InputError, InvertDescError
from invertdesc.features.local import LocalFeatures
from invertdesc.features.placeholders import check_descriptors
from invertdesc.image import read_image, shrink_image, to_image
from invertdesc.recovery import can_recover, recover_frames
from invertdesc.sources import find_images, spread, walk
from invertdesc.stores.base import Store
from invertdesc.stores.open import is_store, open_store
from invertdesc.stores.summary import check_readable

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from invertdesc.descriptors import Descriptor

    Single: TypeAlias = (
        str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor | LocalFeatures
    )
    Source: TypeAlias = Single | Sequence[Single] | Store

# The name of an image, with its pixels or features, or with the error.
Entry: TypeAlias = tuple[str, Tensor | LocalFeatures | InvertDescError]
# A folder of pictures, or pictures.
Pictures: TypeAlias = str | os.PathLike[str] | Sequence[object]
SCALE, ORIENTATION = 2.0, 0.0  # guesses for scales and orientations that are not stored


def read_pictures(source: Pictures, most: int | None = None) -> list[Tensor]:
    """Read pictures that are given, or those of a folder.

    Args:
        source: A folder, or images for `invertdesc.image.to_image`.
        most: Maximum number of pictures, evenly spaced; None for all.

    Returns:
        (3, H, W) RGB in [0, 1] each.

    Raises:
        FileError: The folder has no image, or an image cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        return [read_image(path) for path in find_images([source], most)]
    return [to_image(one) for one in spread(source, most)]


@dataclass(frozen=True, eq=False)
class Inputs:
    """The images of one audit, all with the same descriptor.

    Attributes:
        adapter: Adapter of the descriptor.
        subjects: Images that could be read.
        notes: Sentences about what was left out or assumed.
        left_out: Number of images that could not be read.
        total: Number of images that these were chosen from.
    """

    adapter: Descriptor
    subjects: tuple[Subject, ...]
    notes: tuple[str, ...]
    left_out: int
    total: int


def read_inputs(
    source: Source,
    descriptor: str | Descriptor | None = None,
    *,
    images: int = 4,
    side: int = 512,
    originals: str | os.PathLike[str] | None = None,
) -> Inputs:
    """Read images, or features and their originals.

    Args:
        source: See `invertdesc.audit`.
        descriptor: Name or adapter; None for the descriptor that the features name, and SIFT for
            images.
        images: Maximum number of images, evenly spaced.
        side: Maximum length in pixels of the longer side of attacked pictures.
        originals: Folder of the originals of the features, with the same names.

    Raises:
        FileError: The folder or store cannot be read.
        InputError: A number below 1, or an unknown descriptor.
    """
    if images < 1 or side < 1:
        raise InputError(f"Expected images >= 1 and side >= 1, got {images} and {side}.")
    adapter = None if descriptor is None else resolve_descriptor(descriptor)
    folder = None if originals is None else Path(originals)
    found = _find(source, descriptor)
    if not isinstance(found, Store):
        chosen = spread(list(enumerate(found, 1)), images)
        entries = (_read(number, one) for number, one in chosen)
        return _prepared(entries, adapter, (), len(found), side, folder)
    with nullcontext(found) if found is source else found as store:
        check_readable(store)
        description, names = store.description, list(store.names())
        notes = (
            f"Store: {description.kind}. Vectors: {description.normalisation}.",
            *description.notes,
            *description.left_out,
        )
        adapter = adapter or resolve_descriptor(description.descriptor)
        stored = _read_store(store, spread(names, images))
        return _prepared(stored, adapter, notes, len(names), side, folder)


def _find(source: Source, descriptor: str | Descriptor | None) -> Store | Sequence[Single]:
    """Return the store or the single images that a source names."""
    if isinstance(source, Store):
        return source
    if not isinstance(source, str | os.PathLike):
        return list(source) if isinstance(source, Sequence) else [source]
    path = Path(source)
    if path.suffix.lower() in (*IMAGE_SUFFIXES, ".npz"):
        return [path]
    try:
        inside = sorted(path.iterdir()) if path.is_dir() else []
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
    here = [one for one in inside if one.suffix.lower() in IMAGE_SUFFIXES]
    if here:
        return here
    if is_store(path):
        return open_store(path, descriptor=descriptor if isinstance(descriptor, str) else None)
    if not inside:
        return [path]
    below = [path / name for name in walk(path) if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    if not below:
        raise FileError(f"Expected images or a store of features at {path}, found none.")
    return below


def _read(number: int, one: Single) -> Entry:
    name = f"image {number}"
    if isinstance(one, str | os.PathLike):
        path = Path(one)
        name = path.stem if path.suffix.lower() == ".npz" else path.name
    try:
        return name, read_one(one)
    except InvertDescError as error:
        return name, error


def _read_store(store: Store, names: Sequence[str]) -> Iterator[Entry]:
    failed: list[Entry] = []
    for entry in store.items(names, on_error=lambda name, error: failed.append((name, error))):
        yield from failed
        failed.clear()
        yield entry
    yield from failed


def _prepared(
    entries: Iterable[Entry],
    adapter: Descriptor | None,
    notes: Sequence[str],
    total: int,
    side: int,
    originals: Path | None,
) -> Inputs:
    subjects, left_out = [], 0
    said = dict.fromkeys(notes)  # each sentence once, in order
    for name, entry in entries:
        try:
            if isinstance(entry, InvertDescError):
                raise entry
            own = entry.descriptor if isinstance(entry, LocalFeatures) else "sift"
            adapter = adapter or resolve_descriptor(own)
            if isinstance(entry, LocalFeatures):
                subject, more = _from_features(name, entry, adapter, side, originals)
            else:
                subject, more = _from_image(name, entry, adapter, side)
            subjects.append(subject)
        except InvertDescError as error:
            left_out += 1
            more = [f"{name} was left out: {error}"]
        said |= dict.fromkeys(more)
    adapter = adapter or resolve_descriptor("sift")
    return Inputs(adapter, tuple(subjects), tuple(said), left_out, total)


def _from_image(
    name: str, image: Tensor, adapter: Descriptor, side: int
) -> tuple[Subject, list[str]]:
    small = shrink_image(image, side)
    features, notes = _complete(adapter.extract(small), adapter)
    subject = Subject(name, features, small)
    return subject, notes + _remarks(subject, tuple(image.shape[1:]))


def _from_features(
    name: str, features: LocalFeatures, adapter: Descriptor, side: int, originals: Path | None
) -> tuple[Subject, list[str]]:
    """Prepare the stored features of one image.

    Raises:
        InputError: Its descriptor is another one, or all its vectors are placeholders.
    """
    check_descriptors(features.descriptors.numpy())
    if features.descriptor != adapter.name:
        raise InputError(
            f"Expected descriptors {adapter.name!r}, as in the rest of this audit, got "
            f"{features.descriptor!r}. Audit them separately."
        )
    features, notes = _complete(features, adapter)
    subject = Subject(name, features)
    if originals is not None:
        try:
            subject = with_original(name, features, _read_original(originals, name))
        except InvertDescError as error:
            notes.append(f"No original for {name}: {error}")
    small = shrink_subject(subject, side, adapter)
    return small, notes + _remarks(small, subject.features.image_size)


def _complete(features: LocalFeatures, adapter: Descriptor) -> tuple[LocalFeatures, list[str]]:
    """Fill in missing data that is needed, as an attacker must do."""
    missing = [name for name in adapter.frame.needs if getattr(features, name) is None]
    if not missing:
        return features, []
    words = f"{' and '.join(missing).capitalize()} are not stored. If it needs them, the attack"
    if can_recover(adapter):
        return recover_frames(features, descriptor=adapter), [
            f"{words} recovers them from descriptors and positions."
        ]
    guesses = {"scales": SCALE, "orientations": ORIENTATION}
    return features.assume(**{name: guesses[name] for name in missing}), [
        f"{words} assumes scales of {SCALE:g} pixels and orientations of {ORIENTATION:g}."
    ]


def _remarks(subject: Subject, size: tuple[int, ...]) -> list[str]:
    height, width = subject.features.image_size
    found = []
    if (height, width) != size:
        found.append(
            f"{subject.name} of {size[1]} x {size[0]} pixels was audited at {width} x {height}."
        )
    if not len(subject.features):
        found.append(f"{subject.name} has no keypoints, so nothing of it leaks in this way.")
    return found


def _read_original(folder: Path, name: str) -> Tensor:
    path = find_original(folder, name)
    if path is None:
        raise FileError("the folder of originals has no file of this name.")
    return read_image(path)


def find_original(folder: Path, name: str) -> Path | None:
    """Return the image file in a folder that belongs to a stored image's name, or None.

    The whole name is tried first, then its last part, each also with suffixes of image files. The
    file is never outside the folder.
    """
    last = re.split(r"[/\\]", name)[-1]
    tried = [name, last, *(f"{one}{suffix}" for one in (name, last) for suffix in IMAGE_SUFFIXES)]
    tried += [f"{Path(last).stem}{suffix}" for suffix in IMAGE_SUFFIXES]
    try:
        root = folder.resolve()
        for one in tried:
            path = (root / one.lstrip("/\\")).resolve()
            if path.is_relative_to(root) and path.is_file():
                return path
    except (OSError, ValueError, RuntimeError):  # not a valid file name
        return None
    return None
