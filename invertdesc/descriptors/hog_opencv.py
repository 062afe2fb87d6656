"""Dense HOG by OpenCV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from invertdesc.descriptors._hog import DenseHog
from invertdesc.descriptors._opencv import find_class
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_gray, to_uint8


@dataclass(frozen=True, kw_only=True)
class HogOpenCV(DenseHog):
    """Dense HOG by OpenCV: Gaussian weights in blocks, pixels distributed over cells and bins.

    The window is the picture, and the block stride is one cell. OpenCV writes blocks, and cells in
    a block, column by column. Rows of features have the order of `Hog`: cell row, cell column, bin.
    `from_vector` converts a result of `cv2.HOGDescriptor.compute`.

    Attributes:
        orientations: Number of bins over half a turn, or over a full turn if `signed`.
        pixels_per_cell: Side of a cell in pixels.
        cells_per_block: Cells per side of a block; a block is normalised as a whole.
        clip: Limit of the values of a block of length 1 (L2-Hys).
        gamma_correction: Whether to take the square root of the picture first. It is the default in
            OpenCV 5, but not in OpenCV 4.
        signed: Whether to distinguish a gradient from its opposite.
        gray: Gray mode `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.

    >>> HogOpenCV().from_vector(torch.zeros(3 * 5 * 36), (32, 48))
    LocalFeatures(15 x 'hog-opencv' of 36 float32, image 48 x 32, without orientations, scores)

    Source: Dalal, Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
    """

    cells_per_block: int = 2
    clip: float = 0.2
    gamma_correction: bool = True
    signed: bool = False

    name: ClassVar[str] = "hog-opencv"
    # Ratios of blocks are not exact here. This is the best of 0, 0.02, 0.1, 0.3 on 24 training
    # pictures.
    drift: ClassVar[float] = 0.02

    @property
    def turn(self) -> bool:
        """Whether bins cover the full turn, so gradients have signs."""
        return self.signed

    @property
    def lean(self) -> float:
        """Logarithm of the larger weight of the right and lower cells of a block.

        OpenCV centres a block's Gaussian half a pixel to the right and below. Measured on 160
        pictures with blocks of 2 x 2 cells: 0.11 and 0.09; it falls with the Gaussian's variance.
        """
        return 0.4 / self.cells_per_block**2

    def extract(self, image: Tensor) -> LocalFeatures:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at all blocks of its grid.

        Raises:
            MissingDependencyError: The installed OpenCV has no HOG; OpenCV 5 has it among its extra
                modules.
        """
        import cv2

        height, width = image.shape[-2:]
        vector = torch.zeros(0)
        cell, block = self.pixels_per_cell, self.pixels_per_cell * self.cells_per_block
        if all(self._blocks((height, width))):
            # All twelve: the default of gammaCorrection changed in OpenCV 5.
            tool = find_class("HOGDescriptor")(
                (width // cell * cell, height // cell * cell),
                (block, block),
                (cell, cell),
                (cell, cell),
                self.orientations,
                1,  # derivAperture
                -1.0,  # winSigma: a quarter of the block's side
                0,  # histogramNormType: L2-Hys, the only one
                self.clip,
                self.gamma_correction,
                1,  # nlevels, only for detection
                self.signed,
            )
            pixels = to_uint8(to_gray(image, self.gray))
            vector = torch.from_numpy(tool.compute(pixels[: tool.winSize[1], : tool.winSize[0]]))
        features = self.from_vector(vector, (height, width))
        origin = replace(features.provenance, producer=f"opencv {cv2.__version__}")
        return replace(features, provenance=origin)

    def _in_order(self, vector: Tensor, rows: int, columns: int) -> Tensor:
        cells = self.cells_per_block
        by_column = vector.view(columns, rows, cells, cells, self.orientations)
        return by_column.permute(1, 0, 3, 2, 4).reshape(rows, columns, self.dim)
