"""Add noise for local differential privacy of each single descriptor."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from invertdesc.features.bits import to_values
from invertdesc.features.changes import floored, with_values
from invertdesc.features.local import LocalFeatures


def privatise(features: LocalFeatures, epsilon: float, generator: torch.Generator) -> LocalFeatures:
    """Make each descriptor epsilon-locally differentially private by itself, then read it back.

    Real vectors go through `laplace_mechanism`, packed bits through `randomised_response`. Negative
    values are set to 0 if the descriptor has none; this is done after the mechanism and costs no
    privacy. All N descriptors of an image together have N * epsilon. Positions, scales,
    orientations and the number of keypoints are not protected.

    Source: Dwork, Roth, "The algorithmic foundations of differential privacy", 2014, definition
    3.3 and theorem 3.6, section 3.2; theorem 3.16 for the sum.
    """
    values = to_values(features.descriptors)
    if features.descriptors.dtype == torch.uint8:
        return with_values(features, randomised_response(values, epsilon, generator))
    noised = laplace_mechanism(values, epsilon, generator)
    length = values.abs().sum(1).mean() if len(values) else values.new_ones(())
    return with_values(features, floored(noised, values) * length)


def laplace_mechanism(values: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Divide vectors (N, D) by their sums of absolute values; add Laplace noise of scale 2/epsilon.

    The distance of two vectors of sum 1 is at most 2 in that norm, so each result is
    epsilon-private.
    """
    unit = values / values.abs().sum(1, keepdim=True).clamp(min=1e-12)
    # A Laplace variable is the difference of two exponential ones.
    draws = -torch.rand((2, *values.shape), generator=generator).clamp(min=1e-30).log()
    return unit + 2 / epsilon * (draws[0] - draws[1])


def randomised_response(values: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Flip each of D values -1 or +1 with probability 1 / (1 + exp(epsilon / D)).

    Each value is epsilon / D-private, so a vector of D values is epsilon-private.
    """
    chance = 1 / (1 + math.exp(min(epsilon / max(values.shape[1], 1), 700.0)))
    turned = torch.rand(values.shape, generator=generator) < chance
    return torch.where(turned, -values, values)
