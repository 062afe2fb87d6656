"""One image as read from a store, in the units of invertdesc, before `LocalFeatures`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invertdesc.descriptors.base import is_packed as packed
from invertdesc.descriptors.base import opencv_diameter
from invertdesc.errors import InputError, UnknownNameError
from invertdesc.limits import check_limit

Array: TypeAlias = NDArray[Any]

OUTSIDE = 0.1  # share of an image's keypoints that may be outside it
FEW = 16  # keypoints, and pixels per side, from which fractional positions are recognised
ROUNDING = 2.0**-9  # some stores have positions in float16, with 11 bits
BYTE_LENGTH = 512.0  # length of SIFT as bytes in COLMAP, OpenMVG and AliceVision

ORIGINS = {
    "centre": "whole numbers are pixel centres, as here",
    "corner": "the first pixel's centre is at (0.5, 0.5): moved by half a pixel",
    "first": "the first pixel's centre is at (1, 1): moved by a pixel",
    "parts": "parts of the longer side, from the image's middle: turned into pixels",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """The result of a reader; positions, angles and order of the vectors are converted already.

    Attributes:
        xy: (N, 2), integers are pixel centres.
        vectors: (N, D), as stored, in the order of the adapter.
        image_size: (H, W) of the image, or None if unknown.
        scales: (N,) sigma in pixels, or OpenCV's diameters if `diameters`.
        orientations: (N,) radians from +x towards +y.
        scores: (N,) scores of the detector.
        descriptor: Name of the descriptor if the store contains it.
        producer: Program that wrote the store.
        origin: Origin of the store's coordinates, among `ORIGINS`.
        diameters: Whether `scales` are OpenCV's sizes.
        notes: Sentences about the image.
    """

    xy: Array
    vectors: Array
    image_size: tuple[int, int] | None = None
    scales: Array | None = None
    orientations: Array | None = None
    scores: Array | None = None
    descriptor: str | None = None
    producer: str | None = None
    origin: str = "centre"
    diameters: bool = False
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The optional fields that are missing."""
        fields = ("scales", "orientations", "scores")
        return tuple(name for name in fields if getattr(self, name) is None)

    def as_emitted(self, name: str) -> Tensor:
        """Return the vectors in the form that the descriptor of a name emits."""
        if is_packed(name) is True or (is_packed(name) is None and self.vectors.dtype == np.uint8):
            if self.vectors.dtype != np.uint8:
                raise InputError(f"Expected bytes for {name!r}, got {self.vectors.dtype}.")
            return torch.from_numpy(self.vectors.copy())
        vectors = self.vectors.astype(np.float32)
        if name == "rootsift" and self.vectors.dtype == np.uint8:
            vectors /= BYTE_LENGTH
        return torch.from_numpy(vectors)

    def scales_for(self, name: str) -> Array | None:
        """Return sigma in pixels; the conversion of OpenCV's sizes depends on the descriptor."""
        if self.scales is None or not self.diameters:
            return self.scales
        return self.scales / opencv_diameter(adapter_of(name))


def adapter_of(name: str) -> Any:
    """Return the adapter of a name, or None."""
    from invertdesc.descriptors import create_descriptor

    try:
        return create_descriptor(name)
    except UnknownNameError:
        return None


def absolute_name(name: str | None) -> str | None:
    """Return a descriptor's name; of one that is a file, the path that its adapter is called by.

    Raises:
        FileError: No such file.
    """
    if name is None or not name.endswith(".safetensors"):
        return name
    from invertdesc.descriptors import create_descriptor

    return create_descriptor(name).name


def is_packed(name: str) -> bool | None:
    """Return whether a descriptor is packed bits; None if it has no adapter."""
    adapter = adapter_of(name)
    return None if adapter is None else packed(adapter)


def fits(name: str, width: int, dtype: Any) -> bool:
    """Return whether vectors of this width can be those of the descriptor of a name."""
    adapter = adapter_of(name)
    if adapter is None or (is_packed(name) and dtype != np.uint8):
        return False
    try:
        adapter.encode(torch.zeros(0, width, dtype=torch.uint8 if is_packed(name) else None))
    except InputError:
        return False
    return True


def check_count(count: object, width: object = 1) -> tuple[int, int]:
    """Check a number of keypoints and a vector length, before memory is allocated for them.

    Raises:
        InputError: A number is not an integer, negative, or more than `Limits` allows.
    """
    if not (isinstance(count, int) and count >= 0):
        raise InputError(f"Expected a whole number of keypoints, got {count!r}.")
    if not (isinstance(width, int) and width >= 0):
        raise InputError(f"Expected vectors of a whole number of values, got {width!r}.")
    check_limit("keypoints", count, "an image")
    check_limit("width", width, "descriptors")
    check_limit("values", count * width, "an array")
    return count, width


