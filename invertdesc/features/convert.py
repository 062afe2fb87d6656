"""Convert keypoints and vectors from and to OpenCV, kornia, LightGlue and hloc.

Functions that read them return the fields of `LocalFeatures`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.base import is_packed, opencv_diameter, width_of
from invertdesc.descriptors.registry import descriptors
from invertdesc.errors import InputError, MissingFieldError, UnknownNameError
from invertdesc.features._checks import checked_size

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.local import LocalFeatures

Backend: TypeAlias = Literal["opencv", "pycolmap"]
NO_ANGLE = -1.0  # value of OpenCV for a keypoint without orientation
SLACK = 1.0  # keypoints of libraries may be this many pixels beyond the border


def meant_name(name: str) -> str:
    """Return the name of a file's vectors, or the registered name that it surely means.

    >>> meant_name("AKAZE"), meant_name("somebody's")
    ('akaze', "somebody's")
    """
    return descriptors.misspelt(name) or name


def check_name(name: str) -> None:
    """Refuse what is surely a registered name that was misspelt; other unknown ones are own names.

    Raises:
        UnknownNameError: It is misspelt; the message says what it means.
    """
    meant = descriptors.misspelt(name)
    if meant is not None:
        raise UnknownNameError(
            f"Expected the name of a descriptor, got {name!r}. Did you mean {meant!r}? Register "
            f"one of your own first: register_descriptor({name!r})."
        )


def rows_of(keypoints: Sequence[Any]) -> NDArray[np.float32]:
    """Return (N, 5) of OpenCV's keypoints: x, y, size, angle in degrees, response."""
    rows = [(*point.pt, point.size, point.angle, point.response) for point in keypoints]
    return np.array(rows, np.float32).reshape(-1, 5)


def from_opencv(
    keypoints: Sequence[Any],
    descriptors: NDArray[Any] | None,
    image_size: tuple[int, int],
    descriptor: str | Descriptor,
) -> dict[str, Any]:
    """Return the fields for `LocalFeatures.from_opencv`."""
    adapter = resolve_descriptor(descriptor)
    x, y, size, angle, response = torch.from_numpy(rows_of(keypoints)).unbind(1)
    if descriptors is None:  # OpenCV found no keypoints
        packed = is_packed(adapter)
        descriptors = np.zeros((0, width_of(adapter)), np.uint8 if packed else np.float32)
    turned = adapter.frame.rotated and not (len(angle) and (angle < 0).all())
    return {
        "descriptor": adapter.name,
        "image_size": image_size,
        "keypoints": _pinned(torch.stack([x, y], 1), image_size),
        "descriptors": _vectors(torch.from_numpy(np.array(descriptors)), adapter),
        "scales": size / opencv_diameter(adapter) if (size > 0).all() else None,
        "orientations": angle.clamp(min=0) * (math.pi / 180) if turned else None,
        "scores": response,
    }


def to_opencv(features: LocalFeatures) -> tuple[list[Any], NDArray[Any]]:
    """Return OpenCV's keypoints and vectors; see `LocalFeatures.to_opencv`."""
    import cv2

    adapter, count = resolve_descriptor(features.descriptor), len(features)
    scales, turns, scores = (
        None if field is None else field.detach().cpu().numpy()
        for field in (features.scales, features.orientations, features.scores)
    )
    octaves = levels = np.zeros(count, int)
    if scales is not None and hasattr(adapter, "level"):
        octaves, levels = adapter.level(scales, features.image_size)
    rows = zip(
        features.keypoints.tolist(),
        (np.zeros(count) if scales is None else scales * opencv_diameter(adapter)).tolist(),
        (np.full(count, NO_ANGLE) if turns is None else np.rad2deg(turns) % 360).tolist(),
        (np.zeros(count) if scores is None else scores).tolist(),
        octaves.tolist(),
        levels.tolist(),
        strict=True,
    )
    return [cv2.KeyPoint(x, y, *rest) for (x, y), *rest in rows], (
        features.descriptors.detach().cpu().numpy()
    )


def from_lafs(
    lafs: Tensor,
    descriptors: Tensor,
    image_size: tuple[int, int],
    descriptor: str | Descriptor,
    scores: Tensor | None,
) -> dict[str, Any]:
    """Return the fields for `LocalFeatures.from_lafs`."""
    adapter = resolve_descriptor(descriptor)
    frames = _of_one(lafs, 3, "lafs")
    if frames.shape[1:] != (2, 3):
        raise InputError(f"Expected lafs of shape (1, N, 2, 3), got {tuple(lafs.shape)}.")
    axes = frames[:, :, :2]
    half = axes.det().abs().sqrt()  # half the side of the square
    return {
        "descriptor": adapter.name,
        "image_size": image_size,
        "keypoints": _pinned(frames[:, :, 2], image_size),
        "descriptors": _vectors(_of_one(descriptors, 2, "descriptors"), adapter),
        "scales": half / _half_support(adapter),
        "orientations": torch.atan2(axes[:, 1, 0], axes[:, 0, 0]),
        "scores": None if scores is None else scores.detach().flatten().float(),
    }


