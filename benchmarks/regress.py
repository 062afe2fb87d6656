"""Show what became slower: times as ratios to fixed work, compared with kept ratios.

    python benchmarks/regress.py           # compares
    python benchmarks/regress.py --keep    # keeps the ratios of this run, to commit them

The fixed work, convolutions and products by torch and sorting by NumPy, does not change with this
package. Work and fixed work take turns, each in CPU seconds of one thread, so that a busy machine
slows both; the least of all turns counts. A ratio depends on the processor and on torch: compare
on the machine that `results/regress.json` names. The exit status is always 0, since a time is no
test.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from conftest import describe_machine, sift_crops

from invertdesc import FeatureBatch, create_descriptor, create_method
from invertdesc.features.local import LocalFeatures
from invertdesc.rasterizers.cells import CellPyramid
from invertdesc.rasterizers.field import FieldRasterizer

KEPT = Path(__file__).parent / "results" / "regress.json"
SLOWER = 1.2
TURNS, SPENT = 8, 1.5  # at least so many turns, and so many CPU seconds


def work() -> dict[str, Callable[[], object]]:
    """Return what is timed, by name; all of 256 x 256 pixels."""
    crops = sift_crops()
    one = FeatureBatch.collate([crops[0]])
    eight = FeatureBatch.collate([crops[number] for number in range(8)])
    found: dict[str, Callable[[], object]] = {}
    for name in ("poisson", "unfold", "auto", "coarse", "upconv"):
        method = create_method(name, descriptor="sift")
        found[f"{name}, 1 picture"] = lambda method=method: method(one)
    for name in ("poisson", "unfold"):
        method = create_method(name, descriptor="sift")
        found[f"{name}, 8 pictures"] = lambda method=method: method(eight)
    cells, field = CellPyramid((2, 4), descriptor="sift"), FieldRasterizer("sift")
    found |= {"cell maps, 8": lambda: cells(eight), "field, 8": lambda: field(eight)}
    orb = create_descriptor("orb")
    found["encode bits"] = lambda: orb.encode(torch.zeros(4096, 32, dtype=torch.uint8))
    first = crops[0]
    found["check features"] = lambda: LocalFeatures(
        keypoints=first.keypoints,
        descriptors=first.descriptors,
        image_size=first.image_size,
        scales=first.scales,
        orientations=first.orientations,
        descriptor="sift",
    )
    return found


def fixed_work() -> Callable[[], object]:
    """Return work that does not change with this package, of some milliseconds."""
    draw = torch.Generator().manual_seed(0)
    maps = torch.rand(1, 24, 128, 128, generator=draw)
    weights = torch.rand(24, 24, 3, 3, generator=draw)
    square = torch.rand(256, 256, generator=draw)
    numbers = np.random.default_rng(0).random(50_000)

    def run() -> None:
        torch.conv2d(maps, weights, padding=1)
        torch.linalg.multi_dot([square] * 4)
        np.sort(numbers)

    return run


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def ratios() -> dict[str, float]:
    """Return the time of each work as a multiple of that of the fixed work."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    fixed, found = fixed_work(), {}
    with torch.no_grad():
        for name, call in work().items():
            call()
            fixed()
            least, turns, spent = [math.inf, math.inf], 0, 0.0
            while turns < TURNS or spent < SPENT:
                times = seconds(call), seconds(fixed)
                least = [min(pair) for pair in zip(least, times, strict=True)]
                turns, spent = turns + 1, spent + sum(times)
            found[name] = round(least[0] / least[1], 3)
    return found


def report(found: dict[str, float], kept: dict[str, float]) -> list[str]:
    """Return a line for each work, with a mark where it became slower."""
    lines = []
    for name, ratio in found.items():
        before = kept.get(name)
        change = "     new" if before is None else f"{ratio / before:8.2f}"
        mark = "  SLOWER" if before is not None and ratio > SLOWER * before else ""
        lines.append(f"{name:24} {ratio:9.3f} {change}{mark}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="keep the ratios of this run")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    kept = json.loads(KEPT.read_text())["ratios"] if KEPT.is_file() else {}
    found = ratios()
    print("work                         ratio   to kept")
    print("\n".join(report(found, kept)))
    if given.keep:
        machine = {name: describe_machine()[name] for name in ("cpu", "torch", "opencv", "python")}
        KEPT.write_text(json.dumps({"machine": machine, "ratios": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
