"""Measure what the gaps of a store cost an attacker: NCC of pictures made without them.

    python tools/missing_costs.py PHOTOS --images 20

SIFT of photographs is extracted once; then fields are taken away, guessed or rounded as stores do.
Prints the table of docs/formats.md: mean NCC in luma with its standard error.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from invertdesc import LocalFeatures, extract, read_image, reconstruct
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray
from invertdesc.sources import find_sources, spread

Change = Callable[[LocalFeatures], LocalFeatures]
METHODS = ("poisson", "unfold")


def without_size(features: LocalFeatures) -> LocalFeatures:
    x, y = features.keypoints.max(0).values.tolist()
    return replace(features, image_size=(int(y + 0.5) + 1, int(x + 0.5) + 1))


def in_half(features: LocalFeatures) -> LocalFeatures:
    return replace(features, keypoints=features.keypoints.half().float())


def shifted(features: LocalFeatures) -> LocalFeatures:
    height, width = features.image_size
    high = torch.tensor([width - 0.5, height - 0.5])
    return replace(features, keypoints=(features.keypoints + 0.5).minimum(high))


def doubled(features: LocalFeatures) -> LocalFeatures:
    return replace(features, scales=None if features.scales is None else 2 * features.scales)


CHANGES: dict[str, Change] = {
    "nothing": lambda one: one,
    "scores": lambda one: one.without("scores"),
    "image size: taken from the outermost keypoints": without_size,
    "orientations, `--assume orientations=0`": lambda one: one.without("orientations").assume(
        orientations=0.0
    ),
    "scales, `--assume scales=2`": lambda one: one.without("scales").assume(scales=2.0),
    "both": lambda one: one.without("scales", "orientations").assume(scales=2.0, orientations=0.0),
    "positions beyond float16": in_half,
    "where a pixel's centre is: half a pixel off": shifted,
    "whether scales are diameters: twice as large": doubled,
}


def score(picture: Tensor, truth: Tensor) -> float:
    """Return the NCC with the part of the true picture that a smaller one shows."""
    height, width = picture.shape[-2:]
    return float(ncc(to_gray(picture, "luma"), to_gray(truth[:, :height, :width], "luma")))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=20)
    given = parser.parse_args()
    pictures = [read_image(p) for p in spread(find_sources([str(given.photos)]), given.images)]
    features = [extract(picture) for picture in pictures]
    print(f"| missing | {' | '.join(f'`{method}`' for method in METHODS)} |\n| --- | --- | --- |")
    for name, change in CHANGES.items():
        cells = []
        for method in METHODS:
            found = torch.tensor(
                [
                    score(reconstruct(change(one), method=method), picture)
                    for one, picture in zip(features, pictures, strict=True)
                ]
            )
            error = float(found.std() / len(found) ** 0.5)
            cells.append(f"{float(found.mean()):.3f} ± {error:.3f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
