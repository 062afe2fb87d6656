"""Descriptors as numbers that noise and arithmetic can work on, and back as they were emitted."""

from __future__ import annotations

import torch
from torch import Tensor


def to_values(raw: Tensor) -> Tensor:
    """Return (N, D) float32; bits packed eight to a byte, the lowest first, become -1 and +1.

    Args:
        raw: (N, D) float32, or (N, D / 8) uint8.

    >>> to_values(torch.tensor([[0b00000101]], dtype=torch.uint8))
    tensor([[ 1., -1.,  1., -1., -1., -1., -1., -1.]])
    """
    if raw.dtype != torch.uint8:
        return raw.float()
    bits = raw[..., None] >> torch.arange(8, dtype=torch.uint8, device=raw.device) & 1
    return bits.flatten(1).float() * 2 - 1


def from_values(values: Tensor, like: Tensor) -> Tensor:
    """Turn values back into the form of `like`: packed bits are set where a value is above 0.

    Args:
        values: (N, D) float32.
        like: (..., D) float32 or (..., D / 8) uint8.

    >>> from_values(torch.tensor([[0.2, -3.0] + 6 * [-1.0]]), torch.zeros(1, 1, dtype=torch.uint8))
    tensor([[1]], dtype=torch.uint8)
    """
    if like.dtype != torch.uint8:
        return values.float()
    bits = (values > 0).view(len(values), -1, 8).to(torch.uint8)
    places = torch.arange(8, dtype=torch.uint8, device=values.device)
    return (bits << places).sum(-1).to(torch.uint8)


def width(raw: Tensor) -> int:
    """Return D, how many numbers or bits a vector has."""
    return raw.shape[1] * (8 if raw.dtype == torch.uint8 else 1)
