"""Convert descriptors to numbers for arithmetic, and back to their original form."""

from __future__ import annotations

import torch
from torch import Tensor


def unpack_bits(raw: Tensor) -> Tensor:
    """Return the bits (N, 8 D) uint8 of bytes (N, D), the lowest of each byte first.

    >>> unpack_bits(torch.tensor([[0b00000101]], dtype=torch.uint8))
    tensor([[1, 0, 1, 0, 0, 0, 0, 0]], dtype=torch.uint8)
    """
    places = torch.arange(8, dtype=torch.uint8, device=raw.device)
    return (raw[..., None] >> places & 1).flatten(1)


def pack_bits(bits: Tensor) -> Tensor:
    """Return the bytes (N, D) uint8 of bits (N, 8 D); the inverse of `unpack_bits`.

    >>> pack_bits(torch.tensor([[1, 0, 1, 0, 0, 0, 0, 0]], dtype=torch.uint8))
    tensor([[5]], dtype=torch.uint8)
    """
    places = torch.arange(8, dtype=torch.uint8, device=bits.device)
    return (bits.view(len(bits), bits.shape[1] // 8, 8) << places).sum(-1).to(torch.uint8)


def to_values(raw: Tensor) -> Tensor:
    """Return (N, D) float32; bits packed eight to a byte, the lowest first, become -1 and +1.

    Args:
        raw: (N, D) float32, or (N, D / 8) uint8.

    >>> to_values(torch.tensor([[0b00000101]], dtype=torch.uint8))
    tensor([[ 1., -1.,  1., -1., -1., -1., -1., -1.]])
    """
    if raw.dtype != torch.uint8:
        return raw.float()
    return unpack_bits(raw).float() * 2 - 1


def from_values(values: Tensor, like: Tensor) -> Tensor:
    """Convert values back to the form of `like`; packed bits are set where a value is above 0.

    Args:
        values: (N, D) float32.
        like: (..., D) float32 or (..., D / 8) uint8.

    >>> from_values(torch.tensor([[0.2, -3.0] + 6 * [-1.0]]), torch.zeros(1, 1, dtype=torch.uint8))
    tensor([[1]], dtype=torch.uint8)
    """
    if like.dtype != torch.uint8:
        return values.float()
    return pack_bits((values > 0).to(torch.uint8))
