"""Write whole vectors into the cells of a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.ops import GEOMETRY, Placement, fill_cells, place_at_sizes

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

__all__ = ["GEOMETRY", "CellMaps", "CellPyramid", "CellRasterizer"]


class CellMaps(NamedTuple):
    """The result of `CellRasterizer`.

    Attributes:
        values: (B, C, h, w), channels-last in memory; C is the vector's length, plus 5 with
            geometry.
        owners: (B, h, w) int32; index of the owner in the batch, -1 for none.
        moved: (B,) int64; number of keypoints in a cell other than the one under them.
        dropped: (B,) int64; number of keypoints in no cell.
    """

    values: Tensor
    owners: Tensor
    moved: Tensor
    dropped: Tensor


class CellRasterizer(nn.Module):
    """Convert features to maps of ceil(H / d) x ceil(W / d) cells, each with one keypoint or zeros.

    `place_keypoints` defines the cell of each keypoint, `fill_cells` the values of the cell.

    >>> from invertdesc import LocalFeatures
    >>> features = LocalFeatures(
    ...     keypoints=torch.tensor([[5.0, 2.0]]),
    ...     descriptors=torch.ones(1, 128),
    ...     image_size=(10, 15),
    ...     descriptor="sift",
    ... )
    >>> maps = CellRasterizer(4)(FeatureBatch.collate([features]))
    >>> maps.values.shape, maps.owners[0, 0].tolist()
    (torch.Size([1, 128, 3, 4]), [-1, 0, -1, -1])

    Source: Wu et al. 2019, section III-A; the geometry channels are those of Dosovitskiy, Brox
    2016, section 3.
    """

    def __init__(
        self,
        cell_size: int,
        *,
        radius: int = 1,
        geometry: bool = False,
        dtype: torch.dtype = torch.float32,
        descriptor: str | Descriptor | None = None,
    ) -> None:
        """Create the rasterizer; it has no trained parameters.

        Args:
            cell_size: Side d of a cell in pixels, at least 1.
            radius: Number of rings of neighbouring cells to try for a keypoint whose cell is taken.
            geometry: Whether to append five channels: dx, dy (from the owned cell's middle to the
                keypoint, in cells), sin and cos of the orientation, log of the scale in pixels.
            dtype: Data type of the maps.
            descriptor: Name or adapter; None for the descriptor that a batch names.

        Raises:
            InputError: A number is too small, or the dtype is not a float.
        """
        super().__init__()
        self.pyramid = CellPyramid(
            (cell_size,), radius=radius, geometry=geometry, dtype=dtype, descriptor=descriptor
        )

    def forward(self, batch: FeatureBatch) -> CellMaps:
        """Rasterize a batch.

        Raises:
            MissingFieldError: `geometry` is set, and scales or orientations are missing.
        """
        (maps,) = self.pyramid(batch)
        return maps  # type: ignore[no-any-return]


class CellPyramid(nn.Module):
    """Several `CellRasterizer` of different cell sizes, which place all keypoints at once."""

    def __init__(
        self,
        cell_sizes: Sequence[int],
        *,
        radius: int = 1,
        geometry: bool = False,
        dtype: torch.dtype = torch.float32,
        descriptor: str | Descriptor | None = None,
    ) -> None:
        """Create the rasterizer; see `CellRasterizer`."""
        super().__init__()
        if min(cell_sizes) < 1 or radius < 0 or not dtype.is_floating_point:
            raise InputError(
                "Expected cell_size >= 1, radius >= 0 and a float dtype, "
                f"got cell_size={min(cell_sizes)}, radius={radius}, dtype={dtype}."
            )
        self.cell_sizes = tuple(cell_sizes)
        self.radius = radius
        self.geometry = geometry
        self.dtype = dtype
        self.descriptor = descriptor

    def forward(self, batch: FeatureBatch) -> tuple[CellMaps, ...]:
        """Rasterize a batch to a map for each cell size.

        Raises:
            MissingFieldError: `geometry` is set, and scales or orientations are missing.
        """
        placed = self._placed(batch)
        return tuple(
            CellMaps(placed.fill(placement.owners, cell), *placement)
            for cell, placement in zip(self.cell_sizes, placed.placements, strict=True)
        )

    def windows(self, batch: FeatureBatch) -> tuple[Callable[[slice, slice], Tensor], ...]:
        """Return a function for each cell size that fills some rows and columns of its map.

        A map of a large picture would need much memory.

        Raises:
            MissingFieldError: `geometry` is set, and scales or orientations are missing.

        >>> from skimage.data import camera
        >>> from invertdesc import extract
        >>> batch = FeatureBatch.collate([extract(camera())])
        >>> (window,) = CellPyramid((4,)).windows(batch)
        >>> window(slice(0, 10), slice(120, 130)).shape  # the map has 128 columns
        torch.Size([1, 128, 10, 8])
        """
        placed = self._placed(batch)
        pairs = zip(self.cell_sizes, placed.placements, strict=True)
        return tuple(partial(placed.window, one.owners, cell) for cell, one in pairs)

    def _placed(self, batch: FeatureBatch) -> _Placed:
        from invertdesc.descriptors import resolve_descriptor
        from invertdesc.descriptors.base import is_packed

        adapter = resolve_descriptor(self.descriptor or batch.descriptor)
        if self.geometry:
            batch.require(("scales", "orientations"), needed_by="CellRasterizer(geometry=True)")
        # Bits are unpacked when they are written: this reads 32 bytes per keypoint instead of 1
        # KiB.
        bits = adapter.dim if is_packed(adapter) else None
        placements = place_at_sizes(
            batch.keypoints,
            batch.offsets,
            batch.image_size,
            cell_sizes=self.cell_sizes,
            radius=self.radius,
            scores=batch.scores,
        )
        rows = adapter.encode(batch.descriptors) if bits is None else batch.descriptors
        geometry = _geometry(batch) if self.geometry else None
        return _Placed(placements, rows, geometry, bits, self.dtype)


@dataclass(frozen=True)
class _Placed:
    """Keypoints with their cells, and what is written into these."""

    placements: Sequence[Placement]
    rows: Tensor
    geometry: Tensor | None
    bits: int | None
    dtype: torch.dtype

    def fill(self, owners: Tensor, cell: int, geometry: Tensor | None = None) -> Tensor:
        """Return the map (B, C, h, w) of owners (B, h, w)."""
        return fill_cells(
            self.rows,
            owners,
            cell_size=cell,
            geometry=self.geometry if geometry is None else geometry,
            bits=self.bits,
            dtype=self.dtype,
        )

    def window(self, owners: Tensor, cell: int, rows: slice, columns: slice) -> Tensor:
        """Return some rows and columns of the map of owners."""
        geometry = self.geometry
        if geometry is not None:
            corner = geometry.new_tensor([columns.start * cell, rows.start * cell, 0, 0, 0])
            geometry = geometry - corner
        return self.fill(owners[:, rows, columns].contiguous(), cell, geometry)


def _geometry(batch: FeatureBatch) -> Tensor:
    """Return (M, 5) x, y, sin, cos and log scale."""
    scale, turn = (field for field in (batch.scales, batch.orientations) if field is not None)
    return torch.cat([batch.keypoints, torch.stack([turn.sin(), turn.cos(), scale.log()], 1)], 1)
