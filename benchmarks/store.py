"""Reconstruct a large store of small pictures: by stage, in shards, and with Ray.

    python benchmarks/store.py --images 10000
    python benchmarks/store.py --images 2000 --method poisson --ways one shards --json store.json

The store is a COLMAP database of SIFT features of 64 crops of scikit-image's pictures, which are
repeated under other names. Each way of running is a process of its own, or several:

- `one`: one process.
- `shards`: four processes, each with every fourth image.
- `two`: two processes, each with every second image.
- `ray`: Ray with an actor for each of two processors.

Stages are measured alone first, over `--alone` images: read, paint (from features to the network's
input), network (all the rest of a method), write. The slowest stage's rate bounds a pipeline whose
stages run at the same time; `share_of_slowest` says how much of it one process reaches. CPU times
hold on a busy machine too, images/s on a quiet one. `cpu_with_start_s` has all threads and all
processes that a way starts, as Linux counts them until shortly before they end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from skimage import data

from invertdesc import (
    FeatureBatch,
    LocalFeatures,
    create_descriptor,
    create_method,
    open_store,
    reconstruct_store,
    write_image,
)
from invertdesc.image import to_image
from invertdesc.methods.network import NetworkMethod

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests" / "stores")]
from conftest import describe_machine  # noqa: E402
from make_stores import write_colmap  # noqa: E402

DIFFERENT, BATCH = 64, 16
PARTS = {"one": 1, "two": 2, "shards": 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=128, help="pixels of a picture's side")
    parser.add_argument("--method", default="unfold")
    parser.add_argument("--alone", type=int, default=512, help="images for each stage alone")
    parser.add_argument("--ways", nargs="*", default=["one", "shards", "two", "ray"])
    parser.add_argument("--json", type=Path, help="file to write the result to")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.here:
        print(json.dumps(run_here(json.loads(given.here))))
        return
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), given)
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Measure the stages, then each way of running."""
    crops = some_features(given.side)
    names = (f"{number // 1000}/{number:06}.jpg" for number in range(given.images))
    path = write_colmap(folder, {one: crops[k % DIFFERENT] for k, one in enumerate(names)})
    found: dict[str, Any] = {
        "images": given.images,
        "side": given.side,
        "keypoints": round(sum(map(len, crops)) / len(crops)),
        "bytes_of_store_per_image": round(path.stat().st_size / given.images),
        "method": given.method,
        "machine": describe_machine(),
        "stages": stages_alone(path, folder, given),
        "ways": {},
    }
    for way in given.ways:
        found["ways"][way] = run_way(way, path, folder / way, given.method)
        print(way, json.dumps(found["ways"][way]), flush=True)
    files = list((folder / given.ways[0]).rglob("*.png")) if given.ways else []
    if files:
        found["bytes_of_picture"] = round(sum(one.stat().st_size for one in files) / len(files))
    return found | shares(found)


def shares(found: dict[str, Any]) -> dict[str, float]:
    """Return how one process compares with its stages, and Ray with two shards."""
    ways, stages = found["ways"], found["stages"]
    shared: dict[str, float] = {}
    if "one" in ways:
        slowest = max(one["wall_ms"] for one in stages.values())
        shared["share_of_slowest"] = round(ways["one"]["images_per_second"] * slowest / 1000, 3)
        alone = sum(one["cpu_ms"] for one in stages.values())
        shared["cpu_of_stages_sum"] = round(ways["one"]["cpu_ms_per_image"] / alone, 3)
    for first, other in (("one", "shards"), ("two", "ray")):
        if {first, other} <= ways.keys():
            for key in ("cpu_with_start_s", "wall_with_start_s"):
                ratio = ways[other][key] / ways[first][key]
                shared[f"{other}_to_{first}_{key}"] = round(ratio, 3)
    return shared


def some_features(side: int) -> list[LocalFeatures]:
    """Return features of crops of photographs, all of one size."""
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    rng, sift = np.random.default_rng(0), create_descriptor("sift")
    found = []
    for number in range(DIFFERENT):
        picture = pictures[number % len(pictures)]
        y, x = (rng.integers(0, whole - side + 1) for whole in picture.shape[:2])
        found.append(sift.extract(to_image(picture[y : y + side, x : x + side])))
    return found


