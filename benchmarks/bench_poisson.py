"""Features to picture by `poisson`: by invertdesc, and by a simple loop over keypoints.

pytest benchmarks/bench_poisson.py
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

from invertdesc import FeatureBatch, create_descriptor, create_method

Record = Callable[..., None]


@pytest.mark.benchmark(group="poisson, SIFT, batch 32, 256 x 256")
@pytest.mark.parametrize("stride", [1, 2])
def test_ours(benchmark: Any, record: Record, sift_batch: FeatureBatch, stride: int) -> None:
    method = create_method("poisson", stride=stride)
    record(images=len(sift_batch), keypoints=len(sift_batch.keypoints) / len(sift_batch))
    with torch.inference_mode():
        benchmark(method, sift_batch)


@pytest.mark.benchmark(group="poisson, SIFT, batch 32, 256 x 256")
def test_ours_known_unfolding(benchmark: Any, record: Record, sift_batch: FeatureBatch) -> None:
    known = create_descriptor("sift").known_unfolding  # type: ignore[attr-defined]
    method = create_method("poisson", unfolding=known)
    record(images=len(sift_batch), keypoints=len(sift_batch.keypoints) / len(sift_batch))
    with torch.inference_mode():
        benchmark(method, sift_batch)


@pytest.mark.benchmark(group="poisson, SIFT, batch 32, 256 x 256")
def test_loop_over_keypoints(benchmark: Any, record: Record, sift_batch: FeatureBatch) -> None:
    record(images=len(sift_batch), keypoints=len(sift_batch.keypoints) / len(sift_batch))
    benchmark.pedantic(lambda: [_by_loop(one) for one in sift_batch], rounds=1)


def _by_loop(features: Any) -> Any:
    """Paint each keypoint's 4 x 4 known gradients with array operations over its square."""
    height, width = features.image_size
    sums, weights = np.zeros((2, height, width)), np.zeros((height, width))
    phi = np.arange(8) * np.pi / 4
    vectors = features.descriptors.numpy().reshape(-1, 4, 4, 8)
    right, down = vectors @ np.cos(phi), -vectors @ np.sin(phi)
    rows = zip(
        features.keypoints.tolist(),
        features.scales.tolist(),
        features.orientations.tolist(),
        strict=True,
    )
    for number, ((x, y), scale, turn) in enumerate(rows):
        cell, cos, sin = 3 * scale, np.cos(turn), np.sin(turn)
        reach = 2 * cell * (abs(cos) + abs(sin))
        ys = np.arange(max(0, int(y - reach)), min(height, int(y + reach) + 2))[:, None]
        xs = np.arange(max(0, int(x - reach)), min(width, int(x + reach) + 2))
        column = np.floor(((xs - x) * cos + (ys - y) * sin) / cell + 2).astype(int)
        row = np.floor(((ys - y) * cos - (xs - x) * sin) / cell + 2).astype(int)
        inside = (row >= 0) & (row < 4) & (column >= 0) & (column < 4)
        place = (ys + 0 * xs)[inside], (xs + 0 * ys)[inside]
        a, b = right[number][row[inside], column[inside]], down[number][row[inside], column[inside]]
        weight = cell**-4
        sums[0][place] += weight / scale * (a * cos - b * sin)
        sums[1][place] += weight / scale * (a * sin + b * cos)
        weights[place] += weight
    gx, gy = sums / np.maximum(weights, 1e-12)
    divergence = np.zeros((height, width))
    divergence[:, :-1] += gx[:, :-1]
    divergence[:, 1:] -= gx[:, :-1]
    divergence[:-1] += gy[:-1]
    divergence[1:] -= gy[:-1]
    waves = [2 * np.cos(np.pi * np.arange(n) / n) - 2 for n in (height, width)]
    return idctn(dctn(divergence) / (waves[0][:, None] + waves[1] - 1e-4))
