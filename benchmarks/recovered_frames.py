"""Measure how well orientations and scales are recovered, and the pictures made with them.

    python benchmarks/recovered_frames.py FACES PHOTOS --images 100 -o frames.json

Every line gives a mean over the images of a folder and its standard error: NCC of `unfold` with the
true frames, with a fixed guess (0 radians, 2 pixels), with the network's guess, and with what
`recover_frames` finds; the share of recovered orientations within 15 degrees of the true ones, and
the error of recovered scales in octaves. Images without 8 keypoints are left out.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from invertdesc import LocalFeatures, create_descriptor, read_image, reconstruct, recover_frames
from invertdesc._files import atomic_write
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray
from invertdesc.sources import spread

LEAST = 8  # keypoints
MISSING = {
    "orientations": ("orientations",),
    "scales": ("scales",),
    "both": ("scales", "orientations"),
}
Figures = dict[str, float]


def likeness(features: LocalFeatures, image: Tensor, method: str) -> float:
    """Return the NCC of the reconstruction, in the gray that the descriptor saw."""
    mode = features.provenance.gray_mode
    return float(ncc(to_gray(reconstruct(features, method=method), mode), to_gray(image, mode)))


def frames_right(found: LocalFeatures, true: LocalFeatures) -> Figures:
    """Return the share of orientations within 15 degrees, and the error of scales in octaves."""
    figures: Figures = {}
    if found.orientations is not None and true.orientations is not None:
        off = found.orientations - true.orientations
        near = torch.atan2(off.sin(), off.cos()).abs() <= math.radians(15)
        figures["right"] = float(near.float().mean())
    if found.scales is not None and true.scales is not None:
        figures["octaves"] = float((found.scales / true.scales).log2().abs().mean())
    return figures


def measure(true: LocalFeatures, image: Tensor, missing: str, method: str, rounds: int) -> Figures:
    """Return the figures of one image."""
    bare = true.without(*MISSING[missing])
    start = time.process_time()
    found = recover_frames(bare, rounds=rounds)
    seconds = time.process_time() - start
    guessed = recover_frames(bare, rounds=0)
    return {
        "true": likeness(true, image, method),
        "fixed": likeness(bare.assume(scales=2.0, orientations=0.0), image, method),
        "guessed": likeness(guessed, image, method),
        "recovered": likeness(found, image, method),
        **{f"guessed {name}": value for name, value in frames_right(guessed, true).items()},
        **frames_right(found, true),
        "seconds": seconds,
        "keypoints": float(len(true)),
    }


def summarise(rows: list[Figures]) -> Iterator[tuple[str, float, float]]:
    """Yield the name, the mean and its standard error of each figure."""
    for name in rows[0]:
        values = torch.tensor([row[name] for row in rows], dtype=torch.float64)
        error = values.std() / math.sqrt(len(values)) if len(values) > 1 else math.nan
        yield name, float(values.mean()), float(error)


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=100, help="of each folder, evenly spaced")
    parser.add_argument("--missing", nargs="+", choices=MISSING, default=["orientations", "both"])
    parser.add_argument("-d", "--descriptor", default="sift")
    parser.add_argument("-m", "--method", default="unfold")
    parser.add_argument("--gray", default="luma")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, help="JSON with the figures of every image")
    given = parser.parse_args()
    adapter = create_descriptor(given.descriptor, gray=given.gray)
    found: dict[str, list[Figures]] = {}
    paths = [
        path for folder in given.folders for path in spread(sorted(folder.iterdir()), given.images)
    ]
    random.Random(0).shuffle(paths)  # so that a run that is cut short tells of all folders
    for path in paths:
        image = read_image(path)
        features = adapter.extract(image)
        if len(features) < LEAST:
            continue
        for missing in given.missing:
            key = f"{path.parent}, without {missing}"
            row = measure(features, image, missing, given.method, given.rounds)
            found.setdefault(key, []).append(row)
        if given.output is not None:
            with atomic_write(given.output) as file:
                file.write(json.dumps(found, indent=1).encode())
    for key, rows in found.items():
        print(f"{given.descriptor}, {given.gray}, {given.method}: {key}, N = {len(rows)}")
        for name, mean, error in summarise(rows):
            print(f"  {name:<18} {mean:.4f} +- {error:.4f}")


if __name__ == "__main__":
    main()
