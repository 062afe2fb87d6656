"""Write vectors into the cells that their keypoints own."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import torch
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.features.bits import unpack_bits
from invertdesc.ops._define import define_fake, define_op

GEOMETRY = ("dx", "dy", "sin", "cos", "log scale")
_AT_ONCE = 128  # rows; keeps the additional memory small compared with the map


def fill_cells(
    rows: Tensor,
    owners: Tensor,
    *,
    cell_size: int,
    geometry: Tensor | None = None,
    bits: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Write each owner's vector into its cell, and zeros elsewhere, in one pass.

    It is differentiable in `rows` and `geometry`: a keypoint owns at most one cell, and its
    gradient is that of the cell.

    Args:
        rows: (M, D) float, or (M, bytes) uint8 whose bits, the lowest of a byte first, become -1
            and +1.
        owners: (B, h, w) int32, the row of each cell's owner, -1 for none; each row occurs at most
            once.
        cell_size: Side d of a cell in pixels.
        geometry: (M, 5) x, y, sin and cos of the orientation, log of the scale, as further
            channels; x and y become distances from the middle of the cell, in cells.
        bits: Number D of used bits of `rows`; None for vectors of numbers.
        dtype: Data type of the map.

    Returns:
        (B, C, h, w), channels-last in memory, C = D or D + 5.

    Raises:
        InputError: `bits` does not fit the rows.

    >>> rows, owners = torch.tensor([[5], [2]], dtype=torch.uint8), torch.tensor([[[1, -1, 0]]])
    >>> fill_cells(rows, owners.int(), cell_size=4, bits=3)[0, :, 0].T
    tensor([[-1.,  1., -1.],
            [ 0.,  0.,  0.],
            [ 1., -1.,  1.]])
    """
    if (rows.dtype == torch.uint8) != (bits is not None) or (bits or 0) > 8 * rows.shape[1]:
        raise InputError(
            "Expected bits=D for rows of packed bytes of this length, and only for these; got "
            f"bits={bits} and rows {tuple(rows.shape)} of {rows.dtype}."
        )
    length = rows.shape[1] if bits is None else bits
    filled: Tensor = torch.ops.invertdesc.fill_cells(
        rows, owners, geometry, cell_size, length, dtype
    )
    return filled


@define_op("fill_cells", "cpu")
def _fill(
    rows: Tensor,
    owners: Tensor,
    geometry: Tensor | None,
    cell_size: int,
    length: int,
    dtype: torch.dtype,
) -> Tensor:
    """Zero the map and copy the owned rows."""
    count, height, width = owners.shape
    flat = owners.flatten()
    channels = length + (0 if geometry is None else len(GEOMETRY))
    out = _zeros(count * height * width, channels, dtype)
    for cell in torch.split((flat >= 0).nonzero().flatten(), _AT_ONCE):
        owner = flat.index_select(0, cell)
        chosen = rows.index_select(0, owner)
        parts = [_unpacked(chosen, length) if rows.dtype == torch.uint8 else chosen]
        if geometry is not None:
            picked = geometry.index_select(0, owner)
            place = torch.stack([cell % width, cell // width % height], 1)
            middle = (place + 0.5) * cell_size - 0.5
            parts += [(picked[:, :2] - middle) / cell_size, picked[:, 2:]]
        out.index_copy_(0, cell, torch.cat([part.to(dtype) for part in parts], 1))
    return out.view(count, height, width, channels).permute(0, 3, 1, 2)


def _zeros(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """Return zeros whose memory pages are all allocated.

    The bottleneck is the system, which allocates memory in pages and zeroes each page when it is
    first written. NumPy requests huge pages, torch does not. Writing one byte of each page is
    enough.
    """
    raw = np.zeros(rows * columns * dtype.itemsize, np.uint8)
    raw[:: mmap.PAGESIZE] = 0
    return torch.from_numpy(raw).view(dtype).view(rows, columns)


@define_fake("fill_cells")
def _(
    rows: Tensor,
    owners: Tensor,
    geometry: Tensor | None,
    cell_size: int,
    length: int,
    dtype: torch.dtype,
) -> Tensor:
    channels = length + (0 if geometry is None else len(GEOMETRY))
    return rows.new_empty(*owners.shape, channels, dtype=dtype).permute(0, 3, 1, 2)


@torch.library.impl("invertdesc::fill_cells", "cuda")
def _(
    rows: Tensor,
    owners: Tensor,
    geometry: Tensor | None,
    cell_size: int,
    length: int,
    dtype: torch.dtype,
) -> Tensor:
    from invertdesc.ops import _kernels

    return _kernels.fill(rows, owners, geometry, cell_size, length, dtype)


@define_op("gather_cells")
def _gather(values: Tensor, owners: Tensor, total: int) -> Tensor:
    """Return (total, C): the cell of a map (B, C, h, w) that each keypoint owns, or zeros.

    Empty cells are written to an extra row that is removed; selecting cells would wait for the
    device.
    """
    _, height, width = owners.shape
    flat = owners.flatten().long()
    cell = torch.full((total + 1,), -1, device=flat.device)
    cell.scatter_(
        0, torch.where(flat < 0, total, flat), torch.arange(len(flat), device=flat.device)
    )
    cell = cell[:-1]
    at = cell.clamp(min=0)
    image, row, column = at // (height * width), at // width % height, at % width
    return torch.where(cell[:, None] < 0, 0, values.permute(0, 2, 3, 1)[image, row, column])


@define_fake("gather_cells")
def _(values: Tensor, owners: Tensor, total: int) -> Tensor:
    return values.new_empty(total, values.shape[1])


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    rows, owners, geometry, ctx.cell_size, ctx.length, _ = inputs
    ctx.save_for_backward(owners)
    ctx.rows, ctx.total = rows.dtype, rows.shape[0]
    ctx.geometry = None if geometry is None else geometry.dtype


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    (owners,) = ctx.saved_tensors
    gathered = torch.ops.invertdesc.gather_cells(gradient, owners, ctx.total)
    rows = gathered[:, : ctx.length].to(ctx.rows) if ctx.rows.is_floating_point else None
    geometry = None
    if ctx.geometry is not None:
        picked = gathered[:, ctx.length :].to(ctx.geometry)
        geometry = torch.cat([picked[:, :2] / ctx.cell_size, picked[:, 2:]], 1)
    return rows, None, geometry, None, None, None


torch.library.register_autograd("invertdesc::fill_cells", _backward, setup_context=_remember)


def _unpacked(raw: Tensor, length: int) -> Tensor:
    return unpack_bits(raw)[:, :length].float() * 2 - 1
