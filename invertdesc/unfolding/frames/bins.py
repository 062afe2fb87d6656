"""Orientations and scales as bins, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from invertdesc.unfolding.frames.network import FrameConfig

_AROUND = 2  # bins on each side of the best one that say where between them the value lies


def turn_targets(orientations: Tensor, config: FrameConfig) -> Tensor:
    """Return (M, turns): each orientation (M,) in radians shared by the two bins nearest to it."""
    at = orientations / (2 * math.pi) * config.turns - 0.5
    low = at.floor()
    shares = torch.zeros(len(at), config.turns)
    for bins, share in ((low, 1 - (at - low)), (low + 1, at - low)):
        shares.scatter_add_(1, bins.long().remainder(config.turns)[:, None], share[:, None])
    return shares


def scale_targets(scales: Tensor, config: FrameConfig) -> Tensor:
    """Return (M, scales): each scale (M,) in pixels shared by the two bins nearest to it."""
    step = (config.largest - config.smallest) / (config.scales - 1)
    at = ((scales.log() - config.smallest) / step).clamp(0, config.scales - 1)
    low = at.floor().clamp(max=config.scales - 2)
    shares = torch.zeros(len(at), config.scales)
    shares.scatter_add_(1, low.long()[:, None], (1 - (at - low))[:, None])
    shares.scatter_add_(1, low.long()[:, None] + 1, (at - low)[:, None])
    return shares


def peak_turns(scores: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
    """Find the likeliest orientations.

    Args:
        scores: (M, turns) of bins, before softmax.
        count: Peaks of each keypoint.

    Returns:
        Radians (M, count), the likeliest first, and the share of the scores around each.
    """
    shares = scores.softmax(1)
    total = shares.shape[1]
    centres = (torch.arange(total, device=scores.device) + 0.5) * (2 * math.pi / total)
    waves = torch.stack([centres.cos(), centres.sin()], 1)
    around = torch.arange(-_AROUND, _AROUND + 1, device=scores.device)
    angles, weights = [], []
    for _ in range(count):
        near = (shares.argmax(1)[:, None] + around) % total  # (M, 2 * _AROUND + 1)
        mass = shares.gather(1, near)
        x, y = (mass[..., None] * waves[near]).sum(1).unbind(1)
        angles.append(torch.atan2(y, x))
        weights.append(mass.sum(1))
        shares = shares.scatter(1, near, 0.0)
    return torch.stack(angles, 1), torch.stack(weights, 1)


def scale_quantiles(scores: Tensor, config: FrameConfig, levels: Sequence[float]) -> Tensor:
    """Return scales below which the given shares of what is believed lie.

    The median is the level 0.5. Large scales are rare: the likeliest bin is often too small.

    Args:
        scores: (M, scales) of bins, before softmax.
        config: What the bins are.
        levels: Q shares, in (0, 1).

    Returns:
        (M, Q) scales in pixels, between bins linearly in their logarithm.
    """
    below = scores.softmax(1).cumsum(1)
    wanted = torch.tensor(levels, device=scores.device).expand(len(scores), -1).contiguous()
    bins = torch.searchsorted(below, wanted).clamp(max=config.scales - 1)
    high = below.gather(1, bins)
    low = torch.where(bins > 0, below.gather(1, (bins - 1).clamp(min=0)), torch.zeros_like(high))
    part = ((wanted - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    step = (config.largest - config.smallest) / (config.scales - 1)
    return (config.smallest + (bins - 0.5 + part) * step).exp()
