"""Run the attack of the demo: from a picture and the user's choices to a reconstruction."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from invertdesc.api import extract, reconstruct
from invertdesc.auditing.inputs import ORIENTATION, SCALE
from invertdesc.descriptors import create_descriptor, list_descriptors
from invertdesc.drawing import side_by_side
from invertdesc.errors import InputError, InvertDescError
from invertdesc.features.changes import keep_random, keep_strongest
from invertdesc.features.local import LocalFeatures
from invertdesc.image import read_image, shrink_image, write_image
from invertdesc.methods import list_methods, methods
from invertdesc.methods.database import Collector


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The part of the features that an attacker has, and the method of the attack.

    Attributes:
        method: Registry name of the method.
        share: Share of the keypoints, above 0 to 1: the strongest ones, or random ones if the
            descriptor has no scores.
        orientations: Whether orientations are stored; if not, 0 is assumed for all.
        scales: Whether scales are stored; if not, 2 pixels are assumed for all.

    Raises:
        InputError: The share is out of range.
    """

    method: str = "unfold"
    share: float = 1.0
    orientations: bool = True
    scales: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(f"Expected a share above 0, 1 at most, got {self.share}.")


@dataclass(frozen=True, eq=False)
class Stored:
    """A picture, and the features that an app would store of it.

    Attributes:
        image: (3, H, W) RGB in [0, 1], which no attacker sees.
        features: All features of the image.
    """

    image: Tensor
    features: LocalFeatures


@dataclass(frozen=True, eq=False)
class Attack:
    """The result of an attack.

    Attributes:
        features: The features that the attacker had.
        picture: (3, H, W) RGB in [0, 1], the reconstruction.
        words: A summary in one or two sentences.
    """

    features: LocalFeatures
    picture: Tensor
    words: str


def offered_descriptors() -> list[str]:
    """List the descriptors whose unfolding is in the package and that need no download, sorted."""
    names = []
    for name in list_descriptors():
        with suppress(InvertDescError):
            adapter = create_descriptor(name)
            _ = adapter.unfolding
            if not hasattr(adapter, "weights"):
                names.append(name)
    return names


def offered_methods() -> list[str]:
    """List the methods that need no database, sorted."""
    return [name for name in list_methods() if not isinstance(methods.get(name), Collector)]


def store(path: str | os.PathLike[str], descriptor: str, side: int) -> Stored:
    """Read a picture, shrink it if its longer side is too long, and extract features.

    Raises:
        FileError: The file is missing or not an image.
        InputError: The picture has too many pixels, or no keypoints.
    """
    image = shrink_image(read_image(path), side)
    features = extract(image, descriptor=descriptor)
    if not len(features):
        raise InputError(
            f"Expected keypoints, {descriptor!r} found none, so nothing of this picture leaks in "
            "this way. Is it flat, blurred or tiny?"
        )
    return Stored(image, features)


def kept(features: LocalFeatures, choice: Choice) -> LocalFeatures:
    """Return the features that an attacker has before any are erased."""
    if features.scores is None:
        part = keep_random(features, choice.share, torch.Generator().manual_seed(0))
    else:
        part = keep_strongest(features, choice.share)
    known = {"orientations": choice.orientations, "scales": choice.scales}
    return part.without(*(name for name, there in known.items() if not there))


def is_erased(features: LocalFeatures, mask: Tensor) -> Tensor:
    """Return which keypoints are covered by a mask.

    Args:
        features: N keypoints.
        mask: (h, w) bool, of any size; it is scaled to the picture.

    Returns:
        (N,) bool.

    >>> features = LocalFeatures(
    ...     keypoints=torch.tensor([[0.0, 0.0], [7.4, 0.0]]),
    ...     descriptors=torch.zeros(2, 128),
    ...     image_size=(8, 8),
    ...     descriptor="sift",
    ... )
    >>> is_erased(features, torch.tensor([[False, True], [False, False]]))
    tensor([False,  True])
    """
    x, y = (features.keypoints + 0.5).unbind(1)
    (rows, columns), (height, width) = mask.shape, features.image_size
    row = (y * rows / height).long().clamp(0, rows - 1)
    column = (x * columns / width).long().clamp(0, columns - 1)
    return mask[row, column]


def attack(
    stored: Stored, choice: Choice, mask: Tensor | None = None, device: str | None = None
) -> Attack:
    """Reconstruct the picture from the remaining features.

    Args:
        stored: The picture and all its features.
        choice: The attacker's features and method.
        mask: (h, w) bool, true where keypoints are erased; None for no mask.
        device: Device to compute on.

    Raises:
        InputError: No keypoint is left, or the method cannot read the descriptor.
        MissingFieldError: The method needs a field that is missing.
    """
    part = kept(stored.features, choice)
    left = part if mask is None else part[~is_erased(part, mask)]
    if not len(left):
        raise InputError(
            f"Expected keypoints to reconstruct from, all {len(part)} are erased. Leave some."
        )
    picture = reconstruct(
        left.assume(orientations=ORIENTATION, scales=SCALE),
        method=choice.method,
        device=device,
    ).cpu()
    return Attack(left, picture, _words(stored.features, part, left, choice))


def save_attack(stored: Stored, made: Attack, method: str, folder: Path) -> tuple[Path, Path, Path]:
    """Write the attacker's features as .npz, the reconstruction, and a side-by-side picture as PNG.

    Raises:
        FileError: The folder cannot be written.
    """
    features, picture, panels = (
        folder / name for name in ("features.npz", "reconstruction.png", "side-by-side.png")
    )
    made.features.save(features)
    write_image(made.picture, picture)
    write_image(side_by_side(made.features, made.picture, stored.image, method), panels)
    return features, picture, panels


def _words(every: LocalFeatures, part: LocalFeatures, left: LocalFeatures, choice: Choice) -> str:
    count = f"{len(left):,} of {len(every):,} keypoints"
    if choice.share < 1:
        which = "random" if every.scores is None else "strongest"
        count += f", of the {which} {choice.share:.0%}"
    erased = len(part) - len(left)
    sentences = [f"{count}; {erased:,} erased." if erased else f"{count}."]
    if not choice.orientations:
        sentences.append(f"Orientations are unknown: all count as {ORIENTATION:g}.")
    if not choice.scales:
        sentences.append(f"Scales are unknown: all count as {SCALE:g} pixels.")
    return " ".join(sentences)
