"""Write features as further programs do, each by its own conventions, as far as it keeps them."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from forms import Array, fields, file_of, root_bytes, sift_bytes, to_vlfeat
from scipy.io import savemat

from invertdesc import LocalFeatures

Images = Mapping[str, LocalFeatures]


def opensfm_vectors(vectors: Array, feature_type: str, root: bool) -> Array:
    """Return SIFT (N, 128) as OpenSfM keeps it."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    sums = np.maximum(unit.sum(1, keepdims=True), 1e-9)
    if feature_type == "HAHOG":
        plain = 362 * np.sqrt(unit) if root else 512 * unit
        return to_vlfeat(plain.clip(0, 255).round().astype(np.uint8))
    if feature_type == "DSPSIFT":
        return to_vlfeat(root_bytes(vectors) if root else np.rint(512 * unit)).astype(np.float32)
    return (np.sqrt(unit / sums) if root else 512 * unit).astype(np.float32)


def write_opensfm(
    folder: Path,
    images: Images,
    *,
    feature_type: str = "HAHOG",
    root: bool = True,
    config: bool = True,
    sizes: str = "exif",
) -> Path:
    """Write what `opensfm detect_features` leaves in its folder `features`, and what is beside."""
    for place in ("features", "exif"):
        (folder / place).mkdir(exist_ok=True)
    cameras = {}
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        height, width = features.image_size
        longer = max(height, width)
        size = scale if feature_type in ("HAHOG", "DSPSIFT") else 2 * scale
        degrees = np.rad2deg(turn) - (90 if feature_type == "HAHOG" else 0)
        points = np.column_stack(
            [(xy + 0.5 - np.array([width, height]) / 2) / longer, size / longer, degrees]
        )
        np.savez_compressed(
            file_of(folder / "features", name, ".features.npz"),
            points=points.astype(np.float32),
            descriptors=opensfm_vectors(vectors, feature_type, root),
            colors=np.zeros((len(xy), 3), np.uint8),
            segmentations=np.array(None),  # a pickle, which OpenSfM writes where it has none
            OPENSFM_FEATURES_VERSION=2,
        )
        camera = {"projection_type": "perspective", "width": width, "height": height}
        cameras[f"v2 unknown {width} {height}"] = camera
        if sizes == "exif":
            told = {"make": "unknown", "camera": "v2 unknown", **camera}
            file_of(folder / "exif", name, ".exif").write_text(json.dumps(told))
    if sizes != "none":
        (folder / "camera_models.json").write_text(json.dumps(cameras))
    if config:
        text = f"# OpenSfM\nfeature_type: {feature_type}\nfeature_root: {'yes' if root else 'no'}\n"
        (folder / "config.yaml").write_text(text)
    return folder / "features"


def write_dump(folder: Path, images: Images, *, suffix: str = ".npz") -> Path:
    """Write what LightGlue's SIFT returns, a batch of one image, as arrays."""
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        with file_of(folder, name, suffix).open("wb") as file:
            np.savez(
                file,
                keypoints=xy[None].astype(np.float32),
                descriptors=vectors[None].astype(np.float32),
                keypoint_scores=np.ones((1, len(xy)), np.float32),
                scales=scale[None].astype(np.float32),
                oris=turn[None].astype(np.float32),
                image_size=np.array([features.image_size[::-1]], np.float32),
            )
    return folder


def write_flat(folder: Path, images: Images) -> Path:
    """Write what the Image Matching Benchmark keeps of OpenCV's SIFT."""
    parts = ("keypoints", "descriptors", "scales", "angles", "scores")
    files = {part: h5py.File(folder / f"{part}.h5", "w") for part in parts}
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        values = (xy, vectors, 2 * scale, np.rad2deg(turn) % 360, np.ones(len(xy)))
        for part, value in zip(parts, values, strict=True):
            files[part][name] = value.astype(np.float32)
    for file in files.values():
        file.close()
    return folder


def write_siftgpu_binary(folder: Path, images: Images) -> Path:
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        table = np.column_stack([xy[:, ::-1] + 0.5, scale, turn % (2 * np.pi), unit])
        head = np.array([len(xy), 128], "<i4").tobytes()
        file_of(folder, name, ".sift").write_bytes(head + table.astype("<f4").tobytes())
    return folder


