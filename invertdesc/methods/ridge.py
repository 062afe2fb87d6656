"""Reconstruct patches as a linear function of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc.methods._merge import Windows
from invertdesc.methods._pairs import (
    CONTRAST,
    CONTRAST_FLOOR,
    PairedInverse,
    gather_pairs,
    penalty_of,
    save_pairs,
    to_unit,
)

if TYPE_CHECKING:
    from invertdesc.methods.database import Collection


class Ridge(PairedInverse):
    """Compute the expected patch for each vector by ridge regression, and merge the patches.

    For HOG a vector is that of a block and the blocks around it. If several patches are possible
    for a vector, their mean is blurred. HOG without signs contains little information about which
    side is lighter.

    >>> print(Ridge.needs)
    a database

    Source: Vondrick, Khosla, Malisiewicz, Torralba, "HOGgles: visualizing object detection
    features", ICCV 2013, section 4.2; unit patches with a separate contrast, and the merge, are
    additions.
    """

    name: ClassVar[str] = "ridge"
    parts: ClassVar[tuple[str, ...]] = ("matrix", "scale", "bias", *CONTRAST)

    @classmethod
    def collect(
        cls,
        collection: Collection,
        *,
        most: int = 100,
        blocks: int = 5,
        penalty: float = 0.02,
    ) -> str:
        """Fit a map, write it, and return a line that describes the file.

        Args:
            collection: A few hundred pictures.
            most: Maximum number of patches per picture.
            blocks: Number of blocks per side of a window of HOG, odd.
            penalty: Penalty on the map, relative to the variance of the vectors.

        Raises:
            InputError: An option is out of range, or there are no keypoints.
            MissingDependencyError: scikit-learn is not installed.
        """
        collection.require("sklearn")
        from sklearn.linear_model import Ridge as Regression

        check_range("penalty", penalty, above=0)
        windows = Windows(collection.adapter, blocks)
        pairs = gather_pairs(collection, windows, most)
        found = Regression(alpha=penalty_of(pairs.vectors, penalty)).fit(
            pairs.vectors.numpy(), to_unit(pairs.patches, CONTRAST_FLOOR).numpy()
        )
        matrix = torch.from_numpy(found.coef_.T)
        tensors = {
            "matrix": (matrix / (scale := matrix.abs().amax())).half(),
            "scale": scale,
            "bias": torch.from_numpy(found.intercept_).float(),
        }
        return save_pairs(collection, windows, pairs, tensors, {"penalty": penalty})

    def infer(self, vectors: Tensor) -> Tensor:
        """Return patches (M, G * G) for vectors (M, D')."""
        matrix, scale, bias = (self.held(name, vectors) for name in ("matrix", "scale", "bias"))
        return vectors @ (matrix * scale) + bias
