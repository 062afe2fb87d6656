"""Time invertdesc beside other programs that do the same, on the same features, in one run.

    python benchmarks/peers.py
    python benchmarks/peers.py --only placing merging --json peers.json

CPU seconds of the whole process, of one thread, the least of several runs; the ratio is to the
first of each group, so that it holds on a busy machine too. Groups:

- placing: keypoints to two cell maps, 8 images of 300 keypoints.
- reading: a COLMAP database of 256 images with 1,003 keypoints each, through pycolmap.
- coding: positive sparse codes of 2,000 vectors by a dictionary, through scikit-learn.
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

from invertdesc import FeatureBatch, extract, open_store
from invertdesc.image import to_gray, to_image
from invertdesc.methods._lasso import positive_lasso
from invertdesc.ops import solve_poisson

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
            print(f"{group:8} {name:20} {took:10.2f} ms  {took / first:8.2f}")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
