"""Measure `biht` and `tv` in the setting of their papers, without keypoints.

    python benchmarks/measure_tiles.py FOLDER

Pictures are cut into squares of 32 x 32 pixels; 512 pairs of 9 x 9 boxes are compared in each.
Prints the mean correlation of found with true squares.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.image import to_gray, to_image
from invertdesc.methods.biht import Biht
from invertdesc.methods.tv import least_variation
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.pattern import Pattern

TILE = 32
IMAGES = 10
WEIGHT, STEPS = 4.0, 100  # parameters of `tv`


def likeness(found: Tensor, true: Tensor) -> float:
    """Return the mean correlation of squares (N, G, G) with (N, 1024)."""
    made = F.interpolate(found[:, None], size=TILE, mode="bilinear").flatten(1)
    both = (part - part.mean(1, keepdim=True) for part in (made, true))
    return float(torch.cosine_similarity(*both).mean())


def main(folder: str) -> None:
    draw = torch.Generator().manual_seed(42)
    centres = torch.randint(4, TILE - 4, (512, 2, 2), generator=draw)
    boxes = torch.cat([(centres + 0.5) / TILE - 0.5, torch.full((512, 2, 1), 9 / TILE)], 2)
    pattern = Pattern(boxes, Frame(float(TILE), scaled=False, rotated=False))
    grays = [to_gray(to_image(path)) for path in sorted(Path(folder).iterdir())[:IMAGES]]
    tiles = [gray.unfold(0, TILE, TILE).unfold(1, TILE, TILE).flatten(2) for gray in grays]
    true = torch.cat([part.flatten(0, 1) for part in tiles])
    matrix = pattern.matrix(TILE)
    differences = true @ matrix.T
    bits = torch.where(differences > 0, 1.0, -1.0)
    print(f"{len(true)} squares of {len(grays)} pictures")
    for grid in (16, 32):
        print(f"biht, grid={grid}: {likeness(Biht(grid=grid).patches(pattern, bits), true):.3f}")
    for name, measured in (("differences", differences), ("bits", bits)):
        found = least_variation(matrix, measured, WEIGHT, STEPS)
        print(f"tv on {name}: {likeness(found, true):.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
