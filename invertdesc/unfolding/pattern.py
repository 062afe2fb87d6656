"""The comparisons of local means of the picture that the bits of a binary descriptor make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc._files import open_tensors, save_tensors
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.sample import image_gradients, sample_frames

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

FORMAT = "invertdesc-pattern"
VERSION = 1
INNER = 0.75  # share of a frame's side that is painted; few boxes reach the border


@dataclass(frozen=True, eq=False)
class Pattern:
    """The comparisons of a binary descriptor, in the keypoint's frame.

    Bit i is set if the mean of the picture in box (i, 0) is greater than that in box (i, 1).

    Attributes:
        boxes: (M, 2, 3) float32, centre x, y and side of each square, in units of the frame's side,
            relative to the middle of the frame, towards its right and down.
        frame: Frame of the descriptor.

    >>> boxes = torch.tensor([[[0.25, 0.0, 0.5], [-0.25, 0.0, 0.5]]])
    >>> Pattern(boxes, Frame(support=32.0)).matrix(4).view(4, 4)
    tensor([[ 0.0000,  0.0000,  0.0000,  0.0000],
            [-0.2500, -0.2500,  0.2500,  0.2500],
            [-0.2500, -0.2500,  0.2500,  0.2500],
            [ 0.0000,  0.0000,  0.0000,  0.0000]])

    Source: d'Angelo, Jacques, Alahi, Vandergheynst, "From bits to images: inversion of local binary
    descriptors", PAMI 2014.
    """

    boxes: Tensor
    frame: Frame

    def matrix(self, grid: int) -> Tensor:
        """Return (M, grid * grid) float32: the differences of box means as a linear map.

        Its input is a picture of the frame with grid x grid cells, row by row. Parts of a box
        outside the frame are ignored.
        """
        first, second = box_means(self.boxes, grid).unbind(1)
        return first - second

    def differences(self, gray: Tensor, batch: FeatureBatch, *, grid: int = 64) -> Tensor:
        """Return (N, M), the differences whose signs are the bits, of a picture.

        Args:
            gray: (H, W) in [0, 1].
            batch: Batch of one image with the keypoints.
            grid: Number of samples along the side of the frame. The picture is not blurred first,
                so the distance of samples should be about a pixel or less.

        Raises:
            MissingFieldError: The features lack scales or orientations that the frame needs.
        """
        batch.require(self.frame.needs, needed_by="the frame of a pattern")
        sides, turns = self.frame.sides(batch), self.frame.turns(batch)
        patches = sample_frames(gray, batch.keypoints, sides, turns, grid)
        return patches.flatten(1) @ self.matrix(grid).to(gray).T

    def save(
        self, path: str | os.PathLike[str], *, card: Mapping[str, object] | None = None
    ) -> None:
        """Write a .safetensors file atomically, with the boxes in float16.

        Raises:
            FileError: The file cannot be written.
        """
        header = {"frame": asdict(self.frame), "card": dict(card or {})}
        boxes = {"boxes": self.boxes.half()}
        save_tensors(path, boxes, format=FORMAT, version=VERSION, header=header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Pattern:
        """Read a .safetensors file that `save` wrote.

        Raises:
            FileError: The file is missing, broken, of another format, or of a later version.
        """
        what = "a pattern that invertdesc wrote"
        with open_tensors(path, what=what, format=FORMAT, newest=VERSION) as (header, tensors):
            boxes = tensors["boxes"].float()
            if boxes.ndim != 3 or boxes.shape[1:] != (2, 3) or not boxes.isfinite().all():
                raise ValueError(f"boxes of shape {tuple(boxes.shape)}, not finite (M, 2, 3)")
            return cls(boxes, Frame(**header["frame"]))

    @classmethod
    @lru_cache
    def shipped(cls, descriptor: str) -> Pattern | None:
        """Load the pattern of the package for a descriptor; None if there is none."""
        path = _shipped(descriptor)
        return cls.load(path) if path.is_file() else None


def _shipped(descriptor: str) -> Path:
    from invertdesc.weights import FOLDER

    return FOLDER / f"pattern-{descriptor}.safetensors"


def has_pattern(adapter: Descriptor) -> bool:
    """Return whether an adapter's bits are known comparisons."""
    return getattr(adapter, "pattern", None) is not None or _shipped(adapter.name).is_file()


def pattern_of(adapter: Descriptor, *, needed_by: str) -> Pattern:
    """Return an adapter's attribute `pattern`, or the pattern of the package for its name.

    Args:
        adapter: Adapter of a binary descriptor.
        needed_by: Name of the method, for the message.

    Raises:
        InputError: There is no pattern.
    """
    pattern = getattr(adapter, "pattern", None) or Pattern.shipped(adapter.name)
    if isinstance(pattern, Pattern):
        return pattern
    from invertdesc.weights import FOLDER

    shipped = ", ".join(sorted(path.stem[8:] for path in FOLDER.glob("pattern-*.safetensors")))
    raise InputError(
        f"Expected a binary descriptor whose comparisons are known ({shipped}) for the method "
        f"{needed_by!r}, got {adapter.name!r}. Choose method 'poisson' or 'unfold', or give its "
        "comparisons as pattern."
    )


def inner_gradients(patches: Tensor, frame: Frame) -> tuple[Tensor, Frame]:
    """Return the gradients of patches (N, G, G) without their border, and the frame they fill."""
    grid = patches.shape[-1]
    rim = round(grid * (1 - INNER) / 2)
    inner = image_gradients(patches)[..., rim : grid - rim, rim : grid - rim]
    return inner, replace(frame, support=frame.support * inner.shape[-1] / grid)


def box_means(boxes: Tensor, grid: int) -> Tensor:
    """Return (..., grid * grid), the means in boxes (..., 3) as linear maps, each of sum 1."""
    edges = torch.arange(grid, device=boxes.device)
    centre, half = (boxes[..., :2] + 0.5) * grid, boxes[..., 2:] * (grid / 2)
    low, high = (centre - half)[..., None], (centre + half)[..., None]  # (..., 2, 1)
    shares = (high.minimum(edges + 1) - low.maximum(edges)).clamp(min=0)  # (..., 2, grid)
    shares = shares / shares.sum(-1, keepdim=True).clamp(min=1e-6)
    return (shares[..., 1, :, None] * shares[..., 0, None, :]).flatten(-2)
