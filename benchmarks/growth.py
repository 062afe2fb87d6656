"""Measure how time grows with keypoints, pixels and images.

    python benchmarks/growth.py                        # to 10^5 keypoints, 10^7 pixels, 10^3 images
    python benchmarks/growth.py --most 6 8 4 --json growth.json

Prints CPU seconds and, for each step of ten, the slope of their logarithms: 1 is proportional.
Keypoints are at random places of 1024 x 1024 pixels, with random vectors and scales of 2 to 4
pixels; the pictures of the second table have 1,000 of them, so that only pixels grow. The store is
a COLMAP database of pictures of 64 x 64 pixels with 60 keypoints each.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import torch

from invertdesc import (
    Limits,
    LocalFeatures,
    create_method,
    open_store,
    reconstruct,
    reconstruct_store,
    use_limits,
)

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "stores"))
from make_stores import write_colmap

Row: TypeAlias = dict[str, Any]  # the first number, CPU seconds and slopes
METHODS = ["poisson", "unfold", "auto", "coarse", "upconv"]
WHAT = ("keypoints", "pixels", "images")
SHORT = 0.5  # CPU seconds; shorter calls are repeated, and the shortest counts
SIDE = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-m", "--method", action="append")
    parser.add_argument(
        "--most", type=int, nargs=3, default=(5, 7, 3), metavar=("KEYPOINTS", "PIXELS", "IMAGES")
    )
    parser.add_argument("--only", nargs="+", choices=WHAT, default=list(WHAT))
    parser.add_argument("--json", type=Path, help="file to write the result to")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    methods, (keypoints, pixels, images) = given.method or METHODS, given.most
    found: dict[str, dict[str, Row]] = {}
    with use_limits(Limits(pixels=10**9, keypoints=2**24)):
        for name in methods:
            if "keypoints" in given.only:
                grow(found, "keypoints", name, 2, keypoints, picture_of(name, False))
            if "pixels" in given.only:
                grow(found, "pixels", name, 4, pixels, picture_of(name, True))
    with tempfile.TemporaryDirectory() as folder:
        for name, run in (("read", read), ("poisson", make)) if "images" in given.only else ():
            grow(found, "images", name, 0, images, store_of(Path(folder), run))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


def grow(
    found: dict[str, dict[str, Row]],
    what: str,
    name: str,
    first: int,
    last: int,
    prepare: Callable[[int], Callable[[], object]],
) -> None:
    """Measure 10^first to 10^last of something, and print times and slopes."""
    times = [cpu_seconds(prepare(10**power)) for power in range(first, last + 1)]
    slopes = [math.log10(more / less) for less, more in pairwise(times)]
    row = found.setdefault(what, {}).setdefault(name, {})
    row["first"], row["cpu_s"] = 10**first, [round(one, 5) for one in times]
    row["slopes"] = [round(one, 3) for one in slopes]
    print(f"{what} 10^{first} to 10^{last}, {name}:")
    print("  CPU s  ", " ".join(f"{one:9.4f}" for one in times))
    print("  slopes ", " " * 9, " ".join(f"{one:9.2f}" for one in slopes), flush=True)


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call, the least of several if it is short."""
    best, spent, runs = math.inf, 0.0, 0
    while not runs or (spent < SHORT and runs < 20):
        start = time.process_time()
        call()
        took = time.process_time() - start
        best, spent, runs = min(best, took), spent + took, runs + 1
    return best


def some_features(count: int, size: tuple[int, int]) -> LocalFeatures:
    """Return features of random keypoints in a picture (H, W)."""
    draw = torch.Generator().manual_seed(0)
    turns = torch.rand(count, generator=draw) * 2 * math.pi
    return LocalFeatures(
        keypoints=torch.rand(count, 2, generator=draw) * torch.tensor([size[1] - 1, size[0] - 1]),
        descriptors=(torch.rand(count, 128, generator=draw) ** 3 * 255).round(),
        image_size=size,
        scales=2 + 2 * torch.rand(count, generator=draw),
        orientations=turns,
        descriptor="sift",
    )


def picture_of(name: str, by_pixels: bool) -> Callable[[int], Callable[[], object]]:
    """Return what prepares a reconstruction of so many keypoints, or of so many pixels."""
    method = create_method(name, descriptor="sift")

    def prepare(number: int) -> Callable[[], object]:
        side = math.isqrt(number) if by_pixels else SIDE
        features = some_features(1000 if by_pixels else number, (side, side))
        return lambda: reconstruct(features, method=method)

    reconstruct(some_features(100, (64, 64)), method=method)
    return prepare


def store_of(
    folder: Path, run: Callable[[Path, Path], object]
) -> Callable[[int], Callable[[], object]]:
    """Return what prepares a run over a store of so many images."""
    features = some_features(60, (64, 64))

    def prepare(number: int) -> Callable[[], object]:
        place = Path(tempfile.mkdtemp(dir=folder))
        path = write_colmap(place, {f"{n:06}.png": features for n in range(number)})
        return lambda: run(path, Path(tempfile.mkdtemp(dir=place)))

    return prepare


def read(path: Path, _: Path) -> None:
    with open_store(path) as store:
        for _ in store:
            pass


def make(path: Path, out: Path) -> None:
    reconstruct_store(path, out, method="poisson")


if __name__ == "__main__":
    main()
