"""The common base of dense HOG adapters: blocks on a grid, and signs of gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._options import check_range
from invertdesc.descriptors._hog_signs import (
    read_cells,
    shipped_signs,
    signed_gradients,
    unsigned_gradients,
)
from invertdesc.descriptors.base import check_image_of, check_vectors
from invertdesc.descriptors.describing import Described
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.features.provenance import Provenance
from invertdesc.image import GrayMode
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding

OFF_GRID = 0.25  # pixels from a block's middle at which a keypoint still stands for the block


@dataclass(frozen=True, kw_only=True)
class DenseHog(ABC):
    """Dense HOG: one row for each block of cells, with a keypoint in the middle of the block.

    A block's vector is ordered by the cells' rows, their columns and the orientations. The scale is
    the side of a cell in pixels, so that `frame.support * scale` is the side of a block. There are
    neither orientations nor scores.

    Attributes:
        orientations: Number of bins of a histogram.
        pixels_per_cell: Side of a cell in pixels.
        cells_per_block: Cells per side of a block; a block is normalised as a whole.
        gray: Gray mode `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.
    """

    orientations: int = 9
    pixels_per_cell: int = 8
    cells_per_block: int = 3
    gray: GrayMode = "gamma"

    name: ClassVar[str]
    on_grid: ClassVar[bool] = True
    drift: ClassVar[float] = 0.0  # see `read_cells`
    first: ClassVar[float] = 0.5  # bins from the direction 0 to the middle of the first

    def __post_init__(self) -> None:
        for option in ("orientations", "pixels_per_cell", "cells_per_block"):
            check_range(option, getattr(self, option), 1)

    @property
    def dim(self) -> int:
        """Length D of a block's vector."""
        return self.cells_per_block**2 * self.orientations

    @property
    def frame(self) -> Frame:
        """The square of a block."""
        return Frame(support=float(self.cells_per_block), rotated=False)

    @property
    def turn(self) -> bool:
        """Whether bins cover the full turn, so gradients have signs."""
        return False

    @property
    def lean(self) -> float:
        """Logarithm of the larger weight of the right and lower cells of a block."""
        return 0.0

    @cached_property
    def unfolding(self) -> Unfolding:
        """The map of the package from a single block, fitted to photographs.

        It gives almost no signs; `pieces` is used instead.
        """
        return Unfolding.shipped(self.name)

    @abstractmethod
    def extract(self, image: Tensor) -> LocalFeatures:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at all blocks of its grid."""

    def describe(self, image: Tensor, features: LocalFeatures) -> Described:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at given blocks of its grid.

        Keypoints that are not the middles of such blocks, or have another scale than the cells'
        side, are left out.

        Raises:
            InputError: The features are of an image of another size.
        """
        check_image_of(features, image)
        whole = self.extract(image)
        height, width = self._blocks(features.image_size)
        side = float(self.pixels_per_cell)
        exact = (features.keypoints - (self.cells_per_block * side - 1) / 2) / side
        column, row = exact.round().long().unbind(1)
        on_grid = (exact - exact.round()).abs().amax(1) * side < OFF_GRID
        on_grid &= (column >= 0) & (column < width) & (row >= 0) & (row < height)
        if features.scales is not None:
            on_grid &= (features.scales - side).abs() < OFF_GRID
        rows = on_grid.nonzero().flatten()
        found = whole.descriptors.to(features.device)[(row * width + column)[rows]]
        described = replace(
            features[rows], descriptors=found, descriptor=self.name, provenance=whole.provenance
        )
        return Described(described, rows)

    def encode(self, raw: Tensor) -> Tensor:
        """Scale the vectors of blocks to length 1."""
        check_vectors(raw, self.dim, self.name)
        return F.normalize(raw.float(), dim=1)

    def from_vector(self, vector: Tensor, image_size: tuple[int, int]) -> LocalFeatures:
        """Split the vector of a whole picture, as the library returns it, into rows of features.

        Args:
            vector: All blocks, in any shape, in the order of the library.
            image_size: (H, W) of the picture in pixels.

        Raises:
            InputError: The number of values does not fit the size of the picture.
        """
        rows, columns = self._blocks(image_size)
        if vector.numel() != rows * columns * self.dim:
            raise InputError(
                f"Expected {rows} x {columns} blocks of {self.dim} numbers for {self.name!r} of "
                f"an image of (H, W) = {tuple(image_size)}, got {vector.numel()} numbers."
            )
        side = float(self.pixels_per_cell)
        middle = (self.cells_per_block * side - 1) / 2
        y, x = torch.meshgrid(
            torch.arange(rows) * side + middle, torch.arange(columns) * side + middle, indexing="ij"
        )
        keypoints = torch.stack([x, y], -1).view(-1, 2)
        blocks = self._in_order(vector.float().flatten(), rows, columns)
        return LocalFeatures(
            keypoints=keypoints,
            descriptors=blocks.reshape(rows * columns, self.dim),
            image_size=image_size,
            descriptor=self.name,
            scales=torch.full_like(keypoints[:, 0], side),
            provenance=Provenance(self.gray, None, asdict(self)),
        )

    def pieces(self, batch: FeatureBatch) -> Tensor:
        """Return the gradients of each block, with consistent signs over the whole grid.

        Overlapping blocks give the ratio of their norms, so their normalisation can be undone. A
        network that sees all cells then computes the gradients of each. Missing blocks count as
        flat.

        Args:
            batch: Batch with scales, which are all equal.

        Returns:
            (M, 2, 4 * cells, 4 * cells) float32, towards the picture's right and down.

        Raises:
            InputError: Vectors have another length, or scales differ.
        """
        cells = self.cells_per_block
        check_vectors(batch.descriptors, self.dim, self.name)
        if not len(batch.keypoints):
            return batch.keypoints.new_zeros(0, 2, 4 * cells, 4 * cells)
        histograms = self._histograms(batch)
        field = (
            signed_gradients(histograms, self.first)
            if self.turn
            else unsigned_gradients(histograms, shipped_signs(batch.device))
        )
        field = F.interpolate(field, scale_factor=2.0, mode="bilinear")  # (B, 2, 4 ny, 4 nx)
        windows = field.unfold(2, 4 * cells, 4).unfold(3, 4 * cells, 4)
        _, row, column = self.places(batch)
        return windows[batch.images, :, row, column]

    def _blocks(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return the numbers of rows and columns of blocks in a picture of (H, W)."""
        rows, columns = (
            max(0, side // self.pixels_per_cell - self.cells_per_block + 1) for side in image_size
        )
        return (rows, columns) if rows and columns else (0, 0)

    def _in_order(self, vector: Tensor, rows: int, columns: int) -> Tensor:
        """Convert the library's order to (rows, columns, D)."""
        return vector.view(rows, columns, self.dim)

    def _histograms(self, batch: FeatureBatch) -> Tensor:
        """Return (B, ny, nx, bins), the cells' histograms up to one factor an image."""
        blocks, known = self._grid(batch)
        return read_cells(blocks, known, lean=self.lean, drift=self.drift)

    def _grid(self, batch: FeatureBatch) -> tuple[Tensor, Tensor]:
        """Return blocks (B, ny, nx, c, c, bins), and 1 where they are known (B, ny, nx)."""
        cells, maps = self.cells_per_block, self.maps(batch)
        known = torch.zeros_like(maps[..., 0])
        _, row, column = self.places(batch)
        known[batch.images, row, column] = 1.0
        return maps.view(*known.shape, cells, cells, self.orientations), known

    def maps(self, batch: FeatureBatch) -> Tensor:
        """Return (B, ny, nx, D), encoded vectors on their grid, 0 where there is none."""
        (height, width), row, column = self.places(batch)
        maps = batch.keypoints.new_zeros(len(batch), height, width, self.dim)
        maps[batch.images, row, column] = self.encode(batch.descriptors)
        return maps

    def places(self, batch: FeatureBatch) -> tuple[tuple[int, int], Tensor, Tensor]:
        """Return rows and columns of a picture's grid of blocks, and each keypoint's own."""
        cells = self.cells_per_block
        side = float(self.pixels_per_cell) if batch.scales is None else float(batch.scales[0])
        if batch.scales is not None and not bool((batch.scales == side).all()):
            raise InputError(
                f"Expected one scale, the cells' side, in all rows of {self.name!r}; got several. "
                "Reconstruct them separately."
            )
        column, row = ((batch.keypoints - (cells * side - 1) / 2) / side).round().long().unbind(1)
        height, width = (max(1, int(length / side) - cells + 1) for length in batch.image_size)
        return (height, width), row.clamp(0, height - 1), column.clamp(0, width - 1)
