"""Archives of NumPy with `keypoints` and `descriptors`, an image each.

R2D2 writes `<image>.r2d2`, D2-Net `<image>.d2-net`; SuperPoint, LightGlue and hloc hand out
dictionaries of the same names, which people save with `np.savez`:

| array | shapes | meaning |
| --- | --- | --- |
| `keypoints` | (N, 2) or more; R2D2 and D2-Net have a third column | x, y from pixel centres |
| `descriptors` | (N, D); SuperPoint's and hloc's (D, N) | |
| `scores`, `keypoint_scores` | (N,) | |
| `scales`, `oris` | (N,), of SIFT | sigma or diameters; radians or degrees |
| `image_size`, `imsize` | (2,) | width, height |

LightGlue puts a batch of one in front, which is taken off. D2-Net's third column is the scale of
its pyramid and R2D2's the side of its patch, in pixels; both are of use to a fitted unfolding.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import InputError
from invertdesc.features.npz import read_arrays
from invertdesc.stores import _learned
from invertdesc.stores._files import FileStore
from invertdesc.stores.record import Array, Record, check_count, check_rows_alike

ARRAYS = {"keypoints", "descriptors"}
SCORES = ("scores", "keypoint_scores", "score")
SIZES = ("image_size", "imsize")
OTHERS = (*SCORES, "scales", "oris", *SIZES)
FULL_TURN = 6.3  # radians, rounded up
HALF = "Positions are float16: to half a pixel beyond 512, to one beyond 1024."


class DumpStore(FileStore):
    """Read archives of keypoints and descriptors, a file or a folder of them."""

    kind: ClassVar[str] = "NumPy archive of keypoints and descriptors"

    def _read(self, file: Path) -> Record:
        arrays = read_arrays(file, tuple(ARRAYS), OTHERS)
        arrays = {name: unbatched(array) for name, array in arrays.items()}
        points = arrays["keypoints"]
        if points.ndim != 2 or points.shape[1] < 2 or points.dtype.kind not in "fiu":
            raise InputError(f"Expected keypoints of shape (N, 2) or more, got {points.shape}.")
        vectors = by_keypoint(arrays["descriptors"], len(points))
        name = _learned.name_in_file(file.name, vectors)
        turns = _rows(arrays, "oris", len(points))
        return Record(
            xy=points[:, :2].astype(np.float64),
            vectors=vectors,
            image_size=_size(arrays),
            scales=_scales(arrays, points, name),
            orientations=None if turns is None else _radians(turns),
            scores=next(
                (_rows(arrays, part, len(points)) for part in SCORES if part in arrays), None
            ),
            descriptor=name,
            producer="numpy archive",
            notes=(HALF,) if points.dtype == np.float16 else (),
        )


def unbatched(array: Array) -> Array:
    """Take off a batch of one image.

    >>> unbatched(np.zeros((1, 5, 2))).shape, unbatched(np.zeros((5, 2))).shape
    ((5, 2), (5, 2))
    """
    return array[0] if array.ndim == 3 and len(array) == 1 else array


def by_keypoint(vectors: Array, count: int) -> Array:
    """Return vectors (N, D), which may be stored as (D, N).

    Args:
        vectors: Two axes.
        count: N. Where both axes have as many, the vectors are the columns if those have length 1
            and the rows do not.

    Raises:
        InputError: No axis is of N.
    """
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise InputError(f"Expected descriptors of shape (N, D) or (D, N), got {vectors.shape}.")
    rows, columns = vectors.shape
    if rows == columns == count and count:
        down, across = (np.linalg.norm(vectors.astype(np.float64), axis=k).std() for k in (0, 1))
        vectors = vectors.T if down < across else vectors
    elif rows != count and columns == count:
        vectors = vectors.T
    check_rows_alike(count, len(vectors))
    check_count(*vectors.shape)
    return vectors


def _rows(arrays: dict[str, Array], name: str, count: int) -> Array | None:
    found = arrays.get(name)
    if found is None:
        return None
    if found.size != count or found.dtype.kind not in "fiu":
        raise InputError(f"Expected {count} numbers in {name!r}, got shape {found.shape}.")
    return found.reshape(count)


def _scales(arrays: dict[str, Array], points: Array, name: str | None) -> Array | None:
    found = _rows(arrays, "scales", len(points))
    if found is None and points.shape[1] > 2 and name in ("r2d2", "d2-net"):
        found = points[:, 2]
    return found


def _radians(turns: Array) -> Array:
    """Return radians: hloc's are degrees, LightGlue's are not."""
    angles = turns.astype(np.float64)
    return np.deg2rad(angles) if np.abs(angles).max(initial=0) > FULL_TURN else angles


def _size(arrays: dict[str, Array]) -> tuple[int, int] | None:
    """Return (H, W) of what is stored as width and height."""
    stored = next((arrays[name] for name in SIZES if name in arrays), None)
    if stored is None:
        return None
    flat = stored.reshape(-1)
    if not (len(flat) == 2 and flat.dtype.kind in "fiu" and (flat >= 1).all()):
        raise InputError(f"Expected image_size (W, H) in pixels, got {flat[:4].tolist()}.")
    if not np.isfinite(flat).all():
        raise InputError("Expected image_size (W, H) in pixels, got infinity.")
    return int(flat[1]), int(flat[0])
