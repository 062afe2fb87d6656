"""Change features: drop keypoints, make vectors coarser or noisy, shuffle them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from invertdesc.errors import InputError, MissingFieldError
from invertdesc.features.bits import from_values, to_values
from invertdesc.features.local import LocalFeatures


def with_values(features: LocalFeatures, values: Tensor) -> LocalFeatures:
    """Return features with other vectors, in the form that `to_values` returns."""
    return replace(features, descriptors=from_values(values, features.descriptors))


def strongest(features: LocalFeatures, most: int | None) -> LocalFeatures:
    """Keep the keypoints with the highest scores, in their original order; None keeps all."""
    if most is None or len(features) <= most or features.scores is None:
        return features
    best = features.scores.argsort(descending=True, stable=True)[:most]
    return features[best.sort().values]


def keep_strongest(features: LocalFeatures, share: float) -> LocalFeatures:
    """Keep the share of keypoints with the highest scores, at least one, in their order.

    Raises:
        MissingFieldError: The features have no scores.
    """
    if features.scores is None:
        raise MissingFieldError("These features have no scores, so the strongest are not known.")
    return strongest(features, count_of(features, share))


def keep_random(
    features: LocalFeatures, share: float, generator: torch.Generator, *, ordered: bool = True
) -> LocalFeatures:
    """Keep a random share of the keypoints, at least one, in their order or a random one."""
    some = torch.randperm(len(features), generator=generator)[: count_of(features, share)]
    return features[some.sort().values if ordered else some]


def count_of(features: LocalFeatures, share: float) -> int:
    """Return the number of keypoints of a share."""
    return max(1, round(share * len(features)))


def quantise(features: LocalFeatures, bits: float) -> LocalFeatures:
    """Round each value to the middle of one of 2^bits equal steps.

    The steps cover the image's values from the smallest to the 99.5th percentile; larger values are
    in the last step.

    Raises:
        InputError: The descriptor is made of bits.
    """
    if features.descriptors.dtype == torch.uint8:
        raise InputError("This descriptor consists of bits: each value has only one bit.")
    values = features.descriptors
    if not values.numel():
        return features
    low = values.min()
    ordered = values.flatten().sort().values
    high = ordered[int(0.995 * (len(ordered) - 1))]
    step = ((high - low) / 2 ** round(bits)).clamp(min=1e-12)
    level = ((values - low) / step).floor().clamp(0, 2 ** round(bits) - 1)
    return replace(features, descriptors=low + (level + 0.5) * step)


def add_gaussian(
    features: LocalFeatures, relative: float, generator: torch.Generator
) -> LocalFeatures:
    """Add Gaussian noise; its deviation is relative to the root mean square of the values.

    Bits count as -1 and +1, and the sign gives the new bit. If no value was negative, negative ones
    become 0, as an attacker would do.
    """
    values = to_values(features.descriptors)
    if not values.numel():
        return features
    size = values.square().mean().sqrt()
    noise = torch.randn(values.shape, generator=generator)
    return with_values(features, floored(values + relative * size * noise, values))


def floored(values: Tensor, like: Tensor) -> Tensor:
    """Return values with negative ones set to 0, if `like` has none."""
    return values.clamp(min=0) if bool((like >= 0).all()) else values


def shuffle_rows(features: LocalFeatures, generator: torch.Generator) -> LocalFeatures:
    """Shuffle the descriptors among the keypoints."""
    order = torch.randperm(len(features), generator=generator)
    return replace(features, descriptors=features.descriptors[order])


def permute_columns(features: LocalFeatures, generator: torch.Generator) -> LocalFeatures:
    """Permute the values of all vectors by one random permutation; for packed bits, the bits."""
    values = to_values(features.descriptors)
    order = torch.randperm(values.shape[1], generator=generator)
    return with_values(features, values[:, order])
