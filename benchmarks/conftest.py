"""Record machine and versions with every measurement."""

import importlib.util
import json
import os
import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from invertdesc import FeatureBatch, create_descriptor
from invertdesc._files import atomic_write
from invertdesc.image import to_image

SIZE = 256


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--as-it-goes", type=Path, help="JSON file with the results so far.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Write the result of each benchmark at once, since a run may be stopped before its end."""
    report: Any = yield
    file: Path | None = item.config.getoption("--as-it-goes")
    measured = getattr(item, "funcargs", {}).get("benchmark")
    if file is not None and report.when == "call" and getattr(measured, "stats", None):
        record = {"benchmarks": []}
        if file.is_file():
            record = json.loads(file.read_text())
        record["benchmarks"].append(measured.stats.as_dict(include_data=False))
        with atomic_write(file) as part:
            part.write(json.dumps(record, indent=1).encode())
    return report


@pytest.fixture
def record(benchmark: Any) -> Callable[..., None]:
    """Record the machine and further values in the `extra_info` of a benchmark."""

    def note(**more: object) -> None:
        benchmark.extra_info.update(describe_machine(), **more)

    return note


def describe_machine() -> dict[str, object]:
    """Return machine and versions."""
    models = (
        line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line
    )
    triton = importlib.util.find_spec("triton")
    return {
        "cpu": next(models, platform.processor()),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "triton": metadata.version("triton") if triton else None,
        "opencv": cv2.__version__,
    }


@pytest.fixture(scope="session")
def sift_batch() -> FeatureBatch:
    return sift_crops()


def sift_crops() -> FeatureBatch:
    """SIFT features of 32 crops of 256 x 256 pixels of scikit-image's pictures."""
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    rng = np.random.default_rng(0)
    sift = create_descriptor("sift", contrast_threshold=0.03)
    features = []
    for number in range(32):
        picture = pictures[number % len(pictures)]
        y, x = (rng.integers(0, side - SIZE + 1) for side in picture.shape[:2])
        features.append(sift.extract(to_image(picture[y : y + SIZE, x : x + SIZE])))
    return FeatureBatch.collate(features)


def _lines(path: str) -> list[str]:
    try:
        with open(path) as file:  # noqa: PTH123
            return file.readlines()
    except OSError:
        return []
