"""Noise with a proof: local differential privacy of each single descriptor."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from invertdesc.auditing.surroundings import Surroundings
from invertdesc.features.bits import to_values
from invertdesc.features.changes import with_values
from invertdesc.features.local import LocalFeatures

LEVELS = 24  # values that a place of a vector is thought to have, equally often


def privatise(features: LocalFeatures, epsilon: float, around: Surroundings) -> LocalFeatures:
    """Make each descriptor epsilon-locally differentially private by itself, then read it back.

    Real vectors go through `laplace_mechanism`, packed bits through `randomised_response`. What
    happens afterwards, costs no privacy, since it knows public vectors alone: negative values
    become 0 where such descriptors have none, and the length becomes the usual one. N descriptors
    of an image have N * epsilon together; positions, scales, orientations and how many keypoints
    there are, are not protected at all.

    Source: Dwork, Roth, "The algorithmic foundations of differential privacy", 2014, definition
    3.3 and theorem 3.6, section 3.2; theorem 3.16 for the sum.
    """
    values = to_values(features.descriptors)
    if features.descriptors.dtype == torch.uint8:
        return with_values(features, randomised_response(values, epsilon, around.generator))
    noised = laplace_mechanism(values, epsilon, around.generator)
    return with_values(features, around.typical.floored(noised) * around.typical.length)


def read_likely(features: LocalFeatures, epsilon: float, around: Surroundings) -> LocalFeatures:
    """Make descriptors private, and read each value as its mean given what was stored.

    The mean is over what the value is in public vectors. Laplace noise has heavy tails: a value far
    above all public ones tells no more than one just above them, so that it is no longer a value
    that draws. Bits are as `privatise` leaves them.
    """
    values = to_values(features.descriptors)
    if features.descriptors.dtype == torch.uint8:
        return privatise(features, epsilon, around)
    noised = laplace_mechanism(values, epsilon, around.generator)
    known = _unit(to_values(around.typical.attacker))
    places = (torch.arange(LEVELS) + 0.5) / LEVELS
    expected = posterior_mean(noised, known.quantile(places, 0), 2 / epsilon)
    return with_values(features, expected * around.typical.length)


def posterior_mean(noised: Tensor, known: Tensor, scale: float) -> Tensor:
    """Return the means of values (N, D), given that Laplace noise was added to them.

    Args:
        noised: (N, D).
        known: (Q, D), values that are equally likely in each place.
        scale: Scale of the noise.

    >>> posterior_mean(torch.tensor([[-9.0], [0.5], [9.0]]), torch.tensor([[0.0], [1.0]]), 0.5)
    tensor([[0.1192],
            [0.5000],
            [0.8808]])
    """
    most = torch.full_like(noised, -torch.inf)  # of the logarithms of what speaks for each value
    for value in known:
        most = torch.maximum(most, -(noised - value).abs() / scale)
    total, sums = torch.zeros_like(noised), torch.zeros_like(noised)
    for value in known:
        weight = (-(noised - value).abs() / scale - most).exp()
        total, sums = total + weight, sums + weight * value
    return sums / total


def laplace_mechanism(values: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Divide vectors (N, D) by their sums of absolute values; add Laplace noise of scale 2/epsilon.

    Two vectors of sum 1 are at most 2 apart in that norm, so each result is epsilon-private.
    """
    # A Laplace variable is the difference of two exponential ones.
    draws = -torch.rand((2, *values.shape), generator=generator).clamp(min=1e-30).log()
    return _unit(values) + 2 / epsilon * (draws[0] - draws[1])


def randomised_response(values: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Turn each of D values -1 or +1 over with a probability of 1 / (1 + exp(epsilon / D)).

    Each is epsilon / D-private, so that a vector of D is epsilon-private.
    """
    chance = 1 / (1 + math.exp(min(epsilon / max(values.shape[1], 1), 700.0)))
    turned = torch.rand(values.shape, generator=generator) < chance
    return torch.where(turned, -values, values)


def _unit(values: Tensor) -> Tensor:
    """Divide vectors (N, D) by the sums of their absolute values."""
    return values / values.abs().sum(1, keepdim=True).clamp(min=1e-12)
