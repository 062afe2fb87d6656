"""Sum fields of several supports, with a gain for each support and band of frequencies."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from invertdesc.features.batch import FeatureBatch
from invertdesc.ops.filter_waves import filter_waves
from invertdesc.unfolding.frame import Frame

# Cycles per pixel for keypoints of scale 1: octaves, the middles of the bands.
FREQUENCIES = (1 / 256, 1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4)


def band_weights(frequencies: Tensor) -> Tensor:
    """Return (K, ...), the shares of the bands in given frequencies; they sum to 1.

    Between the middles of two bands a share is linear in the logarithm of the frequency.

    Args:
        frequencies: (...) float, cycles per pixel.

    >>> band_weights(torch.tensor([1 / 64, 0.0]))[:, 0].tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    lowest, count = FREQUENCIES[0], len(FREQUENCIES)
    place = (frequencies / lowest).clamp(min=1e-6).log2().clamp(0, count - 1)
    bands = torch.arange(count, device=frequencies.device).view(-1, *[1] * frequencies.ndim)
    return (1 - (place - bands).abs()).clamp(min=0)


def amplify(maps: Tensor, gains: Tensor, scales: Tensor, stride: int) -> Tensor:
    """Multiply the frequencies of maps by the gains of their bands.

    Args:
        maps: (B, C, h, w) float.
        gains: (K,) float, a factor for each of `FREQUENCIES`.
        scales: (B,) float, the scale of the keypoints of each image.
        stride: Distance in pixels between samples of the maps.

    Returns:
        (B, C, h, w).
    """
    gains = gains.to(maps)

    def factors(scale: Tensor, frequencies: Tensor) -> Tensor:
        weights = band_weights(frequencies * (scale / stride))
        return torch.einsum("k,khw->hw", gains, weights)

    pairs = zip(maps, scales, strict=True)
    return torch.stack([filter_waves(one, partial(factors, scale)) for one, scale in pairs])


def scales_of(batch: FeatureBatch, frame: Frame) -> Tensor:
    """Return (B,), the median scale of the keypoints of each image; 1 without keypoints."""
    scales = frame.sides(batch) / frame.support
    return torch.stack(
        [
            scales[rows].median() if rows.stop > rows.start else scales.new_tensor(1.0)
            for rows in batch.rows
        ]
    )