def to_lafs(features: LocalFeatures) -> Tensor:
    """Return kornia's frames (1, N, 2, 3); see `LocalFeatures.to_lafs`."""
    if features.scales is None:
        raise MissingFieldError(
            "Expected features with scales, which local affine frames have; got some without. "
            "Guess with features.assume(scales=...)."
        )
    half = features.scales * _half_support(resolve_descriptor(features.descriptor))
    turns = features.orientations
    turns = torch.zeros_like(half) if turns is None else turns
    cos, sin = half * turns.cos(), half * turns.sin()
    x, y = features.keypoints.unbind(1)
    return torch.stack([torch.stack([cos, -sin, x], 1), torch.stack([sin, cos, y], 1)], 1)[None]


def from_lightglue(
    found: Mapping[str, Any],
    image_size: tuple[int, int],
    descriptor: str | Descriptor,
    backend: Backend | None,
) -> dict[str, Any]:
    """Return the fields for `LocalFeatures.from_lightglue`."""
    adapter = resolve_descriptor(descriptor)
    for name in ("keypoints", "descriptors"):
        if name not in found:
            raise InputError(f"Expected {name!r} in the dictionary, got {', '.join(found)}.")
    points = _of_one(found["keypoints"], 2, "keypoints").float()
    vectors = torch.as_tensor(found["descriptors"])
    flat = vectors.ndim == 2
    vectors = _of_one(vectors, 2, "descriptors")
    width = width_of(adapter)
    if flat and vectors.shape == (width, len(points)):  # hloc, also if both are equal
        vectors, backend = vectors.T, backend or "pycolmap"
    scores = found.get("keypoint_scores", found.get("scores"))
    scales, turns, scores = (
        None if field is None else torch.as_tensor(field).detach().flatten().float()
        for field in (found.get("scales"), found.get("oris"), scores)
    )
    if scales is not None and backend != "pycolmap":
        scales = scales / opencv_diameter(adapter)
    elif scales is not None and turns is not None:
        points = points - 0.5
    return {
        "descriptor": adapter.name,
        "image_size": image_size,
        "keypoints": _pinned(points, image_size),
        "descriptors": _vectors(vectors, adapter),
        "scales": scales,
        "orientations": turns,
        "scores": scores,
    }


def to_lightglue(features: LocalFeatures) -> dict[str, Tensor]:
    """Return LightGlue's dictionary; see `LocalFeatures.to_lightglue`."""
    height, width = features.image_size
    diameter = opencv_diameter(resolve_descriptor(features.descriptor))
    fields = {
        "keypoints": features.keypoints,
        "descriptors": features.descriptors,
        "keypoint_scores": features.scores,
        "scales": None if features.scales is None else features.scales * diameter,
        "oris": features.orientations,
        "image_size": features.keypoints.new_tensor([width, height]),
    }
    return {name: field[None] for name, field in fields.items() if field is not None}


def size_in(found: Mapping[str, Any]) -> tuple[int, int]:
    """Return (H, W) from the `image_size` (W, H) of a dictionary of LightGlue or hloc.

    Raises:
        InputError: It has none.
    """
    if "image_size" not in found:
        raise InputError("Expected image_size=(H, W), since the dictionary has none.")
    width, height = torch.as_tensor(found["image_size"]).flatten().tolist()
    return int(height), int(width)


def _of_one(values: Any, axes: int, name: str) -> Tensor:
    """Return values of one image without the axis of a batch of one."""
    rows = torch.as_tensor(values).detach()
    rows = rows[0] if rows.ndim == axes + 1 and len(rows) == 1 else rows
    if rows.ndim != axes:
        raise InputError(f"Expected {name} of one image, got shape {tuple(rows.shape)}.")
    return rows


def _vectors(rows: Tensor, adapter: Descriptor) -> Tensor:
    """Check the length of vectors, and return bytes unchanged and numbers as float32.

    Raises:
        InputError: The descriptor has vectors of another length.
    """
    rows = rows if rows.dtype == torch.uint8 else rows.float()
    adapter.encode(rows[:0])
    return rows


def _pinned(points: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Move keypoints (N, 2) that are a little beyond the border back onto it."""
    height, width = checked_size(image_size)
    points = points.detach().float()
    high = points.new_tensor([width - 0.5, height - 0.5])
    near = ((points >= -0.5 - SLACK) & (points <= high + SLACK)).all(1, keepdim=True)
    return torch.where(near, points.clamp(min=-0.5).minimum(high), points)


def _half_support(adapter: Descriptor) -> float:
    """Return half the side of the square that a descriptor covers, for a scale of 1."""
    return adapter.frame.support / 2 if adapter.frame.scaled else 6.0  # SIFT, as in kornia
