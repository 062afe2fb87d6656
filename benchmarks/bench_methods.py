"""Features to picture by each method: 16 images of 256 x 256, with SIFT's keypoints; fast ones 256.

    pytest benchmarks/bench_methods.py --benchmark-json=benchmarks/results/methods-cpu.json

Methods that take more than two seconds for a batch are timed fewer times.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from invertdesc import FeatureBatch, LocalFeatures, create_method, extract, list_methods
from invertdesc.image import to_image

Record = Callable[..., None]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


FAST = ("unfold", "unfold+cgan", "poisson", "coarse", "coarse+cgan", "upconv")
CASES = [(name, 256) for name in FAST if len(DEVICES) > 1] + [
    (name, 16) for name in list_methods(descriptor="sift", ready=True) if name != "gradient"
]


@pytest.fixture(scope="module")
def features(sift_batch: FeatureBatch) -> list[LocalFeatures]:
    images = [sift_batch[number] for number in range(len(sift_batch))]
    return [replace(one, scores=None) for one in images]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("name", "images"), CASES)
def test_features_to_picture(
    benchmark: Any,
    record: Record,
    features: list[LocalFeatures],
    name: str,
    images: int,
    device: str,
) -> None:
    if images > 16 and device == "cpu":
        pytest.skip("large batches are for devices")
    benchmark.group = f"features to picture, batch {images}, {device}"
    batch = FeatureBatch.collate([features[n % len(features)] for n in range(images)])
    method, given = create_method(name), batch.to(device)
    record(images=len(batch), keypoints=len(batch.keypoints) / len(batch), device=device)

    def run() -> None:
        method(given)
        if device == "cuda":
            torch.cuda.synchronize()

    run()
    start = time.perf_counter()
    run()
    rounds = max(1, min(10, int(2 / (time.perf_counter() - start))))
    benchmark.pedantic(run, rounds=rounds)


def test_extraction_before_it(benchmark: Any, record: Record) -> None:
    """Measure SIFT on the CPU, to estimate the time of a whole run."""
    from skimage import data

    image = to_image(data.astronaut()[:256, 100:356])
    benchmark.group = "features to picture, batch 16, cpu"
    record(images=16, device="cpu")
    benchmark.pedantic(lambda: extract([image] * 16), rounds=5, warmup_rounds=1)
