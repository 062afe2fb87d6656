"""The verb that finds orientations and scales which features lack."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.base import encoding_of
from invertdesc.errors import FramesRecoveredWarning
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.methods._kept import kept_method
from invertdesc.methods.base import Needs
from invertdesc.unfolding.frames.guess import shipped_frame_network
from invertdesc.unfolding.frames.recover import recover

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.methods.base import MethodLike

PAINTER = "unfold"  # what makes the pictures that frames are improved with


def recover_frames(
    features: LocalFeatures,
    *,
    descriptor: str | Descriptor | None = None,
    rounds: int = 4,
) -> LocalFeatures:
    """Find the orientations and scales that features lack, from vectors and positions.

    A network guesses them first, from each keypoint's own vector and from its neighbours. Then
    picture and frames are improved in turn: reconstruct the picture, look at it in every
    orientation (and in several scales) at each keypoint, keep what fits the vector best.

    Args:
        features: Features of one image. Fields that are there stay as they are.
        descriptor: Name or adapter that reads the vectors; None for the one that features name.
        rounds: How often, at most, a picture is made and looked at; 0 for the network's guess.

    Returns:
        The features with what their descriptor needs of `scales` and `orientations`. A recovered
        value may be wrong; see "Frames recovered" in the documentation for how often.

    Raises:
        MissingFieldError: They lack what is needed, and no network ships for their descriptor.
        InputError: `rounds` is below 0.

    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> bare = extract(camera()[::4, ::4]).without("orientations", "scales")
    >>> recover_frames(bare, rounds=0).orientations.shape == (len(bare),)
    True
    """
    check_range("rounds", rounds, 0)
    adapter = resolve_descriptor(descriptor or features.descriptor)
    missing = missing_frames(features, adapter)
    if not missing:
        return features
    network = shipped_frame_network(encoding_of(adapter))
    if network is None:
        batch = FeatureBatch.collate([features])
        batch.require(missing, needed_by=f"the frame of {adapter.name!r}")
        raise AssertionError  # the line above raises
    device = features.device
    method = kept_method(PAINTER, adapter, device)

    def paint(batch: FeatureBatch) -> Tensor:
        pictures: Tensor = method(batch.to(device))
        return pictures.cpu()

    with torch.no_grad():
        found = recover(network, adapter, features.to("cpu"), paint, missing, rounds=rounds)
    return found.to(device)


def can_recover(adapter: Descriptor) -> bool:
    """Say whether a network ships that guesses the frames of a descriptor."""
    return shipped_frame_network(encoding_of(adapter)) is not None


def missing_frames(features: LocalFeatures, adapter: Descriptor) -> tuple[str, ...]:
    """Return which of scales and orientations the features lack, of what the descriptor needs."""
    return tuple(name for name in adapter.frame.needs if getattr(features, name) is None)


def with_frames(
    features: Sequence[LocalFeatures],
    method: MethodLike,
    descriptor: Descriptor | None,
    *,
    stacklevel: int,
) -> list[LocalFeatures]:
    """Recover what features lack of what a method needs, where a network ships; and warn.

    What cannot be recovered stays missing: the method says what it needs.

    Args:
        features: Features of several images.
        method: That is to reconstruct them.
        descriptor: Adapter that reads the vectors; None for those that features name.
        stacklevel: Level of the warning: 1 is this function, 2 what calls it.

    Warns:
        FramesRecoveredWarning: Some were recovered.
    """
    if getattr(method, "needs", Needs()) == Needs():
        return list(features)
    found, names = [], set()
    for one in features:
        adapter = descriptor or resolve_descriptor(one.descriptor)
        missing = missing_frames(one, adapter)
        if missing and can_recover(adapter):
            names |= set(missing)
            one = recover_frames(one, descriptor=adapter)
        found.append(one)
    if names:
        which = " and ".join(sorted(names))
        count = sum(one is not other for one, other in zip(features, found, strict=True))
        guesses = ", ".join(f"{name}=..." for name in sorted(names))
        warnings.warn(
            f"Recovered the {which} of {count} of {len(features)} images, which they came without: "
            "pictures are worse where a recovered one is wrong. Who knows better fills them in "
            f"first, with features.assume({guesses}) or dataclasses.replace.",
            FramesRecoveredWarning,
            stacklevel=stacklevel,
        )
    return found
