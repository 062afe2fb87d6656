"""Maps as OpenSfM and kapture write them, from the documentation of their formats."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scene import Scattered

from invertdesc.maps import Camera

sys.path.insert(0, str(Path(__file__).parent.parent / "stores"))
from make_more_stores import write_opensfm
from make_stores import write_kapture


def names_of(world: Scattered) -> list[str]:
    return [f"{name}.jpg" for name in world.names]


def opensfm_camera(camera: Camera) -> dict[str, Any]:
    longer = max(camera.image_size)
    sides = {"width": camera.width, "height": camera.height}
    if camera.model == "SIMPLE_PINHOLE":
        return {"projection_type": "perspective", **sides, "focal": camera.params[0] / longer}
    fx, fy, cx, cy, k1, k2, p1, p2 = camera.params
    return {
        "projection_type": "brown",
        **sides,
        "focal_x": fx / longer,
        "focal_y": fy / longer,
        "c_x": (cx - camera.width / 2) / longer,
        "c_y": (cy - camera.height / 2) / longer,
        "k1": k1,
        "k2": k2,
        "k3": 0.0,
        "p1": p1,
        "p2": p2,
    }


def opensfm_scene(world: Scattered) -> dict[str, Any]:
    from scipy.spatial.transform import Rotation

    shots = {
        name: {
            "camera": f"camera {number}",
            "rotation": Rotation.from_matrix(pose.rotation).as_rotvec().tolist(),
            "translation": pose.translation.tolist(),
            "orientation": 1,
        }
        for number, (name, pose) in enumerate(zip(names_of(world), world.poses, strict=True))
    }
    return {
        "cameras": {f"camera {n}": opensfm_camera(one) for n, one in enumerate(world.cameras)},
        "shots": shots,
        "points": {
            str(10 * row): {"coordinates": xyz.tolist(), "color": color.astype(float).tolist()}
            for row, (xyz, color) in enumerate(zip(world.xyz, world.colors, strict=True))
        },
    }


def opensfm_tracks(world: Scattered, version: int) -> str:
    lines = [f"OPENSFM_TRACKS_VERSION_v{version}"] if version else []
    for number, name in enumerate(names_of(world)):
        features = world.features(number)
        size = np.array(features.image_size[::-1])
        xy = (features.keypoints.double().numpy() + 0.5 - size / 2) / size.max()
        for row, (feature, (x, y)) in enumerate(zip(world.seen[number], xy, strict=True)):
            words: list[Any] = [name, 10 * feature, row, x, y]
            words += [0.004] if version else []
            words += [1, 2, 3] + ([-1, -1] if version > 1 else [])
            lines.append("\t".join(map(str, words)))
    return "\n".join(lines) + "\n"


def write_opensfm_map(folder: Path, world: Scattered, *, version: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    images = {name: world.features(number) for number, name in enumerate(names_of(world))}
    write_opensfm(folder, images)
    small = {"cameras": {}, "shots": {}, "points": {}}
    scenes = [small, opensfm_scene(world)]
    (folder / "reconstruction.json").write_text(json.dumps(scenes))
    (folder / "tracks.csv").write_text(opensfm_tracks(world, version))
    return folder


def write_kapture_map(
    folder: Path, world: Scattered, *, version: str = "1.1", rig: bool = False
) -> Path:
    names = names_of(world)
    write_kapture(folder, {name: world.features(number) for number, name in enumerate(names)})
    head = f"# kapture format: {version}\n"
    sensors, poses, rigs = head, head, head
    for number, (camera, pose) in enumerate(zip(world.cameras, world.poses, strict=True)):
        params = ", ".join(map(str, camera.params))
        sides = f"{camera.width}, {camera.height}"
        sensors += f"cam{number}, , camera, {camera.model}, {sides}, {params}\n"
        device, values = f"cam{number}", [*pose.quaternion, *pose.translation]
        if rig and number == 1:  # a quarter turn around z, then a step
            device = "rig"
            half = np.sqrt(0.5)
            rigs += f"rig, cam1, {half}, 0, 0, {half}, 0.5, 0, 0\n"
            turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
            rotation, step = turn.T @ pose.rotation, turn.T @ (pose.translation - [0.5, 0, 0])
            values = [*type(pose)(rotation, step).quaternion, *step]
        poses += ", ".join([str(number), device, *map(str, values)]) + "\n"
    (folder / "sensors" / "sensors.txt").write_text(sensors)
    (folder / "sensors" / "trajectories.txt").write_text(poses)
    if rig:
        (folder / "sensors" / "rigs.txt").write_text(rigs)
    points = f"{head}# X, Y, Z, R, G, B\n"
    seen = head
    tracks: list[list[str]] = [[] for _ in world.xyz]
    for name, rows in zip(names, world.seen, strict=True):
        for keypoint, row in enumerate(rows):
            tracks[row] += [name, str(keypoint)]
    for row, (xyz, color) in enumerate(zip(world.xyz, world.colors, strict=True)):
        points += ", ".join(map(str, [*xyz, *color])) + "\n"
        kind = ["SIFT"] if version == "1.1" else []
        seen += ", ".join([str(row), *kind, *tracks[row]]) + "\n"
    (folder / "reconstruction" / "points3d.txt").write_text(points)
    (folder / "reconstruction" / "observations.txt").write_text(seen)
    return folder
