"""dlib's models for faces: whether they are there, the detector, landmarks and embedding."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._optional import require
from invertdesc.errors import MissingDependencyError
from invertdesc.features.local import Box
from invertdesc.image import to_uint8

NEEDED_BY = "telling people apart"
# Of the longer side, on each side: a face that fills its picture is found only with room around
# it. Of 600 faces that fill theirs, 12 were not found without.
MARGIN = 0.3
SMALL = 640  # pixels: pictures whose longer side is below are doubled, for faces below 80 pixels

# The picture that was looked at last, and what was found: faces are counted, and then recognised.
_last: list[tuple[Any, list[Detection]]] = [(np.zeros((0, 0, 3), np.uint8), [])]


class Detection(NamedTuple):
    """A face as dlib holds it: where, and in which pixels.

    Attributes:
        box: (x0, y0, x1, y1) inside of the picture.
        place: dlib's rectangle in `pixels`.
        pixels: (H, W, 3) uint8, the picture, with a margin where there is one.
    """

    box: Box
    place: Any
    pixels: Any


def has_dlib() -> bool:
    """Say whether dlib and its models are installed."""
    return all(find_spec(name) is not None for name in ("dlib", "face_recognition_models"))


def detect(picture: Tensor) -> list[Detection]:
    """Find frontal faces from about 40 pixels on in a picture (3, H, W) in [0, 1]."""
    pixels = to_uint8(picture)
    before, found = _last[0]
    if not np.array_equal(pixels, before):
        found = _detect(pixels, picture)
        _last[0] = pixels, found
    return list(found)


def _detect(pixels: Any, picture: Tensor) -> list[Detection]:
    detector, margin = _detector(), 0
    height, width = pixels.shape[:2]
    doubled = int(max(height, width) < SMALL)
    found = detector(pixels, doubled)
    if not found:
        margin = round(MARGIN * max(height, width))
        pixels = to_uint8(F.pad(picture[None].float(), (margin,) * 4, mode="replicate")[0])
        found = detector(pixels, doubled)
    return [Detection(_box(one, margin, (height, width)), one, pixels) for one in found]


def embed(found: Detection) -> Tensor:
    """Return (128,) numbers of a face that was turned upright by its landmarks."""
    landmarks, network = _models()
    numbers = network.compute_face_descriptor(found.pixels, landmarks(found.pixels, found.place))
    return torch.from_numpy(np.array(numbers, np.float32))


def _box(found: Any, margin: int, size: tuple[int, int]) -> Box:
    sides = (found.left(), found.top(), found.right(), found.bottom())
    (x0, y0, x1, y1), (height, width) = (side - margin for side in sides), size
    return (
        float(min(max(x0, 0), width)),
        float(min(max(y0, 0), height)),
        float(min(max(x1, 0), width)),
        float(min(max(y1, 0), height)),
    )


@cache
def _detector() -> Any:
    return require("dlib", "identity", needed_by=NEEDED_BY).get_frontal_face_detector()


@cache
def _models() -> tuple[Any, Any]:
    """Return landmarks and network, read once."""
    dlib = require("dlib", "identity", needed_by=NEEDED_BY)
    # Not imported: it would ask for pkg_resources, which setuptools no longer brings.
    spec = find_spec("face_recognition_models")
    places = None if spec is None else spec.submodule_search_locations
    if not places:
        raise MissingDependencyError(
            f"Expected face_recognition_models, which {NEEDED_BY} needs: "
            "pip install 'invertdesc[identity]'."
        )
    folder = Path(places[0]) / "models"
    return (
        dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat")),
        dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat")),
    )
