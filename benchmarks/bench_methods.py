"""Features to picture by each method: 16 images of 256 x 256, with SIFT's keypoints.

pytest benchmarks/bench_methods.py --benchmark-json=benchmarks/results/methods-cpu.json
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from invertdesc import FeatureBatch, create_method, extract, list_methods
from invertdesc.errors import InvertDescError
from invertdesc.image import to_image

Record = Callable[..., None]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="module")
def batch(sift_batch: FeatureBatch) -> FeatureBatch:
    images = [sift_batch[number] for number in range(16)]
    return FeatureBatch.collate([replace(one, scores=None) for one in images])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", [name for name in list_methods() if name != "gradient"])
def test_features_to_picture(
    benchmark: Any, record: Record, batch: FeatureBatch, name: str, device: str
) -> None:
    benchmark.group = f"features to picture, batch 16, {device}"
    try:
        method, given = create_method(name), batch.to(device)
    except InvertDescError as error:  # it needs a file
        pytest.skip(str(error))
    record(images=len(batch), keypoints=len(batch.keypoints) / len(batch), device=device)

    def run() -> None:
        method(given)
        if device == "cuda":
            torch.cuda.synchronize()

    benchmark.pedantic(run, rounds=10, warmup_rounds=2)


def test_extraction_before_it(benchmark: Any, record: Record) -> None:
    """Measure SIFT on the CPU, to estimate the time of a whole run."""
    from skimage import data

    image = to_image(data.astronaut()[:256, 100:356])
    benchmark.group = "features to picture, batch 16, cpu"
    record(images=16, device="cpu")
    benchmark.pedantic(lambda: extract([image] * 16), rounds=5, warmup_rounds=1)
