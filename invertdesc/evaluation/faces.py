"""Find faces in originals and in reconstructions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from invertdesc.evaluation._dlib import detect, has_dlib
from invertdesc.features.local import Box
from invertdesc.image import to_uint8

SMALLEST = 40  # pixels per side; most smaller detections of the cascade are false
# Detections that must agree. With scikit-image's default 4 the cascade finds three false faces in
# astronaut and one in camera; with 8 it finds no false face in eight of scikit-image's pictures.
AGREEING = 8
# Margin as a share of the longer side: the cascade needs some space around a face. Of 24 faces that
# fill their picture it finds 9 without and 18 with this margin, and still no false face in eight of
# scikit-image's pictures.
MARGIN = 0.3
OVERLAP = 0.3  # intersection over union from which two boxes are the same face


def find_faces(picture: Tensor) -> list[Box]:
    """Return boxes (x0, y0, x1, y1) of frontal faces in a picture (3, H, W) in [0, 1].

    The detector is dlib's where dlib is installed, else scikit-image's cascade; see
    `detector_name`.

    Source: Dalal, Triggs, "Histograms of oriented gradients for human detection", CVPR 2005, for
    dlib's detector; scikit-image's `Cascade` with its trained local binary patterns.
    """
    if min(picture.shape[-2:]) < SMALLEST:
        return []
    if has_dlib():
        return _distinct([found.box for found in detect(picture)])
    return _by_cascade(picture)


def detector_name() -> str:
    """Return the name of the detector that `find_faces` uses."""
    if has_dlib():
        return "dlib's detector for frontal faces"
    return "scikit-image's cascade for frontal faces, which misses small, turned and blurred ones"


def _by_cascade(picture: Tensor) -> list[Box]:
    height, width = picture.shape[-2:]
    margin = round(MARGIN * max(height, width))
    wide = F.pad(picture[None].float(), (margin,) * 4, mode="replicate")[0]
    found = _cascade().detect_multi_scale(
        img=to_uint8(wide),
        scale_factor=1.2,
        step_ratio=1,
        min_size=(SMALLEST, SMALLEST),
        max_size=(height + 2 * margin, width + 2 * margin),
        min_neighbor_number=AGREEING,
    )
    boxes = [_inside(f, margin, height, width) for f in found]
    return _distinct([box for box in boxes if box[0] < box[2] and box[1] < box[3]])


def _inside(found: Any, margin: int, height: int, width: int) -> Box:
    """Return the part of a detection inside the picture, without the margin."""
    x, y = found["c"] - margin, found["r"] - margin
    x1, y1 = x + found["width"], y + found["height"]
    return float(max(x, 0)), float(max(y, 0)), float(min(x1, width)), float(min(y1, height))


def count_found(faces: Sequence[Box], again: Sequence[Box]) -> int:
    """Count the faces that overlap enough with one of the other boxes.

    >>> count_found([(0, 0, 10, 10), (50, 50, 60, 60)], [(1, 1, 11, 11)])
    1
    """
    return sum(any(same_face(face, box) for box in again) for face in faces)


def same_face(one: Box, other: Box) -> bool:
    """Say whether two boxes overlap enough to be of the same face."""
    return _overlap(one, other) >= OVERLAP


def _distinct(boxes: Sequence[Box]) -> list[Box]:
    """Leave out boxes that overlap a larger one."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda b: (b[0] - b[2], b)):
        if not count_found([box], kept):
            kept.append(box)
    return kept


def _overlap(a: Box, b: Box) -> float:
    sides = [min(a[n + 2], b[n + 2]) - max(a[n], b[n]) for n in (0, 1)]
    both = max(sides[0], 0.0) * max(sides[1], 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / max(sum(areas) - both, 1e-9)


@lru_cache(maxsize=1)
def _cascade() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())
