"""What the network of frames sees of keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

NEIGHBOURS = 16
HARMONICS = 12
KNOWN = 5  # numbers beside the vector
_ROWS = 1024  # keypoints whose distances to all others are in memory at a time


@dataclass(frozen=True, eq=False)
class FrameInputs:
    """What is known of M keypoints, in numbers that a network reads well.

    Attributes:
        vectors: (M, D) float32, each of root mean square 1.
        known: (M, 5) float32: x and y from -1 to 1 over the picture, and whether they count, else
            0; whether the scale is known, and whether the orientation is.
        scales: (M,) float32, natural logarithms of the scales in pixels; 0 where unknown.
        turns: (M, 2, 12) float32, cosines and sines of 1 to 12 times the orientation; 0 where
            unknown.
        neighbours: (M, K) int64, rows of the nearest keypoints, the nearest first; -1 where a
            picture has too few.
        directions: (M, K, 2, 12) float32, cosines and sines of 1 to 12 times the direction in which
            each lies.
        distances: (M, K) float32, natural logarithms of how many pixels away each is, plus a half.
    """

    vectors: Tensor
    known: Tensor
    scales: Tensor
    turns: Tensor
    neighbours: Tensor
    directions: Tensor
    distances: Tensor


def frame_inputs(
    vectors: Tensor,
    keypoints: Tensor,
    image_size: tuple[int, int],
    *,
    scales: Tensor | None = None,
    orientations: Tensor | None = None,
    placed: bool = True,
) -> FrameInputs:
    """Prepare the keypoints of one image.

    Args:
        vectors: (N, D) float, as `Descriptor.encode` returns them.
        keypoints: (N, 2) xy in pixels.
        image_size: (H, W) in pixels.
        scales: (N,) sigma in pixels; None where unknown.
        orientations: (N,) radians; None where unknown.
        placed: Whether to tell where in the picture a keypoint lies.
    """
    size = keypoints.new_tensor([image_size[1], image_size[0]])
    place = ((keypoints + 0.5) / size * 2 - 1) * placed
    nothing = torch.zeros_like(keypoints[:, 0])
    flags = (placed, scales is not None, orientations is not None)
    neighbours = nearest(keypoints)
    apart = keypoints[neighbours] - keypoints[:, None]
    return FrameInputs(
        vectors=F.normalize(vectors.float(), dim=1) * vectors.shape[1] ** 0.5,
        known=torch.stack([*place.unbind(1), *(nothing + flag for flag in flags)], 1),
        scales=nothing if scales is None else scales.log(),
        turns=harmonics(nothing if orientations is None else orientations)
        * (orientations is not None),
        neighbours=neighbours,
        directions=harmonics(torch.atan2(apart[..., 1], apart[..., 0])),
        distances=(apart.norm(dim=-1) + 0.5).log(),
    )


def harmonics(angles: Tensor) -> Tensor:
    """Return (..., 2, 12), cosines and sines of 1 to 12 times angles (...) in radians."""
    waves = angles[..., None] * torch.arange(1, HARMONICS + 1, device=angles.device)
    return torch.stack([waves.cos(), waves.sin()], -2)


def nearest(keypoints: Tensor, count: int = NEIGHBOURS) -> Tensor:
    """Find the nearest other keypoints of each.

    Args:
        keypoints: (N, 2) xy in pixels.
        count: K.

    Returns:
        (N, K) int64 rows, the nearest first; -1 where there is no further keypoint.

    >>> nearest(torch.tensor([[0.0, 0.0], [9.0, 0.0], [1.0, 0.0]]), count=3).tolist()
    [[2, 1, -1], [2, 0, -1], [0, 1, -1]]
    """
    total = len(keypoints)
    found = torch.full((total, count), -1, device=keypoints.device)
    there = min(count, total - 1)
    if there < 1:
        return found
    for start in range(0, total, _ROWS):
        some = keypoints[start : start + _ROWS]
        far = (some[:, None] - keypoints).square().sum(-1)
        own = torch.arange(len(some), device=keypoints.device)
        far[own, own + start] = torch.inf
        found[start : start + _ROWS, :there] = far.topk(there, 1, largest=False).indices
    return found


def pack_inputs(several: Sequence[FrameInputs]) -> FrameInputs:
    """Put the keypoints of several images end to end; neighbours stay within theirs."""
    first, rows = 0, []
    for one in several:
        rows.append(torch.where(one.neighbours < 0, -1, one.neighbours + first))
        first += len(one.vectors)
    parts = {
        name: torch.cat([getattr(one, name) for one in several])
        for name in ("vectors", "known", "scales", "turns", "directions", "distances")
    }
    return FrameInputs(neighbours=torch.cat(rows), **parts)
