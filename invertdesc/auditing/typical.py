"""Typical vectors of a descriptor, from pictures that are not audited."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc.errors import InvertDescError
from invertdesc.features.bits import from_values, to_values

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

# Pictures of scikit-image. The two lists have no scene in common, so an attacker who knows the
# second knows no vector of the first.
DEFENDER = ("clock_motion.png", "grass.png", "gravel.png", "moon.png", "page.png", "retina.jpg")
ATTACKER = ("brick.png", "coins.png", "ihc.png", "motorcycle_left.png")
MOST = 2000  # maximum number of vectors of each list


class Typical:
    """Vectors of a descriptor, as emitted, from scikit-image's pictures; extracted on first use.

    Attributes:
        adapter: Adapter of the descriptor.
    """

    def __init__(self, adapter: Descriptor) -> None:
        self.adapter = adapter
        self._found: dict[Sequence[str], Tensor] = {}

    @property
    def defender(self) -> Tensor:
        """(N, D), the vectors among which a defender hides descriptors.

        Raises:
            InvertDescError: The adapter cannot extract.
        """
        return self._of(DEFENDER)

    @property
    def dictionary(self) -> Tensor:
        """(K, D), all vectors of the defender's pictures, which everybody knows.

        Raises:
            InvertDescError: The adapter cannot extract.
        """
        return self._of(DEFENDER, most=None)

    @property
    def attacker(self) -> Tensor:
        """(N, D), the vectors that an attacker knows, from other pictures than the defender's.

        Raises:
            InvertDescError: The adapter cannot extract.
        """
        return self._of(ATTACKER)

    @property
    def mean(self) -> Tensor:
        """(D,), the mean of the attacker's vectors; for bits, the majority.

        Raises:
            InvertDescError: The adapter cannot extract.
        """
        vectors = self.attacker
        return from_values(to_values(vectors).mean(0, keepdim=True), vectors)[0]

    @property
    def length(self) -> float:
        """Sum of a vector's absolute values, a mean over the attacker's.

        Raises:
            InvertDescError: The adapter cannot extract.
        """
        return float(to_values(self.attacker).abs().sum(1).mean())

    def floored(self, values: Tensor) -> Tensor:
        """Return values (N, D) with negative ones set to 0, where such vectors never have any.

        Raises:
            InvertDescError: The adapter cannot extract.
        """
        return values.clamp(min=0) if bool((to_values(self.attacker) >= 0).all()) else values

    def _of(self, names: Sequence[str], most: int | None = MOST) -> Tensor:
        if names not in self._found:
            self._found[names] = _joined([self._extract(name) for name in names])
        return self._found[names] if most is None else _sample(self._found[names], most)

    def _extract(self, name: str) -> Tensor:
        return self.adapter.extract(_picture(name)).descriptors


def _joined(vectors: Sequence[Tensor]) -> Tensor:
    rows = torch.cat(list(vectors))
    if not len(rows):
        raise InvertDescError("Expected keypoints in scikit-image's pictures, found none.")
    return rows


def _sample(rows: Tensor, most: int) -> Tensor:
    """Return at most so many rows, always the same ones."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    return rows[order[:most].sort().values]


@lru_cache(maxsize=len(DEFENDER + ATTACKER))
def _picture(name: str) -> Tensor:
    import skimage

    from invertdesc.image import read_image

    return read_image(Path(skimage.__file__).parent / "data" / name)
