"""The common part of all implementations of the placement rule."""

from collections.abc import Sequence
from functools import lru_cache


@lru_cache
def candidates(radius: int) -> tuple[tuple[int, int], ...]:
    """Return (row, column) steps: home, then rings by distance, row and column."""
    reach = range(-radius, radius + 1)
    steps = [(dy, dx) for dy in reach for dx in reach]
    return tuple(sorted(steps, key=lambda s: (max(map(abs, s)), s[0] ** 2 + s[1] ** 2, *s)))


def map_sizes(image_size: Sequence[int], cell_sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the rows and columns of the map for each cell size."""
    height, width = image_size
    return [(-(-height // cell), -(-width // cell)) for cell in cell_sizes]
