"""Measure what a device can do at most: copying, and multiplying matrices.

    python benchmarks/ceilings.py -o ceilings.json

Shares of these two are what the other programs report.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from conftest import describe_machine

from invertdesc._files import atomic_write


def seconds(run: Callable[[], object], device: str, times: int) -> float:
    """Return the seconds of one call: the mean over several, after three to warm up."""
    for number in range(times + 3):
        if number == 3:
            _wait(device)
            start = time.perf_counter()
        run()
    _wait(device)
    return (time.perf_counter() - start) / times


def matrix_rate(device: str, side: int) -> float:
    """Return the operations a second of a product of random bfloat16 matrices."""
    draw = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(side, side, device=device, generator=draw).bfloat16() for _ in range(2))
    return 2 * side**3 / seconds(lambda: a @ b, device, 20)


def copy_rate(device: str, size: int) -> float:
    """Return the bytes read and written a second in a copy on the device."""
    source = torch.randint(256, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / seconds(lambda: target.copy_(source), device, 20)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    large = options.device == "cuda"
    found = {
        "machine": describe_machine(),
        "matrix, TFLOP/s": matrix_rate(options.device, 8192 if large else 512) / 1e12,
        "copy, GB/s": copy_rate(options.device, 2**32 if large else 2**24) / 1e9,
    }
    with atomic_write(options.output) as file:
        file.write(json.dumps(found, indent=1).encode())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
