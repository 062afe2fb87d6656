"""Reconstruct a whole store: images/s, memory, and which stage is the bottleneck.

    python benchmarks/bench_bulk.py --images 10000
    python benchmarks/bench_bulk.py --images 500 --in-turn     # without overlap, to compare
    python benchmarks/bench_bulk.py --images 10000 --device cuda --json bulk-gpu.json

The store is a COLMAP database of crops of scikit-image's pictures, 256 x 256 pixels: 64 different
ones, which are repeated under other names. With `--size 1920 1080`, features of a crop are repeated
side by side to this size. Pictures are written as PNG to a temporary folder, which
is then cleared. The stage with the most time, including waiting, is the bottleneck. Memory is the
peak of the process minus its memory after the method was loaded and made one batch; the memory of a
GPU is not counted. CPU seconds are useful even if others use the machine: `alone_cpu_ms` has those
of each stage alone, for an image, to compare with `cpu_ms_per_image` of the whole run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage import data

from invertdesc import (
    LocalFeatures,
    create_descriptor,
    create_method,
    open_store,
    reconstruct,
    reconstruct_store,
    write_image,
)
from invertdesc.bulk import jobs
from invertdesc.image import to_image

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "stores"))
from large import repeated
from make_stores import write_colmap

SIZE, DIFFERENT = 256, 64
AT_MOST = 1000  # images that are read to measure reading alone
MIB = 2**20


class InTurn(Executor):
    """An executor that runs each call immediately in the calling thread."""

    def __init__(self, _: int) -> None:
        super().__init__()

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **more))
        except BaseException as error:
            done.set_exception(error)
        return done


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--method", default="unfold")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--device")
    parser.add_argument("--in-turn", action="store_true", help="read, make and write in turn")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    given = parser.parse_args()
    if given.in_turn:
        jobs.ThreadPoolExecutor = InTurn  # type: ignore[assignment,misc]
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), given)
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    crops = some_features()
    if given.size is not None:
        crops = [repeated(one, (given.size[1], given.size[0])) for one in crops[:4]]
    names = (f"{number // 1000}/{number:06}.jpg" for number in range(given.images))
    path = write_colmap(folder, {one: crops[k % len(crops)] for k, one in enumerate(names)})
    method, device, size = create_method(given.method), given.device, given.batch_size
    reconstruct(crops[:size], method=method, device=device, batch_size=size)
    alone = stages_alone(path, folder, crops, method, device, size)
    before, used = memory_now(), time.process_time()
    summary = reconstruct_store(
        path, folder / "out", method=method, device=device, batch_size=size, progress=True
    )
    spent = time.process_time() - used
    stages = {name: getattr(summary, name) for name in ("reading", "making", "writing")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "images": summary.made,
        "size": given.size or [SIZE, SIZE],
        "keypoints": round(sum(map(len, crops)) / len(crops)),
        "method": given.method,
        "batch_size": given.batch_size,
        "overlap": not given.in_turn,
        "images_per_second": round(given.images / summary.seconds, 2),
        "seconds": round(summary.seconds, 1),
        "cpu_seconds": round(spent, 1),
        "cpu_ms_per_image": round(1000 * spent / given.images, 2),
        "alone_cpu_ms": alone,
        "binds": max(stages, key=lambda name: stages[name]),
        "waiting_for_reading_s": round(summary.reading, 1),
        "making_s": round(summary.making, 1),
        "waiting_for_writing_s": round(summary.writing, 1),
        "memory_peak_mib": round(peak / MIB),
        "memory_with_method_mib": round(before / MIB),
        "memory_beyond_it_mib": round((peak - before) / MIB),
        **machine(given.device),
    }


def stages_alone(
    path: Path, folder: Path, crops: list[LocalFeatures], method: Any, device: Any, size: int
) -> dict[str, float]:
    """Return the CPU milliseconds that each stage takes for an image, on its own."""
    found, start = {}, time.process_time()
    with open_store(path) as store:
        read = sum(1 for _ in islice(store, AT_MOST))
    found["reading"] = 1000 * (time.process_time() - start) / read
    some = crops[:size]
    start = time.process_time()
    pictures = reconstruct(some, method=method, device=device, batch_size=size)
    found["making"] = 1000 * (time.process_time() - start) / len(some)
    start = time.process_time()
    for number, picture in enumerate(pictures):
        write_image(picture, folder / f"{number}.png")
    found["writing"] = 1000 * (time.process_time() - start) / len(some)
    return {name: round(took, 2) for name, took in found.items()}


def some_features() -> list[LocalFeatures]:
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    rng, sift = np.random.default_rng(0), create_descriptor("sift")
    found = []
    for number in range(DIFFERENT):
        picture = pictures[number % len(pictures)]
        y, x = (rng.integers(0, side - SIZE + 1) for side in picture.shape[:2])
        found.append(sift.extract(to_image(picture[y : y + SIZE, x : x + SIZE])))
    return found


def memory_now() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def machine(device: str | None) -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device and device != "cpu" else None,
        "torch": torch.__version__,
        "load_before": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    main()