def write_siftgeo(folder: Path, images: Images) -> Path:
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        rows = b""
        vlfeat = to_vlfeat(sift_bytes(vectors))
        for (x, y), sigma, angle, vector in zip(xy, scale, turn, vlfeat, strict=True):
            rows += np.array([x, y, sigma, angle, 1, 0, 0, 1, 7], "<f4").tobytes()
            rows += np.array([128], "<i4").tobytes() + vector.tobytes()
        file_of(folder, name, ".siftgeo").write_bytes(rows)
    return folder


def write_vlfeat_pair(folder: Path, images: Images, *, binary: bool = False) -> Path:
    """Write what `sift --frames=bin://%.frame --descriptors=bin://%.descr` does, or without bin."""
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        table, vlfeat = np.column_stack([xy, scale, turn]), to_vlfeat(sift_bytes(vectors))
        frames, others = (file_of(folder, name, end) for end in (".frame", ".descr"))
        if binary:
            frames.write_bytes(table.astype(">f8").tobytes())
            others.write_bytes(vlfeat.tobytes())
            continue
        frames.write_text("".join("{:g} {:g} {:g} {:g} \n".format(*row) for row in table.tolist()))
        others.write_text("".join(" ".join(map(str, row)) + " \n" for row in vlfeat.tolist()))
    return folder


def write_mat(folder: Path, images: Images, *, packed: bool = False) -> Path:
    """Write what `[f, d] = vl_sift(image); save(name)` leaves."""
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        parts = {"f": np.vstack([xy.T + 1, scale, turn]), "d": to_vlfeat(sift_bytes(vectors)).T}
        savemat(file_of(folder, name, ".mat"), parts, do_compression=packed)
    return folder


def write_mat73(folder: Path, images: Images) -> Path:
    """Write what `save(name, '-v7.3')` leaves: HDF5 behind a block of text, axes turned round."""
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        path = file_of(folder, name, ".mat")
        with h5py.File(path, "w", userblock_size=512) as file:
            file["f"] = np.column_stack([xy + 1, scale, turn])
            file["d"] = to_vlfeat(sift_bytes(vectors))
        with path.open("r+b") as block:
            block.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")
    return folder


def write_npy(folder: Path, images: Images) -> Path:
    told: dict[str, object] = {
        "keypoints": "{}_kp.npy",
        "descriptors": "deep/{}.npy",
        "columns": ["score", "x", "y", "-", "diameter", "degrees"],
        "origin": "corner",
    }
    for name, features in images.items():
        xy, scale, turn, vectors = fields(features)
        told["image_size"] = features.image_size
        ones = np.ones(len(xy))
        table = np.column_stack([ones, xy + 0.5, 7 * ones, 2 * scale, np.rad2deg(turn)])
        np.save(file_of(folder, name, "_kp.npy"), table)
        np.save(file_of(folder / "deep", name, ".npy"), vectors)
    (folder / "layout.json").write_text(json.dumps(told))
    return folder


MORE = {
    "npy": write_npy,
    "siftgpu-binary": write_siftgpu_binary,
    "siftgeo": write_siftgeo,
    "vlfeat-pair": write_vlfeat_pair,
    "vlfeat-binary": partial(write_vlfeat_pair, binary=True),
    "mat": write_mat,
    "mat-packed": partial(write_mat, packed=True),
    "mat73": write_mat73,
    "flat": write_flat,
    "opensfm": write_opensfm,
    "dump": write_dump,
}
MORE_SIZES_STORED = ("npy", "opensfm", "dump")
MORE_FILES = {
    "npy": ["101_kp.npy", "deep/101.npy", "layout.json"],
    "siftgpu-binary": ["101.sift"],
    "siftgeo": ["101.siftgeo"],
    "vlfeat-pair": ["101.frame", "101.descr"],
    "vlfeat-binary": ["101.frame", "101.descr"],
    "mat": ["101.mat"],
    "mat-packed": ["101.mat"],
    "mat73": ["101.mat"],
    "flat": [f"{part}.h5" for part in ("keypoints", "descriptors", "scales", "angles")],
    "opensfm": ["features/101.features.npz", "exif/101.exif"],
    "dump": ["101.npz"],
}
