"""AKAZE's vectors as OpenMVG and AliceVision write them, in OpenCV's order.

Both compute the numbers (M-SURF) and the bits (M-LDB) as OpenCV does. Numbers come in the same
order; bits compare the cells i < j of a grid in three channels, and OpenCV writes channel after
channel what the others write pair after pair. The scale of theirs is half of OpenCV's size.

Source: OpenMVG's `msurf_descriptor.hpp`, `mldb_descriptor.hpp` and `image_describer_akaze.cpp`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np

from invertdesc.stores.record import Array

GRIDS, CHANNELS = (2, 3, 4), 3
BITS, STORED, KEPT = 486, 64, 61  # bits, and bytes in their files and in OpenCV's
NUMBERS = 64
SCALE = 1 / 1.5  # ours, of which OpenCV's size is three times, for one of theirs


@lru_cache
def _order() -> Array:
    """Return, for each bit of OpenCV's, the place of theirs."""
    places: list[int] = []
    start = 0
    for grid in GRIDS:
        pairs = len(list(combinations(range(grid * grid), 2)))
        places += [
            start + CHANNELS * pair + channel
            for channel in range(CHANNELS)
            for pair in range(pairs)
        ]
        start += CHANNELS * pairs
    return np.array(places)


def from_interleaved(vectors: Array) -> Array:
    """Bring bits (N, 64) uint8 into OpenCV's order and length, (N, 61).

    >>> vector = np.zeros((1, 64), np.uint8)
    >>> vector[0, 0] = 0b1001  # the first pair and the second in the first channel
    >>> int(from_interleaved(vector)[0, 0])
    3
    """
    bits = np.unpackbits(vectors, axis=1, bitorder="little")[:, _order()]
    return np.packbits(bits, axis=1, bitorder="little")
