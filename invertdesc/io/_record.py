"""One image as a reader found it, in our units, on its way to `LocalFeatures`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invertdesc.errors import InputError, UnknownNameError

Array: TypeAlias = NDArray[Any]

MOST_KEYPOINTS = 2**20  # in an image; a file may claim any number, and extractors stop at thousands
MOST_WIDTH = 2**14  # bytes of a vector
MOST_VALUES = 2**28  # of one array
MOST_PIXELS = 2**28
ROUNDING = 2.0**-9  # float16, in which some stores keep positions, has 11 bits
BYTE_LENGTH = 512.0  # of SIFT as bytes: COLMAP, OpenMVG and AliceVision alike

ORIGINS = {
    "centre": "whole numbers are pixel centres, as here",
    "corner": "the first pixel's centre is at (0.5, 0.5): moved by half a pixel",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """What a reader hands on: positions, angles and order of the vectors are ours already.

    Attributes:
        xy: (N, 2), integers are pixel centres.
        vectors: (N, D), as stored, in the order of our adapter.
        image_size: (H, W) where the store tells.
        scales: (N,) sigma in pixels, or OpenCV's diameters where `diameters`.
        orientations: (N,) radians from +x towards +y.
        scores: (N,).
        descriptor: Name of what made the vectors where the store tells it by itself.
        producer: What wrote the store.
        origin: The store's own, among `ORIGINS`.
        diameters: Whether `scales` are OpenCV's sizes.
        notes: What was noticed, a sentence each.
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
        """The optional fields that are not there."""
        fields = ("scales", "orientations", "scores")
        return tuple(name for name in fields if getattr(self, name) is None)

    def as_emitted(self, name: str) -> Tensor:
        """Return the vectors in the form in which the descriptor of that name emits them."""
        if is_packed(name) is True or (is_packed(name) is None and self.vectors.dtype == np.uint8):
            if self.vectors.dtype != np.uint8:
                raise InputError(f"Expected bytes for {name!r}, got {self.vectors.dtype}.")
            return torch.from_numpy(self.vectors.copy())
        vectors = self.vectors.astype(np.float32)
        if name == "rootsift" and self.vectors.dtype == np.uint8:
            vectors /= BYTE_LENGTH
        return torch.from_numpy(vectors)

    def scales_for(self, name: str) -> Array | None:
        """Return sigma in pixels, which OpenCV's sizes are only once the descriptor is known."""
        if self.scales is None or not self.diameters:
            return self.scales
        return self.scales / float(getattr(adapter_of(name), "diameter", 2.0))


def adapter_of(name: str) -> Any:
    """Return the adapter of that name, or None."""
    from invertdesc.descriptors import create_descriptor

    try:
        return create_descriptor(name)
    except UnknownNameError:
        return None


def is_packed(name: str) -> bool | None:
    """Say whether a descriptor is bits packed eight to a byte; None where it has no adapter."""
    adapter = adapter_of(name)
    return None if adapter is None else bool(getattr(adapter, "packed", False))


def check_count(count: object, width: object = 1) -> tuple[int, int]:
    """Return a number of keypoints and a vector length, before anything is allocated for them.

    Raises:
        InputError: No whole number, negative, or beyond all reason.
    """
    if not (isinstance(count, int) and 0 <= count <= MOST_KEYPOINTS):
        raise InputError(f"Expected 0 to {MOST_KEYPOINTS} keypoints, got {count!r}.")
    if not (isinstance(width, int) and 0 <= width <= MOST_WIDTH):
        raise InputError(f"Expected vectors of at most {MOST_WIDTH} numbers, got {width!r}.")
    return count, width


def matrix(data: bytes, rows: int, cols: int, dtype: str, what: str) -> Array:
    """Return a view of raw little-endian bytes as (rows, cols).

    Raises:
        InputError: Not as many bytes as that takes.
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
        InputError: There is not.
    """
    if keypoints != vectors:
        raise InputError(
            f"Expected a descriptor for each of {keypoints} keypoints, got {vectors} of them."
        )


def sized(record: Record, given: tuple[int, int] | None) -> tuple[int, int]:
    """Return (H, W): as given, as stored, or what the outermost keypoints span.

    Raises:
        InputError: More pixels than any picture has.
    """
    size = given or record.image_size
    if size is None:
        if not np.isfinite(record.xy).all():
            raise InputError("Expected finite keypoints, got NaN or infinity.")
        x, y = record.xy.max(0) if len(record.xy) else (0, 0)
        size = (max(1, int(np.floor(y + 0.5)) + 1), max(1, int(np.floor(x + 0.5)) + 1))
    if size[0] * size[1] > MOST_PIXELS:
        raise InputError(f"Expected an image of at most {MOST_PIXELS} pixels, got (H, W) = {size}.")
    return size


def pinned(xy: Array, size: tuple[int, int]) -> Array:
    """Move keypoints that rounding has pushed over the border back onto it; others stay."""
    high = np.array([size[1] - 0.5, size[0] - 0.5])
    slack = np.maximum(1.0, ROUNDING * high)
    near = ((xy >= -0.5 - slack) & (xy <= high + slack)).all(1, keepdims=True)
    return np.where(near, np.clip(xy, -0.5, high), xy)


@overload
def to_tensor(values: Array) -> Tensor: ...
@overload
def to_tensor(values: Array | None) -> Tensor | None: ...
def to_tensor(values: Array | None) -> Tensor | None:
    """Return float32 of its own memory; None stays None."""
    return None if values is None else torch.from_numpy(np.array(values, np.float32))


def numbers(tokens: Sequence[bytes] | Sequence[str], what: str) -> Array:
    """Return float64 from words.

    Raises:
        InputError: One is no number.
    """
    for word in tokens:  # Python reads 1_0 as 10
        if (isinstance(word, bytes) and b"_" in word) or (isinstance(word, str) and "_" in word):
            raise InputError(f"Expected numbers for {what}, got {word!r}.")
    try:
        return np.array(tokens, dtype=np.float64) if len(tokens) else np.zeros(0)
    except ValueError as error:
        raise InputError(f"Expected numbers for {what}, got: {error}.") from error
