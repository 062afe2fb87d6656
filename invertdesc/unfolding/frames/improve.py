"""Frames improved by looking at a picture that was made with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.image import from_gray, to_gray
from invertdesc.unfolding.fit import gradients_around
from invertdesc.unfolding.frames.bins import scale_quantiles
from invertdesc.unfolding.frames.guess import Guess

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.descriptors.describing import Describing

FACTORS = (0.64, 0.8, 1.0, 1.25, 1.5625)  # of scales that are tried, where they are not known
DESCRIBED = 8  # hypotheses of each keypoint at which the picture is described
_ROWS = 1 << 14  # hypotheses whose gradients are in memory at a time: 1 kB each and more


@dataclass(frozen=True)
class Weights:
    """What speaks for a hypothesis, and how much.

    Attributes:
        gradient: Weight of the cosine of unfolded gradients and the picture's.
        vector: Weight of the cosine of the given vector and the picture's own.
        turn: Weight of the logarithm of the network's share for the orientation.
        scale: The same for the scale.
    """

    gradient: float = 6.0
    vector: float = 12.0
    turn: float = 0.5
    scale: float = 0.5


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Frames that N keypoints may have, H each.

    Attributes:
        turns: (N, H) radians.
        scales: (N, H) pixels.
        gradient: (N, H), see `Weights`.
        vector: (N, H); 0 where the picture was not described.
        turn: (N, H).
        scale: (N, H).
    """

    turns: Tensor
    scales: Tensor
    gradient: Tensor
    vector: Tensor
    turn: Tensor
    scale: Tensor

    @property
    def likeness(self) -> Tensor:
        """(N, H), of vectors where the picture was described, else of gradients."""
        return torch.where(self.vector == 0, self.gradient, self.vector)

    def support(self, weights: Weights) -> Tensor:
        """Return (N, H), how much speaks for each."""
        return (
            weights.gradient * self.gradient
            + weights.vector * self.vector
            + weights.turn * self.turn
            + weights.scale * self.scale
        )

    def pick(self, columns: Tensor) -> Hypotheses:
        """Return those of (N, K) columns."""
        return Hypotheses(**{name: part.gather(1, columns) for name, part in vars(self).items()})


def propose(
    adapter: Descriptor,
    features: LocalFeatures,
    guess: Guess,
    gray: Tensor,
    *,
    turning: bool,
    scaling: bool,
    levels: Sequence[float] | None = None,
) -> Hypotheses:
    """List frames that keypoints may have, with how well a picture's gradients fit each.

    Args:
        adapter: Adapter of the descriptor.
        features: With the frames that are thought of now.
        guess: Guess of the network.
        gray: (H, W), the picture as an extractor sees it.
        turning: Whether orientations are sought.
        scaling: Whether scales are.
        levels: Scales to try are those below which these shares of the guess lie; None for some
            around those that are thought of now.
    """
    count, batch = len(features), FeatureBatch.collate([features])
    turns, scales = adapter.frame.turns(batch)[:, None], _scales(features)[:, None]
    if turning:
        bins = guess.turns.shape[1]
        turns = (torch.arange(bins) + 0.5).mul(2 * math.pi / bins).expand(count, -1)
    if scaling:
        if levels is None:
            scales = scales * torch.tensor(FACTORS)
        else:
            scales = scale_quantiles(guess.scales, guess.config, levels)
    across = scales.shape[1]
    turns, scales = (
        turns[:, None].expand(-1, across, -1).flatten(1),
        scales[:, :, None].expand(-1, -1, turns.shape[1]).flatten(1),
    )
    nothing = torch.zeros_like(turns)
    return Hypotheses(
        turns=turns,
        scales=scales,
        gradient=_gradient_match(adapter, features, gray, turns, scales),
        vector=nothing,
        turn=_share(guess.turns, turns / (2 * math.pi)) if turning else nothing,
        scale=_scale_share(guess, scales) if scaling else nothing,
    )


def describe_at(
    adapter: Descriptor, features: LocalFeatures, gray: Tensor, tried: Hypotheses
) -> Hypotheses:
    """Describe a picture at hypotheses and compare with the given vectors.

    Args:
        adapter: One with `describe`.
        features: The given ones.
        gray: (H, W), the picture as an extractor sees it.
        tried: (N, H).
    """
    mode = getattr(adapter, "gray", features.provenance.gray_mode)
    shown = from_gray(gray, mode)
    count, across = tried.turns.shape
    rows = torch.arange(count * across)
    many = replace(
        features[rows // across],
        scales=tried.scales.flatten(),
        orientations=tried.turns.flatten(),
    )
    own = cast("Describing", adapter).describe(shown, many)
    kept = own.rows  # some at the border may be left out
    given = adapter.encode(features.descriptors)[kept // across]
    alike = torch.zeros(count * across)
    alike[kept] = F.cosine_similarity(adapter.encode(own.features.descriptors), given, dim=1)
    return replace(tried, vector=alike.view(count, across))


def gray_of(features: LocalFeatures, picture: Tensor) -> Tensor:
    """Return (H, W), a picture (3, H, W) as the extractor of the features saw it."""
    return to_gray(picture, features.provenance.gray_mode).clamp(0, 1)


def _scales(features: LocalFeatures) -> Tensor:
    scales = features.scales
    return torch.ones_like(features.keypoints[:, 0]) if scales is None else scales


def _gradient_match(
    adapter: Descriptor, features: LocalFeatures, gray: Tensor, turns: Tensor, scales: Tensor
) -> Tensor:
    """Return (N, H) cosines of unfolded gradients with the picture's in each frame."""
    unfolding = adapter.unfolding
    pieces = unfolding.directions(adapter.encode(features.descriptors)).flatten(1)
    frame, across = unfolding.frame, turns.shape[1]
    sides = (frame.support * (scales if frame.scaled else torch.ones_like(scales))).flatten()
    rows, angles = torch.arange(turns.numel()) // across, turns.flatten()
    found = []
    for start in range(0, len(rows), _ROWS):
        some = slice(start, start + _ROWS)
        places = features.keypoints[rows[some]]
        own = gradients_around(gray, places, sides[some], angles[some], unfolding.grid)
        found.append(F.cosine_similarity(own.flatten(1), pieces[rows[some]], dim=1))
    return torch.cat(found).view_as(turns) if found else turns


def _share(logs: Tensor, at: Tensor) -> Tensor:
    """Return what (N, bins) say at (N, H) parts of a turn: those of the bin that each is in."""
    bins = logs.shape[1]
    return logs.gather(1, (at.remainder(1) * bins).long().clamp(max=bins - 1))


def _scale_share(guess: Guess, scales: Tensor) -> Tensor:
    """Return what the network says of (N, H) scales, between bins linearly."""
    config = guess.config
    step = (config.largest - config.smallest) / (config.scales - 1)
    at = ((scales.log() - config.smallest) / step).clamp(0, config.scales - 1 - 1e-4)
    low = at.floor().long()
    part = at - low
    return guess.scales.gather(1, low) * (1 - part) + guess.scales.gather(1, low + 1) * part
