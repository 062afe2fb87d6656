"""Time invertdesc beside other programs that do the same, on the same features, in one run.

    python benchmarks/peers.py
    python benchmarks/peers.py --only placing merging --json peers.json

CPU seconds of the whole process, of one thread, the least of several runs; the ratio is to the
first of each group, so that it holds on a busy machine too. Groups:

- placing: keypoints to two cell maps, 8 images of 300 keypoints.
- rasterising: 1,200 keypoints to the pixel under each, a map of 256 x 256 x 128 values an image, by
  a loop that assigns keypoint by keypoint: the last wins, as in NinjaDesc, or the nearest to the
  camera, as in InvSfM, whose points have a depth. Here the strongest wins and others move.
- reading: a COLMAP database of 256 images with 1,003 keypoints each, through pycolmap.
- coding: positive sparse codes of 2,000 vectors by a dictionary, through scikit-learn.
- patches: 300 patches of 16 x 16 pixels from 512 bits each, by binary iterative hard thresholding:
  here of all patches at once, there patch by patch with NumPy, as in LBD (d'Angelo et al. 2014).
  Learning a dictionary is not compared, since it is scikit-learn's own.
- merging: 25 squares of a picture into one of 256 x 256 pixels. OpenCV's `seamlessClone` solves one
  Poisson equation for each square, with the picture at its border; here one solve serves all. The
  two results differ, and only the time is compared.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from skimage import data

from invertdesc import FeatureBatch, create_descriptor, extract, open_store
from invertdesc.image import to_gray, to_image
from invertdesc.methods._lasso import positive_lasso
from invertdesc.methods.biht import Biht, weighted_haar
from invertdesc.ops import solve_poisson
from invertdesc.rasterizers.cells import CellRasterizer
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.pattern import Pattern

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests" / "stores")]
import bench_placement  # noqa: E402
from make_stores import write_colmap  # noqa: E402

Contenders: TypeAlias = dict[str, Callable[[], object]]
SPENT = 2.0  # CPU seconds for each contender


def placing(_: Path) -> Contenders:
    case = bench_placement.Case(8, 300, 256, "cpu")
    names = ("ours", "loop", "numpy_unique_first", "numpy_last_wins", "torch_index_put")
    return {
        ("invertdesc" if name == "ours" else name): lambda name=name: getattr(
            bench_placement, name
        )(case)
        for name in names
    }


def rasterising(_: Path) -> Contenders:
    images = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    sift = create_descriptor("sift", max_num_keypoints=300)
    features = [sift.extract(to_image(image[:256, :256])) for image in images]
    batch = FeatureBatch.collate(features)
    own = CellRasterizer(1, descriptor="sift")
    tables = [
        (one.keypoints.numpy(), sift.encode(one.descriptors).numpy(), one.scales.numpy())
        for one in features
    ]

    def last_wins() -> list[Any]:
        maps = []
        for points, vectors, _ in tables:
            values = np.zeros((256, 256, 128), np.float32)
            for (x, y), vector in zip(points, vectors, strict=True):
                values[round(float(y)), round(float(x))] = vector
            maps.append(values)
        return maps

    def nearest_wins() -> list[Any]:
        maps = []
        for points, vectors, depths in tables:
            values = np.zeros((256, 256, 128), np.float32)
            buffer = np.full((256, 256), np.inf, np.float32)
            for (x, y), vector, depth in zip(points, vectors, depths, strict=True):
                row, column = round(float(y)), round(float(x))
                if depth < buffer[row, column]:
                    buffer[row, column], values[row, column] = depth, vector
            maps.append(values)
        return maps

    return {
        "invertdesc": lambda: own(batch),
        "loop, last wins": last_wins,
        "loop, nearest wins": nearest_wins,
    }


def patches(_: Path) -> Contenders:
    draw = torch.Generator().manual_seed(0)
    centres = torch.rand(512, 2, 2, generator=draw) * 0.8 - 0.4
    boxes = torch.cat([centres, torch.full((512, 2, 1), 0.28)], 2)
    pattern = Pattern(boxes, Frame(32.0, scaled=False, rotated=False))
    own, keep, steps, count = Biht(grid=16), 26, 60, 300
    gray = to_gray(to_image(data.camera()))
    true = gray.unfold(0, 16, 16).unfold(1, 16, 16).flatten(0, 1).flatten(1)[:count]
    bits = torch.where(true @ pattern.matrix(16).T > 0, 1.0, -1.0)
    basis = weighted_haar(16)
    matrix = torch.nn.functional.normalize(pattern.matrix(16), dim=1) @ basis.T
    table = torch.nn.functional.normalize(matrix, dim=1).numpy()

    def by_patch() -> list[Any]:
        found = []
        for one in bits.numpy():
            x = table.T @ one
            for _ in range(steps):
                x += table.T @ (one - np.sign(table @ x)) / len(table)
                x[np.argpartition(np.abs(x), -keep)[:-keep]] = 0
            found.append(x / max(float(np.linalg.norm(x)), 1e-12))
        return found

    return {"invertdesc": lambda: own.patches(pattern, bits), "NumPy, patch by patch": by_patch}


def reading(folder: Path) -> Contenders:
    features = extract(data.astronaut())
    path = write_colmap(folder, {f"{number:03}.png": features for number in range(256)})

    def read() -> int:
        with open_store(path) as store:
            return sum(len(one) for _, one in store)

    def pycolmap() -> int:
        from pycolmap import Database

        database = Database.open(str(path))
        return sum(
            len(database.read_keypoints(one.image_id))
            + 0 * len(database.read_descriptors(one.image_id).data)
            for one in database.read_all_images()
        )

    found: Contenders = {"invertdesc": read}
    if importlib.util.find_spec("pycolmap"):
        if read() != pycolmap():
            raise RuntimeError("Expected as many keypoints from both readers.")
        found["pycolmap"] = pycolmap
    return found


def coding(_: Path) -> Contenders:
    draw = torch.Generator().manual_seed(0)
    atoms = torch.nn.functional.normalize(torch.rand(256, 128, generator=draw), dim=1)
    vectors = FeatureBatch.collate([extract(data.astronaut())]).descriptors.repeat(3, 1)[:2000]
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    found: Contenders = {"invertdesc": lambda: positive_lasso(atoms, vectors, 0.1)}
    if importlib.util.find_spec("sklearn"):
        from sklearn.decomposition import sparse_encode

        # scikit-learn divides its penalty by the length of a vector.
        found["scikit-learn"] = lambda: sparse_encode(
            vectors.double().numpy(),
            atoms.double().numpy(),
            algorithm="lasso_cd",
            alpha=0.1,
            positive=True,
            max_iter=2000,
        )
    return found


def merging(_: Path) -> Contenders:
    image = data.astronaut()[:256, 100:356].copy()
    gray = to_gray(to_image(image))
    side, places = 40, [(x, y) for x in range(28, 229, 48) for y in range(28, 229, 48)]
    down, right = torch.gradient(gray)
    whole = torch.stack([right, down])

    def once() -> torch.Tensor:
        field = torch.zeros_like(whole)
        for x, y in places:
            box = slice(y - side // 2, y + side // 2), slice(x - side // 2, x + side // 2)
            field[:, box[0], box[1]] = whole[:, box[0], box[1]]
        return solve_poisson(field[None])[0]

    def clone() -> Any:
        picture = np.full_like(image, 128)
        mask = np.full((side, side), 255, np.uint8)
        for x, y in places:
            piece = image[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2]
            picture = cv2.seamlessClone(piece, picture, mask, (x, y), cv2.NORMAL_CLONE)
        return picture

    return {"invertdesc": once, "seamlessClone": clone}


GROUPS: dict[str, Callable[[Path], Contenders]] = {
    "placing": placing,
    "rasterising": rasterising,
    "patches": patches,
    "reading": reading,
    "coding": coding,
    "merging": merging,
}


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the least CPU seconds of several calls."""
    best, spent, runs = math.inf, 0.0, 0
    call()
    while runs < 3 or (spent < SPENT and runs < 50):
        start = time.process_time()
        call()
        took = time.process_time() - start
        best, spent, runs = min(best, took), spent + took, runs + 1
    return best


def measure(groups: list[str]) -> dict[str, dict[str, float]]:
    """Return CPU milliseconds by group and contender."""
    found = {}
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for group in groups:
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            contenders = GROUPS[group](Path(folder))
            found[group] = {
                name: round(1000 * cpu_seconds(call), 3) for name, call in contenders.items()
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--json", type=Path, help="file to write the result to")
    given = parser.parse_args()
    found = measure(given.only)
    for group, times in found.items():
        first = next(iter(times.values()))
        for name, took in times.items():
            print(f"{group:11} {name:26} {took:10.2f} ms  {took / first:8.2f}")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
