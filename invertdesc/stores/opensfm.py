"""OpenSfM's `features/<image>.features.npz`, as OpenDroneMap, WebODM and Mapillary write them.

`points` are x, y, size and angle. Positions and sizes are parts of the longer side of the image,
positions from its middle; angles are degrees. `exif/<image>.exif` beside the folder has the image's
size, and `config.yaml` what made the vectors:

| feature_type | vectors | in whose order | angle | size |
| --- | --- | --- | --- | --- |
| HAHOG, the default | bytes: 362 sqrt(SIFT) or 512 SIFT | VLFeat's | a quarter behind | sigma |
| DSPSIFT, OpenDroneMap's default | 512 RootSIFT as float32 | VLFeat's | as here | sigma |
| SIFT | OpenCV's, or RootSIFT of them | OpenCV's | as here | diameter |
| AKAZE | 64 numbers, as a rule square roots; or bits | OpenCV's | as here | diameter |
| ORB | bits | OpenCV's | as here | diameter |

Without `config.yaml` the numbers tell: their count and the vectors' lengths.

Source: OpenSfM's `features.py` and `hahog.cc`, OpenDroneMap's `dspsift.cc`, for what is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.descriptors.checking import ROOT_SUM
from invertdesc.errors import FileError, InputError
from invertdesc.features.npz import read_arrays
from invertdesc.stores._decide import mean_sum_over_length
from invertdesc.stores._feat import pictures, read_json, size_of
from invertdesc.stores._files import FileStore, read_bytes
from invertdesc.stores.record import BYTE_LENGTH, Array, Record, check_count, check_rows_alike
from invertdesc.stores.vlfeat import from_vlfeat

SUFFIX = ".features.npz"
ARRAYS = {"points", "descriptors"}
ROOTED_BYTES, ROOTED_NUMBERS = 650.0, 1.4  # between lengths of SIFT and of its square root
LARGEST_PART = 0.5  # of the longer side; old versions wrote sizes in pixels
FULL_TURN = 6.3  # radians, rounded up
SLACK = 0.01  # of the longer side, by which keypoints may lie outside
_SETTING = re.compile(r"^(\w+) *: *([\w.]+)", re.MULTILINE)
POOLED = "Domain-size pooling makes other vectors than plain SIFT: pictures get blurred."
TURNED = "The stored width and height are taken in the other order: keypoints lie outside else."
UNSURE = (
    "OpenSfM's AKAZE was read by its documentation alone; no file of it was at hand. Compare a "
    "picture."
)


@dataclass(frozen=True)
class _Meaning:
    """What OpenSfM's numbers stand for: our vectors, and how its angles and sizes are meant."""

    vectors: Array
    descriptor: str | None
    turn: float = 0.0  # degrees to be added
    diameters: bool = False
    may_be_radians: bool = False  # as in old versions of AKAZE's library
    notes: tuple[str, ...] = ()


class OpensfmStore(FileStore):
    """Read OpenSfM's features, one file or a folder of them."""

    kind: ClassVar[str] = "OpenSfM .features.npz"

    def _read(self, file: Path) -> Record:
        arrays = read_arrays(file, ("points", "descriptors"))
        points = _table(arrays["points"], "points", 4)
        vectors = _table(arrays["descriptors"], "descriptors", 128)
        check_rows_alike(len(points), len(vectors))
        if points.shape[1] < 4:
            raise InputError(f"Expected points of x, y, size, angle, got {points.shape[1]} each.")
        table = points.astype(np.float64)[:, :4]
        size, notes = self._size(file, table)
        meaning = _meaning(vectors, self._settings(file))
        longer = max(size)
        middle = (np.array(size[::-1]) - 1) / 2
        parts = not len(table) or float(np.median(table[:, 2])) < LARGEST_PART
        angles = table[:, 3]
        if meaning.may_be_radians and np.abs(angles).max(initial=0) < FULL_TURN:
            angles = np.rad2deg(angles)
        return Record(
            xy=table[:, :2] * longer + middle,
            vectors=meaning.vectors,
            image_size=size,
            scales=table[:, 2] * (longer if parts else 1),
            diameters=meaning.diameters,
            orientations=np.deg2rad(angles + meaning.turn),
            descriptor=meaning.descriptor,
            producer="opensfm",
            origin="parts",
            notes=(*meaning.notes, *notes),
        )

    def _size(self, file: Path, table: Array) -> tuple[tuple[int, int], tuple[str, ...]]:
        """Return (H, W), without which positions mean nothing, and what was noticed.

        Raises:
            InputError: It is not known.
        """
        if self._image_size is not None:
            return self._image_size, ()
        size = self._stored_size(file)
        if size is None:
            raise InputError(
                "Expected the image's size, of which OpenSfM's positions are parts: in "
                f"exif/{_image(file)}.exif beside {file.parent}, or in camera_models.json of a "
                "single camera; found none. Pass image_size=(H, W)."
            ).with_hint(image_size="WxH")
        across, down = np.abs(table[:, :2]).max(0, initial=0) * 2 - SLACK
        height, width = (side / max(size) for side in size)
        if (across > width or down > height) and across <= height and down <= width:
            return size[::-1], (TURNED,)
        return size, ()

    def _stored_size(self, file: Path) -> tuple[int, int] | None:
        for folder in (file.parent.parent, file.parent):
            exif = read_json(folder / "exif" / f"{_image(file)}.exif")
            if isinstance(exif, dict) and {"width", "height"} <= exif.keys():
                return size_of(exif)
            sizes = set(map(size_of, pictures(read_json(folder / "camera_models.json"))))
            if len(sizes) == 1:
                return sizes.pop()
        return None

    def _settings(self, file: Path) -> Mapping[str, str]:
        folder = file.parent.parent
        if folder not in self._configs:
            self._configs[folder] = _read_settings(folder / "config.yaml")
        return self._configs[folder]

    @cached_property
    def _configs(self) -> dict[Path, Mapping[str, str]]:
        """What is set in `config.yaml`, by its folder."""
        return {}


