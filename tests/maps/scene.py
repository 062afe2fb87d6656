"""Boxes on a floor, whose every ray is known, and maps of them as COLMAP writes such."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from invertdesc import LocalFeatures
from invertdesc.maps import Camera, Pose
from invertdesc.maps._distortion import NUMBERS

Array = np.ndarray[Any, Any]
SIZE = (240, 320)
DISTORTED = Camera("OPENCV", 320, 240, (300.0, 305.0, 161.0, 119.0, -0.1, 0.02, 1e-3, -5e-4))
PLAIN = Camera.pinhole(SIZE, 280.0)
NO_POINT = 2**64 - 1


@dataclass(frozen=True, eq=False)
class Scene:
    """Axis-aligned boxes: middles (n, 3) and half sides (n, 3); y points down."""

    middles: Array
    halves: Array

    @classmethod
    def boxes(cls) -> Scene:
        middles = [
            [0, 1.2, 0],
            [-1.3, 0.3, 0.2],
            [1.2, 0.5, -0.4],
            [0.1, 0.1, 1.4],
            [0.2, 0.7, -1.3],
        ]
        halves = [[4, 0.2, 4], [0.5, 0.7, 0.5], [0.6, 0.5, 0.4], [0.7, 0.9, 0.3], [0.3, 0.3, 0.3]]
        return cls(np.array(middles, float), np.array(halves, float))

    def hit(self, origin: Array, rays: Array) -> tuple[Array, Array]:
        """Return how far along rays (n, 3) the first box is, and its side's normal (n, 3)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            low = (self.middles - self.halves - origin) / rays[:, None]
            high = (self.middles + self.halves - origin) / rays[:, None]
        near, far = np.minimum(low, high), np.maximum(low, high).min(2)
        entry, axis = near.max(2), near.argmax(2)
        entry = np.where((entry < far) & (entry > 1e-6), entry, np.inf)
        box, rows = entry.argmin(1), np.arange(len(rays))
        axis = axis[rows, box]
        normals = np.zeros_like(rays)
        normals[rows, axis] = -np.sign(rays[rows, axis])
        return entry[rows, box], normals

    def sees(self, pose: Pose, points: Array) -> Array:
        """Say to which points (n, 3) on the boxes nothing blocks the way."""
        far, _ = self.hit(pose.centre, points - pose.centre)
        found: Array = far > 1 - 1e-6
        return found

    def sprinkle(self, count: int, draw: np.random.Generator) -> tuple[Array, Array]:
        """Return points (n, 3) on what can be seen of the boxes, and normals (n, 3)."""
        rays = draw.normal(size=(4 * count, 3)) * (1, 0.5, 1) + (0, 0.9, 0)
        places, sides = [], []
        for origin in ((0, -3.0, -4.0), (-3.5, -1.5, 0), (3.5, -1.5, 0), (0, -1.5, 3.5)):
            aim = rays[: len(rays) // 4] + np.array([0.0, 0.0, 0.0]) - np.array(origin)
            rays = np.roll(rays, len(rays) // 4, 0)
            far, normals = self.hit(np.array(origin), aim)
            fine = np.isfinite(far)
            places.append((origin + aim * far[:, None])[fine])
            sides.append(normals[fine])
        return np.concatenate(places), np.concatenate(sides)


def ring(count: int, start: float = -70.0, end: float = 70.0) -> list[Pose]:
    """Cameras on an arc in front of the boxes, which they look at."""
    turns = np.radians(np.linspace(start, end, count))
    return [
        Pose.look_at((5 * np.sin(turn), -1.5, -5 * np.cos(turn)), (0, 0.5, 0)) for turn in turns
    ]


@dataclass(frozen=True, eq=False)
class Scattered:
    """Points on the boxes, each with a patch of its own, and what cameras see of them.

    `descriptors` (P, 128) tell the point; `axes` (P, 3) are the patch's x axis on its plane, whose
    length is its scale.
    """

    scene: Scene
    xyz: Array
    normals: Array
    axes: Array
    descriptors: Array
    colors: Array
    cameras: list[Camera]
    poses: list[Pose]
    names: list[str]
    seen: list[Array]

    def patches(self, camera: Camera, pose: Pose, rows: Array) -> tuple[Array, Array, Array]:
        """Return where patches lie in a picture, how large they are and how they are turned."""
        here = camera.project(pose.apply(self.xyz[rows]))
        columns = []
        other = np.cross(self.normals[rows], self.axes[rows])
        for axis in (self.axes[rows], other):
            ends = [camera.project(pose.apply(self.xyz[rows] + s * 1e-4 * axis)) for s in (1, -1)]
            columns.append((ends[0] - ends[1]) / 2e-4)
        first, second = columns
        area = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
        return here, np.sqrt(area), np.arctan2(first[:, 1], first[:, 0])

    def features(self, number: int) -> LocalFeatures:
        camera, rows = self.cameras[number], self.seen[number]
        xy, scales, turns = self.patches(camera, self.poses[number], rows)
        return LocalFeatures(
            keypoints=torch.tensor(xy, dtype=torch.float32),
            descriptors=torch.tensor(self.descriptors[rows], dtype=torch.float32),
            image_size=camera.image_size,
            descriptor="sift",
            scales=torch.tensor(scales, dtype=torch.float32),
            orientations=torch.tensor(turns, dtype=torch.float32),
        )

    def write(self, folder: Path) -> None:
        """Write features to `features` and the model to `sparse/0`."""
        for number, name in enumerate(self.names):
            self.features(number).save(folder / "features" / f"{name}.npz")
        write_model(folder / "sparse" / "0", self)


def scattered(scene: Scene, count: int, *, views: int = 11, seed: int = 0) -> Scattered:
    """Sprinkle points over boxes and look at them from a ring of cameras."""
    draw = np.random.default_rng(seed)
    poses = ring(views)
    cameras = [(PLAIN, DISTORTED)[number % 2] for number in range(views)]
    xyz, normals = scene.sprinkle(count, draw)
    looks = [
        camera.sees(pose.apply(xyz)) & scene.sees(pose, xyz)
        for camera, pose in zip(cameras, poses, strict=True)
    ]
    kept = np.flatnonzero(np.sum(looks, 0) >= 2)[:count]
    xyz, normals = xyz[kept], normals[kept]
    axes = np.cross(normals, draw.normal(size=xyz.shape))
    axes *= draw.uniform(0.005, 0.02, (len(xyz), 1)) / np.linalg.norm(axes, axis=1, keepdims=True)
    return Scattered(
        scene,
        xyz,
        normals,
        axes,
        draw.uniform(0, 100, (len(xyz), 128)).round(),
        draw.integers(0, 256, xyz.shape).astype(np.uint8),
        cameras,
        poses,
        [f"{number:03d}" for number in range(views)],
        [np.flatnonzero(look[kept]) for look in looks],
    )


def write_model(folder: Path, world: Scattered) -> None:
    """Write cameras.bin, images.bin and points3D.bin."""
    folder.mkdir(parents=True, exist_ok=True)
    write_cameras(folder / "cameras.bin", world.cameras)
    images, tracks = [], [[] for _ in world.xyz]  # type: ignore[var-annotated]
    for number, name in enumerate(world.names):
        camera, pose, rows = world.cameras[number], world.poses[number], world.seen[number]
        xy = camera.project(pose.apply(world.xyz[rows])) + 0.5
        images.append(image_bytes(number + 1, pose, number + 1, name, xy, rows + 1))
        for keypoint, row in enumerate(rows):
            tracks[row].append((number + 1, keypoint))
    (folder / "images.bin").write_bytes(struct.pack("<Q", len(images)) + b"".join(images))
    points = [
        point_bytes(row + 1, world.xyz[row], world.colors[row], track)
        for row, track in enumerate(tracks)
    ]
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", len(points)) + b"".join(points))


def write_cameras(file: Path, cameras: Sequence[Camera]) -> None:
    kinds = {name: number for number, name in NUMBERS.items()}
    data = struct.pack("<Q", len(cameras))
    for number, camera in enumerate(cameras, 1):
        data += struct.pack("<IiQQ", number, kinds[camera.model], camera.width, camera.height)
        data += struct.pack(f"<{len(camera.params)}d", *camera.params)
    file.write_bytes(data)


def image_bytes(number: int, pose: Pose, camera: int, name: str, xy: Array, points: Array) -> bytes:
    head = struct.pack("<I7dI", number, *pose.quaternion, *pose.translation, camera)
    rows = np.empty(len(xy), [("xy", "<f8", 2), ("point", "<u8")])
    rows["xy"], rows["point"] = xy, points
    return head + name.encode() + b"\0" + struct.pack("<Q", len(xy)) + rows.tobytes()


def point_bytes(number: int, xyz: Array, color: Array, track: Sequence[tuple[int, int]]) -> bytes:
    head = struct.pack("<Q3d3Bd", number, *xyz, *(int(value) for value in color), 0.5)
    return head + struct.pack("<Q", len(track)) + np.array(track, "<u4").reshape(-1, 2).tobytes()
