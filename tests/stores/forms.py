"""The forms in which programs keep SIFT, and where they put an image's file."""

from pathlib import Path

import numpy as np

from invertdesc import LocalFeatures

Array = np.ndarray


def fields(features: LocalFeatures) -> tuple[Array, Array, Array, Array]:
    """Return x and y, scales, orientations, vectors."""
    assert features.scales is not None
    assert features.orientations is not None
    return (
        features.keypoints.numpy(),
        features.scales.numpy(),
        features.orientations.numpy(),
        features.descriptors.numpy(),
    )


def root_bytes(vectors: Array) -> Array:
    """Return RootSIFT as bytes, 512 times."""
    rooted = np.sqrt(vectors / np.maximum(vectors.sum(1, keepdims=True), 1e-9))
    return np.rint(512 * rooted).clip(0, 255).astype(np.uint8)


def sift_bytes(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.rint(512 * vectors / np.maximum(lengths, 1e-9)).clip(0, 255).astype(np.uint8)


def to_vlfeat(vectors: Array) -> Array:
    """Count directions the other way: bin k of ours is bin -k of 8."""
    mirrored = np.empty_like(vectors)
    for cell in range(16):
        for direction in range(8):
            mirrored[:, 8 * cell + -direction % 8] = vectors[:, 8 * cell + direction]
    return mirrored


def to_anatomy(vectors: Array) -> Array:
    """VLFeat's, with the grid of cells written column by column, as OpenMVG's SIFT_Anatomy does."""
    mirrored, out = to_vlfeat(vectors), np.empty_like(vectors)
    for row in range(4):
        for column in range(4):
            ours, theirs = 8 * (4 * row + column), 8 * (4 * column + row)
            out[:, theirs : theirs + 8] = mirrored[:, ours : ours + 8]
    return out


def file_of(folder: Path, name: str, suffix: str) -> Path:
    path = folder / f"{name}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