def stages_alone(
    path: Path, folder: Path, given: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Return the milliseconds an image of each stage on its own, in batches as in a run."""
    with open_store(path) as store:
        features = [one for _, one in islice(store, given.alone)]
    batches = [
        FeatureBatch.collate(features[start : start + BATCH])
        for start in range(0, len(features), BATCH)
    ]
    method = create_method(given.method)
    inner = getattr(method, "first", method)
    pictures = [picture for batch in batches for picture in method(batch)]

    def read() -> None:
        with open_store(path) as store:
            for _ in islice(store, given.alone):
                pass

    def paint() -> None:
        for batch in batches:
            if isinstance(inner, NetworkMethod):
                inner.inputs(batch)
            else:
                inner.rasterizer(batch)

    def make() -> None:
        for batch in batches:
            method(batch)

    def write() -> None:
        for number, picture in enumerate(pictures):
            write_image(picture, folder / f"{number}.png")

    found = {}
    with torch.no_grad():
        for name, call in (("read", read), ("paint", paint), ("make", make), ("write", write)):
            found[name] = timed(call, len(features))
    rest = {key: round(found["make"][key] - found["paint"][key], 3) for key in found["make"]}
    return {"read": found["read"], "paint": found["paint"], "network": rest} | {
        "make": found["make"],
        "write": found["write"],
    }


def timed(call: Callable[[], object], images: int) -> dict[str, float]:
    """Return the CPU and wall milliseconds of an image, the least of three runs."""
    runs = []
    for _ in range(3):
        used, start = time.process_time(), time.perf_counter()
        call()
        runs.append((time.process_time() - used, time.perf_counter() - start))
    cpu, wall = (min(values) * 1000 / images for values in zip(*runs, strict=True))
    return {"cpu_ms": round(cpu, 3), "wall_ms": round(wall, 3)}


def run_way(way: str, path: Path, out: Path, method: str) -> dict[str, Any]:
    """Run a store in one or several processes at the same time."""
    count = PARTS.get(way, 1)
    orders = [
        {"path": str(path), "out": str(out), "method": method, "shard": (number, count)}
        | ({"ray": "local"} if way == "ray" else {})
        for number in range(count)
    ]
    start = time.perf_counter()
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--here", json.dumps(order)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for order in orders
    ]
    with Watch([one.pid for one in processes]) as watch:
        outputs = [process.communicate()[0] for process in processes]
    results = [json.loads(output.splitlines()[-1]) for output in outputs]
    whole = time.perf_counter() - start
    images = sum(one["made"] for one in results)
    wall = max(one["wall_s"] for one in results)
    return {
        "images": images,
        "processes": count if way != "ray" else results[0]["workers"],
        "wall_s": round(wall, 1),
        "wall_with_start_s": round(whole, 1),
        "images_per_second": round(images / wall, 2),
        # Without what processes of Ray spend.
        "cpu_ms_per_image": round(1000 * sum(one["cpu_s"] for one in results) / images, 2),
        "cpu_with_start_s": round(watch.seconds, 1),
        "peak_mib": max(one["peak_mib"] for one in results),
        **{
            f"waiting_for_{stage}_s": round(sum(one[stage] for one in results), 1)
            for stage in ("reading", "making", "writing")
        },
    }


class Watch:
    """Add up the CPU seconds of processes and all their descendants while they run."""

    def __init__(self, roots: list[int]) -> None:
        self.roots = set(roots)
        self.spent: dict[int, float] = {}
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    @property
    def seconds(self) -> float:
        """CPU seconds so far."""
        return sum(self.spent.values())

    def _run(self) -> None:
        family = set(self.roots)  # a process stays in it when its parent ends first
        while not self.done.wait(0.1):
            rows = dict(
                map(stat_of, filter(str.isdigit, (one.name for one in Path("/proc").iterdir())))
            )
            grew = True
            while grew:
                more = {pid for pid, (parent, _) in rows.items() if parent in family} - family
                family |= more
                grew = bool(more)
            self.spent |= {pid: rows[pid][1] for pid in family & rows.keys()}


def stat_of(pid: str) -> tuple[int, tuple[int, float]]:
    """Return a process, its parent and its CPU seconds; -1 and 0 if it has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return int(pid), (-1, 0.0)
    ticks = int(words[11]) + int(words[12])
    return int(pid), (int(words[1]), ticks / os.sysconf("SC_CLK_TCK"))


def run_here(order: dict[str, Any]) -> dict[str, Any]:
    """Run a part of a store in this process."""
    torch.set_num_threads(1)
    method = create_method(order["method"])
    crops = some_features(64)[:2]
    method(FeatureBatch.collate(crops))  # what a process loads once
    used, start = time.process_time(), time.perf_counter()
    summary = reconstruct_store(
        order["path"],
        order["out"],
        method=order["method"] if "ray" in order else method,
        shard=tuple(order["shard"]),
        ray=order.get("ray"),
        batch_size=BATCH,
    )
    wall = time.perf_counter() - start
    return {
        "made": summary.made,
        "workers": summary.workers,
        "wall_s": wall,
        "cpu_s": time.process_time() - used,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "reading": summary.reading,
        "making": summary.making,
        "writing": summary.writing,
    }


if __name__ == "__main__":
    main()
