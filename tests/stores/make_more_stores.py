"""Write features as further programs do, each by its own conventions, as far as it keeps them."""

import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from forms import Array, fields, file_of, root_bytes, to_vlfeat

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


MORE = {"flat": write_flat, "opensfm": write_opensfm, "dump": write_dump}
MORE_SIZES_STORED = ("opensfm", "dump")
MORE_FILES = {
    "flat": [f"{part}.h5" for part in ("keypoints", "descriptors", "scales", "angles")],
    "opensfm": ["features/101.features.npz", "exif/101.exif"],
    "dump": ["101.npz"],
}
