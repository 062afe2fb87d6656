"""Fit the unfolding of a learned descriptor: several supports, a trust per cell, a decoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import read_image, to_gray
from invertdesc.rasterizers.bands import FREQUENCIES, amplify, scales_of
from invertdesc.rasterizers.field import FieldRasterizer
from invertdesc.training.decoders import DecoderConfig, collect_samples, fit_decoders
from invertdesc.unfolding.fit import fit_described
from invertdesc.unfolding.unfolding import Unfolding

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.local import LocalFeatures
COARSE = 3  # bands in which several supports are used
HELD = 12  # every so many-th picture serves for the trust and not for the maps
LEAST = 0.01  # of a cell's share of explained variance


class ReadLater(Sequence[tuple[Tensor, "LocalFeatures"]]):
    """Pictures with their features; a picture is read each time that it is asked for."""

    def __init__(self, paths: Sequence[Path], features: Sequence[LocalFeatures]) -> None:
        """Keep the paths of the pictures, and the features of each."""
        self.paths, self.features = paths, features

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.paths)

    def __getitem__(self, place: Any) -> Any:
        """Return a picture (3, H, W) and its features, or a part of the pictures."""
        if isinstance(place, slice):
            return ReadLater(self.paths[place], self.features[place])
        return read_image(self.paths[place]), self.features[place]


class _OtherFrame:
    """An adapter whose vectors are said to describe another square."""

    def __init__(self, adapter: Descriptor, support: float) -> None:
        self.name, self.dim, self.encode = adapter.name, adapter.dim, adapter.encode
        self.frame = replace(adapter.frame, support=support)


def fit_supports(
    descriptor: Descriptor,
    described: Sequence[tuple[Tensor, LocalFeatures]],
    others: Sequence[float],
    *,
    ridge: float = 0.02,
    most: int = 40,
    decoder: DecoderConfig | None = None,
) -> Unfolding:
    """Fit a map for the descriptor's frame and for others, their trust and their fields' gains.

    Learned descriptors are not local: of one vector, a narrow square takes the details and a wide
    one the coarse shading, where its many overlapping predictions are averaged. The picture is the
    sum of both fields, with a gain for each field and octave of frequencies, fitted to the pictures
    by least squares. A cell's trust is its explained variance over the rest, on pictures that are
    kept out of the maps: with independent errors, the weight of least error.

    Args:
        descriptor: Adapter; its `frame` and `encode` are used.
        described: Pictures of shape (3, H, W), RGB in [0, 1], each with its features. They are read
            several times, and need not be in memory.
        others: Sides of the other frames, in the unit of the descriptor's; none for one support.
        ridge: Weight of the penalty on each map, see `fit_unfolding`.
        most: Number of pictures that the gains are fitted to at most.
        decoder: Size and training of a network that corrects the maps; None for linear maps alone.

    Raises:
        InputError: No image has a keypoint.
    """
    sides = (descriptor.frame.support, *others)
    adapters = [_OtherFrame(descriptor, side) for side in sides]
    fitted = [number for number in range(len(described)) if not _is_held(number)]
    maps = [
        fit_described(one, (described[number] for number in fitted), ridge=ridge)  # type: ignore[arg-type]
        for one in adapters
    ]
    config = decoder or DecoderConfig()
    frames = [one.frame for one in adapters]
    samples = collect_samples(descriptor, described, frames, most=config.most, seed=config.seed)
    held = _is_held(samples.pictures)
    if decoder is not None:
        networks = fit_decoders(samples, (~held).nonzero().flatten(), maps, decoder)
        maps = [replace(one, decoder=net) for one, net in zip(maps, networks, strict=True)]
    if bool(held.any()):
        vectors = samples.vectors[held]
        maps = [
            replace(one, trust=_trust(one.directions(vectors), truth[held].float()))
            for one, truth in zip(maps, samples.gradients, strict=True)
        ]
    if not others:
        return maps[0]
    step = max(1, len(described) // most)
    gains = _gains(descriptor, maps, described[::step])
    return replace(maps[0], others=tuple(maps[1:]), gains=gains)


def _is_held(number: Any) -> Any:
    """Return whether pictures of these numbers are kept out of the maps."""
    return number % HELD == HELD - 1


def _trust(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return (G, G) in (0, 1], the weights of cells.

    Args:
        predicted: (M, 2, G, G), unfolded gradients.
        truth: (M, 2 * G * G), the true ones, each patch of a root mean square of 1.
    """
    truth = truth.view_as(predicted)
    missed = (predicted - truth).square().sum((0, 1))
    known = (1 - missed / truth.square().sum((0, 1))).clamp(LEAST, 1 - LEAST)
    known = (known + known.T) / 2
    known = (known + known.flip(0)) / 2
    known = (known + known.flip(1)) / 2
    odds = known / (1 - known)
    return odds / odds.max()


def _gains(
    descriptor: Descriptor,
    maps: Sequence[Unfolding],
    described: Iterable[tuple[Tensor, LocalFeatures]],
    penalty: float = 0.01,
) -> Tensor:
    """Return (P, K), gains of P maps in K bands, by least squares on normalised pictures."""
    count, bands = len(maps), len(FREQUENCIES)
    left = torch.zeros(count * bands, count * bands, dtype=torch.float64)
    right = torch.zeros(count * bands, dtype=torch.float64)
    alone = torch.eye(bands)
    for image, features in described:
        if not len(features):
            continue
        gray = to_gray(image, features.provenance.gray_mode)
        truth = (gray - gray.mean()).flatten().double()
        if float(truth.norm()) == 0:
            continue
        batch = FeatureBatch.collate([features])
        scales = scales_of(batch, maps[0].frame)
        parts = []
        for unfolding in maps:
            picture = FieldRasterizer(descriptor, unfolding=unfolding)(batch).picture
            parts += [amplify(picture, one, scales, 1).flatten() for one in alone]
        columns = torch.stack(parts).double() / truth.norm()
        left += columns @ columns.T
        right += columns @ truth / truth.norm()
    # Above COARSE, only the first map, with one gain, so that the spectrum of details is that of
    # the maps with one support, which networks are trained on.
    tied = torch.eye(count * bands, dtype=torch.float64)
    tied[:, COARSE] = tied[:, COARSE:bands].sum(1)
    free = [part * bands + band for part in range(count) for band in range(COARSE)]
    tied = tied[:, [*free, COARSE]]
    left, right = tied.T @ left @ tied, tied.T @ right
    # The penalty is relative to each column: gains of bands differ by orders of magnitude.
    size = left.diagonal().sqrt()
    if not bool((size > 0).all()):
        raise InputError("Expected photographs with keypoints to fit gains to, found none.")
    scaled = left / size[:, None] / size
    scaled += penalty * torch.eye(len(scaled), dtype=torch.float64)
    gains: Tensor = tied @ (torch.linalg.solve(scaled, right / size) / size)
    return gains.view(count, bands).float()
