"""Dense HOG as scikit-image computes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from invertdesc.descriptors._hog import DenseHog
from invertdesc.features import LocalFeatures
from invertdesc.image import to_gray, to_uint8

BlockNorm: TypeAlias = Literal["L1", "L1-sqrt", "L2", "L2-Hys"]


@dataclass(frozen=True, kw_only=True)
class Hog(DenseHog):
    """Dense HOG of the whole picture: histograms of unsigned gradients in cells of 8 x 8 pixels.

    Defaults are scikit-image's. A row is a block of cells: its vector is `hog(...)[by, bx]`,
    flattened (cell row, cell column, bin), the keypoint its middle and the scale the side
    of a cell in pixels. `from_vector` takes what `skimage.feature.hog` returned to somebody.

    Attributes:
        orientations: Bins over half a turn.
        pixels_per_cell: Side of a cell.
        cells_per_block: Cells along a side of a block, which are normalised together.
        block_norm: As scikit-image calls them: `"L1"`, `"L1-sqrt"`, `"L2"` or `"L2-Hys"`.
        transform_sqrt: Take the root of the picture first.
        gray: `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.

    >>> Hog(cells_per_block=2).from_vector(torch.zeros(3 * 5 * 36), (32, 48))
    LocalFeatures(15 x 'hog' of 36 float32, image 48 x 32, without orientations, scores)

    Source: Dalal, Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
    """

    block_norm: BlockNorm = "L2-Hys"
    transform_sqrt: bool = False

    name: ClassVar[str] = "hog"

    def extract(self, image: Tensor) -> LocalFeatures:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at all blocks of its grid."""
        from importlib.metadata import version

        from skimage.feature import hog

        height, width = image.shape[-2:]
        vector = torch.zeros(0)
        if all(self._blocks((height, width))):
            pixels = to_uint8(to_gray(image, self.gray))
            found = hog(
                pixels / 255,
                orientations=self.orientations,
                pixels_per_cell=(self.pixels_per_cell, self.pixels_per_cell),
                cells_per_block=(self.cells_per_block, self.cells_per_block),
                block_norm=self.block_norm,
                transform_sqrt=self.transform_sqrt,
            )
            vector = torch.from_numpy(found)
        features = self.from_vector(vector, (height, width))
        origin = replace(features.provenance, producer=f"scikit-image {version('scikit-image')}")
        return replace(features, provenance=origin)
