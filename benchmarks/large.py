"""Measure memory and time of one large picture, in a fresh process for each.

    python benchmarks/large.py --megapixels 12 -m poisson -m unfold -m auto
    python benchmarks/large.py --megapixels 100 --json large.json

Features are those of scikit-image's picture of an astronaut (512 x 512 pixels), repeated side by
side to the wanted size: 4 by 3, and as dense as in a small picture. Memory is the peak of the
process, with all libraries, as Linux counts it; CPU seconds are those of the call alone.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from invertdesc import Limits, LocalFeatures, extract, reconstruct, use_limits

GIB = 2**30
STATUS = Path("/proc/self/status")


def repeated(features: LocalFeatures, size: tuple[int, int]) -> LocalFeatures:
    """Return features repeated side by side over a picture (H, W)."""
    height, width = features.image_size
    rows, columns = (
        math.ceil(whole / part) for whole, part in zip(size, (height, width), strict=True)
    )
    shifts = torch.cartesian_prod(torch.arange(columns) * width, torch.arange(rows) * height)
    places = (features.keypoints + shifts[:, None]).flatten(0, 1)
    inside = (places < torch.tensor([size[1] - 0.5, size[0] - 0.5])).all(1)

    def again(values: torch.Tensor | None) -> torch.Tensor | None:
        if values is None:
            return None
        return values.repeat(len(shifts), *[1] * (values.ndim - 1))[inside]

    return LocalFeatures(
        keypoints=places[inside],
        descriptors=again(features.descriptors),
        image_size=size,
        scales=again(features.scales),
        orientations=again(features.orientations),
        scores=again(features.scores),
        descriptor=features.descriptor,
        provenance=features.provenance,
    )


def size_of(megapixels: float) -> tuple[int, int]:
    """Return (H, W) of a picture of 4 by 3 with that many pixels."""
    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    return height, round(height * 4 / 3)


def peak_bytes() -> int:
    """Return the peak memory of this process."""
    (line,) = (one for one in STATUS.read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def measure(method: str, megapixels: float, descriptor: str) -> dict[str, Any]:
    """Reconstruct one picture in this process."""
    from skimage.data import astronaut

    warnings.simplefilter("ignore")
    size = size_of(megapixels)
    features = repeated(extract(astronaut(), descriptor=descriptor), size)
    before, used = peak_bytes(), time.process_time()
    with use_limits(Limits(pixels=10**9)):
        picture = reconstruct(features, method=method)
    return {
        "method": method,
        "descriptor": descriptor,
        "size": size,
        "keypoints": len(features),
        "peak_gib": round(peak_bytes() / GIB, 2),
        "before_gib": round(before / GIB, 2),
        "cpu_s": round(time.process_time() - used, 1),
        "finite": bool(torch.isfinite(picture[0, ::64, ::64]).all()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megapixels", type=float, action="append")
    parser.add_argument("-m", "--method", action="append")
    parser.add_argument("-d", "--descriptor", default="sift")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    parser.add_argument("--here", action="store_true", help="measure one, in this process")
    given = parser.parse_args()
    sizes, methods = given.megapixels or [12.0], given.method or ["poisson", "unfold", "auto"]
    if given.here:
        print(json.dumps(measure(methods[0], sizes[0], given.descriptor)))
        return
    found = []
    for size in sizes:
        for method in methods:
            words = ["--here", "-m", method, "--megapixels", str(size), "-d", given.descriptor]
            command = [sys.executable, __file__, *words]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            line = made.stdout if made.returncode == 0 else json.dumps({"failed": method})
            found.append(json.loads(line))
            print(line.strip(), flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
