"""A small network that corrects the linear map of an unfolding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Decoder:
    """Add to a linear map what it cannot express, by layers of matrices with GELU in between.

    Attributes:
        weights: Matrices (D, H), (H, H), ..., (H, outputs), float32.
        biases: Vectors (H,), ..., (outputs,), float32.
        spread: Standard deviation of the vectors' numbers, by which centred vectors are divided.

    >>> decoder = Decoder((torch.eye(2), torch.ones(2, 1)), (torch.zeros(2), torch.ones(1)))
    >>> decoder(torch.tensor([[0.0, 0.0]]))
    tensor([[1.]])
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    spread: float = 1.0

    def __call__(self, centred: Tensor) -> Tensor:
        """Decode vectors (N, D) from which the mean was subtracted to (N, outputs)."""
        values = centred / self.spread
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ weight.to(values) + bias.to(values)
            if number < last:
                values = F.gelu(values)
        return values

    def parts(self) -> dict[str, Tensor]:
        """Return the tensors for a file, in float16 but for the spread."""
        named = {"spread": torch.tensor([self.spread])}
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            named |= {f"{number}.weight": weight.half(), f"{number}.bias": bias.half()}
        return {f"decoder.{name}": part.contiguous() for name, part in named.items()}

    @classmethod
    def from_parts(cls, tensors: Mapping[str, Tensor], prefix: str = "") -> Decoder | None:
        """Return what `parts` wrote, under names with a prefix; None if there is none."""
        start = f"{prefix}decoder."
        if f"{start}spread" not in tensors:
            return None
        weights, biases = [], []
        for number in count():
            if f"{start}{number}.weight" not in tensors:
                break
            weights.append(tensors[f"{start}{number}.weight"].float())
            biases.append(tensors[f"{start}{number}.bias"].float())
        return cls(tuple(weights), tuple(biases), float(tensors[f"{start}spread"]))