def _image(file: Path) -> str:
    """Return the image's name, with which OpenSfM begins that of its features."""
    return file.name.removesuffix(SUFFIX).removesuffix(".npz")


def _read_settings(file: Path) -> Mapping[str, str]:
    try:
        text = read_bytes(file).decode(errors="replace") if file.is_file() else ""
    except (FileError, InputError):  # what it says is only an aid
        text = ""
    return dict(_SETTING.findall(text))


def _table(array: Array, what: str, columns: int) -> Array:
    """Return an array of two axes, as which an empty one may not have been written."""
    if not array.size and (array.ndim != 2 or not len(array)):
        array = np.zeros((0, columns), array.dtype)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(f"Expected {what} as numbers of two axes, got {array.shape}.")
    check_count(*array.shape)
    return array


def _meaning(vectors: Array, settings: Mapping[str, str]) -> _Meaning:
    """Say what the vectors are, by `config.yaml` where it says, else by themselves."""
    kind = settings.get("feature_type", "").upper()
    width, is_bytes = vectors.shape[1], vectors.dtype == np.uint8
    if kind == "SURF":
        raise InputError("Expected features with an adapter, got OpenSfM's SURF. Use fit_program.")
    if width == 128:
        return _sift(vectors, kind if kind in ("HAHOG", "DSPSIFT", "SIFT") else "")
    if is_bytes and width == 32:
        return _Meaning(vectors, "orb", diameters=True)
    if is_bytes and width == 61:
        return _Meaning(vectors, "akaze", diameters=True, may_be_radians=True, notes=(UNSURE,))
    if width == 64 and not is_bytes:
        rooted = settings.get("feature_root", "yes").lower() in ("yes", "true", "on")
        plain = np.abs(vectors) * vectors if rooted else vectors
        return _Meaning(plain, "kaze", diameters=True, may_be_radians=True, notes=(UNSURE,))
    return _Meaning(vectors, None, diameters=True)


def _sift(vectors: Array, kind: str) -> _Meaning:
    numbers: Array = vectors.astype(np.float32)
    lengths = np.linalg.norm(numbers.astype(np.float64), axis=1)
    length = float(np.median(lengths)) if len(lengths) else 0.0
    root_sum = mean_sum_over_length(vectors)
    kind = kind or _guess(vectors.dtype == np.uint8, length, root_sum > ROOT_SUM)
    if kind == "HAHOG":
        rooted = length > (ROOTED_BYTES if length > 100 else ROOTED_NUMBERS)
        scale = np.maximum(lengths, 1e-9)[:, None] if rooted else 1
        plain = (numbers / scale).astype(np.float32)
        return _Meaning(from_vlfeat(plain), "rootsift" if rooted else "sift", turn=90.0)
    if kind == "DSPSIFT":
        root = root_sum > ROOT_SUM
        plain = numbers / BYTE_LENGTH if root and length > 100 else numbers
        name = "rootsift" if root else "sift"
        return _Meaning(from_vlfeat(plain), name, notes=(POOLED,))
    return _Meaning(numbers, None, diameters=True)


def _guess(is_bytes: bool, length: float, root: bool) -> str:
    """Name what made 128 numbers, by how long their vectors are and whether they look like roots.

    Args:
        is_bytes: Whether they are uint8.
        length: The vectors' median length.
        root: Whether their sum is that of RootSIFT.
    """
    if is_bytes:
        return "DSPSIFT" if root and length < ROOTED_BYTES else "HAHOG"
    if length > 100:
        return "DSPSIFT" if root else "SIFT"
    return "SIFT" if root and length < ROOTED_NUMBERS else "HAHOG"
