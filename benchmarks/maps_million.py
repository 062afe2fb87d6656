"""Time and memory of views of maps of many points.

    python benchmarks/maps_million.py --points 1000000 --size 720x541

Points are sprinkled over a wavy floor and seen by 400 cameras; features are drawn when they are
asked for, so that what is measured is the choice of observations and their way to the view, not a
database. The first view fits planes around the points that it sees, and reads.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from invertdesc import LocalFeatures
from invertdesc.maps import Camera, Map, MapImage, Model, Pose
from invertdesc.stores.base import Store


class Drawn(Store):
    """Features out of nothing."""

    def __init__(self, images: tuple[MapImage, ...]) -> None:
        super().__init__(Path("drawn"))
        self._images = {image.name: image for image in images}

    def names(self) -> Iterator[str]:
        yield from self._images

    def _record(self, name: str) -> None:  # type: ignore[override]
        raise NotImplementedError

    def load(self, name: str) -> LocalFeatures:
        image = self._images[name]
        count = len(image.keypoints)
        return LocalFeatures(
            keypoints=torch.tensor(image.keypoints, dtype=torch.float32),
            descriptors=torch.zeros(count, 128),
            image_size=image.camera.image_size,
            descriptor="sift",
            scales=torch.full((count,), 2.0),
            orientations=torch.zeros(count),
        )


def make(count: int, cameras: int = 400, each: int = 5) -> Map:
    draw = np.random.default_rng(0)
    xz = draw.uniform(-50, 50, (count, 2))
    xyz = np.stack([xz[:, 0], np.sin(xz[:, 0] / 3) * np.cos(xz[:, 1] / 4), xz[:, 1]], 1)
    side = round(cameras**0.5)
    places = np.stack(np.meshgrid(*[np.linspace(-48, 48, side)] * 2), -1).reshape(-1, 2)
    camera = Camera("SIMPLE_RADIAL", 1024, 1024, (500.0, 512.0, 512.0, -0.05))
    poses = [Pose.look_at((x, -12.0, z), (x, 0.0, z), (0, 0, -1)) for x, z in places]
    from scipy.spatial import cKDTree

    _, near = cKDTree(places).query(xz, k=each)
    owners = np.repeat(np.arange(count), each)
    near = np.sort(near, 1).ravel()
    xy = np.zeros((len(owners), 2))
    seen_as, images = np.zeros(len(owners), np.int32), []
    for number, pose in enumerate(poses):
        rows = np.flatnonzero(near == number)
        xy = camera.project(pose.apply(xyz[owners[rows]]))
        inside = np.clip(xy, -0.5, 1023.5)
        seen_as[rows] = np.arange(len(rows))
        images.append(MapImage(f"{number:04d}", camera, pose, inside, owners[rows]))
    model = Model(
        tuple(images),
        xyz,
        np.full((count, 3), 128, np.uint8),
        np.arange(0, count * each + 1, each),
        near.astype(np.int32),
        seen_as,
    )
    return Map(Path("made"), model, Drawn(model.images))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--size", default="720x541")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    found = make(given.points)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    camera = Camera.pinhole((height, width), 0.8 * width)
    looks = {
        "a part, near": [Pose.look_at((x, -10, 0), (x, 0, 3)) for x in (0.0, 0.5, 1.0)],
        "nearly all": [Pose.look_at((x, -70, 0), (x, 0, 1), (0, 0, -1)) for x in (0.0, 0.5, 1.0)],
    }
    for title, poses in looks.items():
        for number, pose in enumerate(poses):
            start, began = time.perf_counter(), time.process_time()
            view = found.view(camera, pose)
            took, worked = time.perf_counter() - start, time.process_time() - began
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(
                f"{given.points:,} points, {given.size}, {title}, view {number}: {len(view):,} "
                f"features, {took:.2f} s ({worked:.2f} s of work), "
                f"peak {peak / 2**20:.2f} GiB ({base / 2**20:.2f} before)",
                flush=True,
            )


if __name__ == "__main__":
    main()
