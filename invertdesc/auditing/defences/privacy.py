"""Noise with a proof: local differential privacy of each single descriptor."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from invertdesc.auditing.surroundings import Surroundings
from invertdesc.features.bits import to_values
from invertdesc.features.changes import with_values
from invertdesc.features.local import LocalFeatures


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


def laplace_mechanism(values: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Divide vectors (N, D) by their sums of absolute values; add Laplace noise of scale 2/epsilon.

    Two vectors of sum 1 are at most 2 apart in that norm, so each result is epsilon-private.
    """
    unit = values / values.abs().sum(1, keepdim=True).clamp(min=1e-12)
    # A Laplace variable is the difference of two exponential ones.
    draws = -torch.rand((2, *values.shape), generator=generator).clamp(min=1e-30).log()
    return unit + 2 / epsilon * (draws[0] - draws[1])


def randomised_response(values: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Turn each of D values -1 or +1 over with a probability of 1 / (1 + exp(epsilon / D)).

    Each is epsilon / D-private, so that a vector of D is epsilon-private.
    """
    chance = 1 / (1 + math.exp(min(epsilon / max(values.shape[1], 1), 700.0)))
    turned = torch.rand(values.shape, generator=generator) < chance
    return torch.where(turned, -values, values)
