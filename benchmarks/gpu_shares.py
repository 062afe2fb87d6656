"""Measure the speed of the kernels as shares of the device's limits.

    python benchmarks/gpu_shares.py -o benchmarks/results/shares-gpu.json

The time is that of the device, from a CUDA graph if the work can be recorded as one. "called" is
the time per call of many calls in a row, including Python. Without a device it times the CPU, only
to show that it runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from bench_painting import Case as Painting
from bench_painting import ours as paint
from bench_painting import whole_field
from bench_placement import CELLS, Case, ours, placing_alone, torch_scatter_rounds
from conftest import describe_machine, sift_crops
from memory import peak

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def called(run: Callable[[], object], calls: int, rounds: int = 7) -> float:
    """Return the seconds per call of many calls in a row: the median of several rounds."""
    found = []
    for _ in range(rounds + 2):  # two to warm up
        _wait()
        start = time.perf_counter()
        for _ in range(calls):
            run()
        _wait()
        found.append((time.perf_counter() - start) / calls)
    return sorted(found[2:])[rounds // 2]


def on_device(run: Callable[[], object], calls: int) -> float:
    """Return the seconds of the device's own work, replayed from a graph."""
    if DEVICE == "cpu":
        return called(run, calls)
    run()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            run()
    except RuntimeError as error:  # work that waits for the device cannot be recorded
        print("Not recorded as a graph, timed as called:", error)
        return called(run, calls)
    return called(graph.replay, calls)


def writing(size: int, calls: int) -> float:
    """Return the seconds to write a number of bytes, zeros or ones, whichever is faster."""
    there = torch.empty(size // 2, dtype=torch.bfloat16, device=DEVICE)
    return min(on_device(write, calls) for write in (there.zero_, lambda: there.fill_(1)))


def _wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def placing(images: int, calls: int) -> dict[str, float]:
    """Place and fill 300 keypoints per image into bfloat16 maps of d = 2 and d = 4."""
    case = Case(images, 300, 256, DEVICE)
    ceiling = writing(case.bytes, calls)
    both, alone = (on_device(lambda one=one: one(case), calls) for one in (ours, placing_alone))
    ours_called, rounds_called = (
        called(lambda one=one: one(case), calls) for one in (ours, torch_scatter_rounds)
    )
    taken = peak(lambda: ours(case), DEVICE)
    return {
        "bytes": case.bytes,
        "write ceiling, GB/s": case.bytes / ceiling / 1e9,
        "place and fill, us": 1e6 * both,
        "place and fill, share of the ceiling (85 % asked)": ceiling / both,
        "placing, share of the whole (at most 15 % asked)": alone / both,
        "place and fill called, us": 1e6 * ours_called,
        "called, share of the ceiling": ceiling / ours_called,
        "scatter in rounds / ours, both called (5 asked)": rounds_called / ours_called,
        "peak memory beyond the maps (5 % asked)": taken / case.bytes - 1 if taken else -1,
    }


def painting(images: int, calls: int) -> dict[str, float]:
    """Paint 300 keypoints per image of 256 x 256, stride 2, compared with two limits."""
    case = Painting(images, DEVICE, sift_crops())
    painted = on_device(lambda: paint(case), calls)
    whole = called(lambda: whole_field(case), calls)
    sums = paint(case)
    # Values are read; integers zeroed, summed and read back; sums written: each 8 bytes.
    moved = 8 * (case.pieces.numel() + 5 * sums.numel())
    bytes_floor = writing(moved, calls)
    # One addition at each end of a run, with one run for each row that a cell touches.
    cell = case.sides / 8
    rows = (cell * (case.turns.cos().abs() + case.turns.sin().abs()) + 1).clamp(max=sums.shape[-2])
    ends = int(2 * sums.shape[1] * 64 * rows.sum())
    some = min(ends, 2**24)
    canvas = torch.zeros(sums.numel(), dtype=torch.int64, device=DEVICE)
    where = torch.randint(len(canvas), (some,), device=DEVICE)
    ones = torch.ones(some, dtype=torch.int64, device=DEVICE)
    adding = on_device(lambda: canvas.index_add_(0, where, ones), calls) * ends / some
    return {
        "painting, images/s (20,000 asked)": images / painted,
        "unfolding and all, called, images/s": images / whole,
        "floor of bytes, images/s": images / bytes_floor,
        "floor of additions at random places, images/s": images / adding,
        "painting, share of the slower floor": max(bytes_floor, adding) / painted,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", "-o", type=Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--calls", type=int, default=50, help="in a row, for one timing")
    options = parser.parse_args()
    found: dict[str, object] = {"machine": describe_machine(), "images": options.images}
    for part in (placing, painting):
        with torch.inference_mode():
            found[part.__name__] = shares = part(options.images, options.calls)
        print(part.__doc__, f"Cells {CELLS}." if part is placing else "")
        for name, value in shares.items():
            print(f"  {name:52} {value:14,.3f}")
        sys.stdout.flush()
        if options.output:
            options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
