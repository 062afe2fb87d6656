"""Descriptors into the cells of a map: each whole vector into one cell (the seed)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from invertdesc.errors import InputError
from invertdesc.features import FeatureBatch
from invertdesc.ops import place_keypoints

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

GEOMETRY = ("dx", "dy", "sin", "cos", "log scale")


class CellMaps(NamedTuple):
    """What `CellRasterizer` returns.

    Attributes:
        values: (B, C, h, w), channels-last in memory; C is the vector's length, with geometry 5
            more.
        owners: (B, h, w) int32; index into the packed batch, -1 for none.
        moved: (B,) int64; keypoints in a cell other than the one under them.
        dropped: (B,) int64; keypoints in no cell.
    """

    values: Tensor
    owners: Tensor
    moved: Tensor
    dropped: Tensor


class CellRasterizer(nn.Module):
    """Turn features into maps of ceil(H / d) x ceil(W / d) cells, each one keypoint or zeros.

    `place_keypoints` states which keypoint goes where.

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

    Source: Wu, Zhou, Li 2019, section III-A; the geometry channels are those of Dosovitskiy, Brox
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
        """Set up; nothing is trained.

        Args:
            cell_size: Side d of a cell in pixels, at least 1.
            radius: Rings of neighbouring cells to try for a keypoint whose own is taken.
            geometry: Append five channels: dx, dy (from the owned cell's middle to the keypoint, in
                cells), sin and cos of the orientation, log of the scale in pixels.
            dtype: Of the maps.
            descriptor: Name or adapter; None takes the one that a batch names.

        Raises:
            InputError: A number is too small, or the dtype is not a float.
        """
        super().__init__()
        if cell_size < 1 or radius < 0 or not dtype.is_floating_point:
            raise InputError(
                "Expected cell_size >= 1, radius >= 0 and a float dtype, "
                f"got cell_size={cell_size}, radius={radius}, dtype={dtype}."
            )
        self.cell_size = cell_size
        self.radius = radius
        self.geometry = geometry
        self.dtype = dtype
        self.descriptor = descriptor

    def forward(self, batch: FeatureBatch) -> CellMaps:
        """Rasterize a batch.

        Raises:
            MissingFieldError: `geometry` is asked for, and scales or orientations are missing.
        """
        from invertdesc.descriptors import resolve_descriptor

        adapter = resolve_descriptor(self.descriptor or batch.descriptor)
        if self.geometry:
            batch.require(("scales", "orientations"), needed_by="CellRasterizer(geometry=True)")
        owners, moved, dropped = place_keypoints(
            batch.keypoints,
            batch.offsets,
            batch.image_size,
            cell_size=self.cell_size,
            radius=self.radius,
            scores=batch.scores,
        )
        count, height, width = owners.shape
        cell = (owners.flatten() >= 0).nonzero().flatten()
        owner = owners.flatten()[cell]
        channels = [adapter.encode(batch.descriptors)[owner]]
        if self.geometry:
            place = torch.stack([cell % width, cell // width % height], 1)
            middle = (place + 0.5) * self.cell_size - 0.5
            channels.append(_geometry(batch, owner, middle, self.cell_size))
        rows = torch.cat(channels, 1).to(self.dtype)
        values = rows.new_zeros(count * height * width, rows.shape[1])
        values[cell] = rows
        values = values.view(count, height, width, -1).permute(0, 3, 1, 2)
        return CellMaps(values, owners, moved, dropped)


def _geometry(batch: FeatureBatch, owner: Tensor, middle: Tensor, cell_size: int) -> Tensor:
    """Return (K, 5), the geometry of the owners (K,) of cells with these middles (K, 2)."""
    fields = (batch.scales, batch.orientations)
    scale, turn = (field[owner] for field in fields if field is not None)
    apart = (batch.keypoints[owner] - middle) / cell_size
    return torch.cat([apart, torch.stack([turn.sin(), turn.cos(), scale.log()], 1)], 1)