def matrix(data: bytes, rows: int, cols: int, dtype: str, what: str) -> Array:
    """Return a view of raw little-endian bytes as (rows, cols).

    Raises:
        InputError: The number of bytes is wrong.
    """
    needed = rows * cols * np.dtype(dtype).itemsize
    if len(data) != needed:
        raise InputError(
            f"Expected {needed} bytes of {what} for {rows} x {cols} {np.dtype(dtype).name}, got "
            f"{len(data)}. Was the file cut off?"
        )
    return np.frombuffer(data, dtype).reshape(rows, cols)


def check_rows_alike(keypoints: int, vectors: int) -> None:
    """Check that there is a vector for each keypoint.

    Raises:
        InputError: The counts differ.
    """
    if keypoints != vectors:
        raise InputError(
            f"Expected a descriptor for each of {keypoints} keypoints, got {vectors} of them."
        )


def sized(record: Record, given: tuple[int, int] | None) -> tuple[int, int]:
    """Return (H, W): the given one, the stored one, or an estimate from the outermost keypoints.

    Raises:
        InputError: The size has more pixels than `Limits` allows.
    """
    size = given or record.image_size
    if size is None:
        if not np.isfinite(record.xy).all():
            raise InputError("Expected finite keypoints, got NaN or infinity.")
        x, y = record.xy.max(0) if len(record.xy) else (0, 0)
        size = (max(1, int(np.floor(y + 0.5)) + 1), max(1, int(np.floor(x + 0.5)) + 1))
    check_limit("pixels", size[0] * size[1], "an image")
    return size


def check_pixels(xy: Array, size: tuple[int, int] | None) -> None:
    """Check that positions are in pixels, and not fractions of the image size.

    Args:
        xy: (N, 2).
        size: (H, W) in pixels, or None if unknown.

    Raises:
        InputError: All positions are within a pixel of the origin, and the image is larger, or its
            size is unknown.
    """
    if len(xy) < FEW or not np.abs(xy).max() <= 1 or not np.ptp(xy) > 0:
        return
    if size is None or min(size) >= FEW:
        where = "an image of unknown size" if size is None else f"a {size[1]} x {size[0]} image"
        raise InputError(
            f"Expected keypoints in pixels, got {len(xy)} within a pixel of the first one of "
            f"{where}. Are they from 0 to 1, or from -0.5 to 0.5 as OpenSfM's? Scale them first."
        )


def inside(record: Record, size: tuple[int, int]) -> Record:
    """Return a record without the few keypoints outside the image of (H, W).

    If many are outside, the size is wrong. All are then kept, and refused later.
    """
    xy = pinned(record.xy, size)
    out = ((xy < -0.5) | (xy > np.array([size[1] - 0.5, size[0] - 0.5]))).any(1)
    others = (record.scales, record.orientations, record.scores)
    uneven = any(rows is not None and len(rows) != len(xy) for rows in others)
    if uneven or not out.any() or out.mean() > OUTSIDE:
        return replace(record, xy=xy)
    scales, turns, scores = (None if rows is None else rows[~out] for rows in others)
    return replace(
        record,
        xy=xy[~out],
        vectors=record.vectors[~out],
        scales=scales,
        orientations=turns,
        scores=scores,
    )


def pinned(xy: Array, size: tuple[int, int]) -> Array:
    """Move keypoints that rounding moved over the border back to it; leave the others."""
    high = np.array([size[1] - 0.5, size[0] - 0.5])
    slack = np.maximum(1.0, ROUNDING * high)
    near = ((xy >= -0.5 - slack) & (xy <= high + slack)).all(1, keepdims=True)
    return np.where(near, np.clip(xy, -0.5, high), xy)


@overload
def to_tensor(values: Array) -> Tensor: ...
@overload
def to_tensor(values: Array | None) -> Tensor | None: ...
def to_tensor(values: Array | None) -> Tensor | None:
    """Return a copy in float32; None stays None."""
    return None if values is None else torch.from_numpy(np.array(values, np.float32))


def numbers(tokens: Sequence[bytes] | Sequence[str], what: str) -> Array:
    """Convert words to float64.

    Raises:
        InputError: A word is not a number.
    """
    for word in tokens:  # Python reads 1_0 as 10
        if (isinstance(word, bytes) and b"_" in word) or (isinstance(word, str) and "_" in word):
            raise InputError(f"Expected numbers for {what}, got {word!r}.")
    try:
        return np.array(tokens, dtype=np.float64) if len(tokens) else np.zeros(0)
    except ValueError as error:
        raise InputError(f"Expected numbers for {what}, got: {error}.") from error
