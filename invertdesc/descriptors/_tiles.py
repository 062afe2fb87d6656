"""Cut large pictures into tiles in which their keypoints can be described."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc.errors import MissingFieldError

if TYPE_CHECKING:
    from invertdesc.features.local import LocalFeatures

LARGE = 1 << 22  # pixels; below, an extractor has the whole picture
CORE = 1536  # pixels, the side of the smallest tiles
GROUPS = (6.0,)  # scales: larger keypoints need wider tiles, but not a pyramid's lowest level


def tiles_of(
    features: LocalFeatures, reach: float
) -> Iterator[tuple[Tensor, tuple[int, int, int, int]]]:
    """Yield rows of keypoints, and the box (x0, y0, x1, y1) in which they are described.

    Tiles overlap by what a keypoint sees. They start at multiples of a power of two above its
    scale, so that the levels of a pyramid take the same pixels as those of the whole picture.

    Args:
        features: Given, with scales.
        reach: Distance from a keypoint, in its scales, beyond which no pixel changes its vector.
    """
    scales, (height, width) = features.scales, features.image_size
    if scales is None:
        raise MissingFieldError("Expected features with scales to find tiles for, got none.")
    groups = torch.bucketize(scales, scales.new_tensor(GROUPS))
    for number in sorted(set(groups.tolist())):
        chosen = (groups == number).nonzero().flatten()
        largest = float(scales[chosen].max())
        step = 2 ** math.ceil(math.log2(max(largest, 1)) + 1)
        margin = math.ceil((reach * largest + 8) / step) * step
        core = math.ceil(max(CORE, 2 * margin) / step) * step
        tile = (features.keypoints[chosen].clamp(min=0) // core).long()
        for column, row in sorted(set(map(tuple, tile.tolist()))):
            here = chosen[(tile == torch.tensor([column, row])).all(1)]
            x, y = column * core, row * core
            left, top = max(0, x - margin), max(0, y - margin)
            yield here, (left, top, min(width, x + core + margin), min(height, y + core + margin))
