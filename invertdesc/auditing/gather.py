"""Collect the images of an audit from files or from a store, with originals where there are any."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.auditing.subjects import Subject, shrink_image, shrink_subject, with_original
from invertdesc.errors import InputError, InvertDescError
from invertdesc.features.local import LocalFeatures
from invertdesc.features.placeholders import check_descriptors
from invertdesc.image import read_image

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.stores.base import Store

SCALE, ORIENTATION = 2.0, 0.0  # guesses for what a store does not tell


@dataclass
class Gathered:
    """Images of one descriptor, and what there is to know of them.

    Attributes:
        adapter: Of the descriptor.
        side: Pixels of the longer side that pictures are attacked at, at most.
        originals: Folder of originals, or None.
        subjects: What was found.
        notes: What was left out or assumed, a sentence each.
        failed: How many images could not be read.
        total: How many images there were to choose from.
    """

    adapter: Descriptor
    side: int
    originals: Path | None = None
    subjects: list[Subject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: int = 0
    total: int = 0

    def add_files(self, paths: Iterable[Path]) -> None:
        """Add images, whose features are extracted, and .npz files of features."""
        for path in paths:
            try:
                if path.suffix.lower() == ".npz":
                    self.add_features(path.stem, LocalFeatures.load(path))
                else:
                    self._add_image(path.name, read_image(path))
            except InvertDescError as error:
                self._leave_out(path.name, error)

    def add_store(self, store: Store, names: Sequence[str]) -> None:
        """Add some images of a store."""
        for name, features in store.items(names, on_error=self._leave_out):
            try:
                self.add_features(name, features)
            except InvertDescError as error:
                self._leave_out(name, error)

    def add_features(self, name: str, features: LocalFeatures) -> None:
        """Add what is stored of one image.

        Raises:
            InputError: It is of another descriptor, or has none but placeholders.
        """
        check_descriptors(features.descriptors.numpy())
        if features.descriptor != self.adapter.name:
            raise InputError(
                f"Expected descriptors {self.adapter.name!r}, as most images have, got "
                f"{features.descriptor!r}. Audit them apart."
            )
        subject = Subject(name, self._completed(features))
        image = None if self.originals is None else self._original(name)
        if image is not None:
            try:
                subject = with_original(name, subject.features, image)
            except InputError as error:
                self._note(f"No original for {name}: {error}")
        self._add(shrink_subject(subject, self.side, self.adapter), subject.features.image_size)

    def _add_image(self, name: str, image: Tensor) -> None:
        small = shrink_image(image, self.side)
        features = self.adapter.extract(small)
        self._add(Subject(name, self._completed(features), small), tuple(image.shape[1:]))

    def _add(self, subject: Subject, size: tuple[int, ...]) -> None:
        height, width = subject.features.image_size
        if (height, width) != size:
            self._note(
                f"{subject.name} of {size[1]} x {size[0]} pixels was audited at {width} x {height}."
            )
        if not len(subject.features):
            self._note(f"{subject.name} has no keypoints: nothing of it leaks this way.")
        self.subjects.append(subject)

    def _completed(self, features: LocalFeatures) -> LocalFeatures:
        """Fill in what is missing and needed, as an attacker has to."""
        missing = [name for name in self.adapter.frame.needs if getattr(features, name) is None]
        if missing:
            self._note(
                f"{' and '.join(missing).capitalize()} are not stored. Where it needs them, the "
                f"attack takes scales for {SCALE:g} pixels and orientations for {ORIENTATION:g}."
            )
        guesses = {"scales": SCALE, "orientations": ORIENTATION}
        return features.assume(**{name: guesses[name] for name in missing})

    def _original(self, name: str) -> Tensor | None:
        path = find_original(self.originals or Path(), name)
        if path is None:
            self._note(f"No original for {name} in the folder of originals.")
            return None
        try:
            return read_image(path)
        except InvertDescError as error:
            self._note(f"No original for {name}: {error}")
            return None

    def _leave_out(self, name: str, error: InvertDescError) -> None:
        self.failed += 1
        self._note(f"{name} was left out: {error}")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def find_original(folder: Path, name: str) -> Path | None:
    """Return the image file of a stored image's name inside of a folder, or None.

    The whole name is tried first, then its last part, each also with an image's suffix. A name
    leads to no file outside of the folder.
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
    except (OSError, ValueError, RuntimeError):  # a name that no file can have
        return None
    return None
