"""What the values of a descriptor's vectors are like in general: statistics that ship."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from invertdesc._files import open_tensors, save_tensors
from invertdesc.weights import FOLDER

FORMAT = "invertdesc-habits"
LEVELS = torch.linspace(0.02, 0.98, 13, dtype=torch.float64)  # of the quantiles
STEPS = 127  # of a correlation of 1: they ship in 8 bits
PATH = FOLDER / "habits.safetensors"


class Habits(NamedTuple):
    """Statistics of a descriptor's values, in their known order.

    Attributes:
        marginals: (D, 15) float64, of each value: 13 quantiles, mean, standard deviation; in units
            of the standard deviation of all values together.
        correlation: (D, D) float64, with zeros on the diagonal.
        size: That unit.
    """

    marginals: Tensor
    correlation: Tensor
    size: float

    @classmethod
    def of(cls, values: Tensor) -> Habits:
        """Measure them on vectors (N, D), as `to_values` gives them.

        >>> Habits.of(torch.eye(4).repeat(25, 1)).correlation.shape
        torch.Size([4, 4])
        """
        values = values.double()
        size = float(values.std(correction=0).clamp(min=1e-12))
        deviation, mean = torch.std_mean(values, 0, correction=0)
        unit = (values - mean) / deviation.clamp(min=1e-9 * size)
        correlation = (unit.T @ unit / max(len(values), 1)).fill_diagonal_(0.0)
        ordered = values.sort(0).values
        places = (LEVELS * (len(values) - 1)).round().long().clamp(min=0)
        marginals = torch.cat([ordered[places], mean[None], deviation[None]]).T / size
        return cls(marginals, correlation, size)

    @property
    def mean(self) -> Tensor:
        """(D,) float64."""
        return self.marginals[:, -2] * self.size

    @property
    def covariance(self) -> Tensor:
        """(D, D) float64."""
        deviation = self.marginals[:, -1] * self.size
        whole = self.correlation.clone().fill_diagonal_(1.0)
        return deviation[:, None] * whole * deviation


def shipped_habits(encoding: str) -> Habits | None:
    """Return the statistics that ship for a descriptor, or None.

    Args:
        encoding: See `invertdesc.descriptors.base.encoding_of`.
    """
    return _shipped().get(encoding)


def save_habits(path: str | os.PathLike[str], habits: Mapping[str, Habits], source: str) -> None:
    """Write statistics of several descriptors, correlations in 8 bits and each once.

    Args:
        path: A .safetensors file.
        habits: By the name of the encoding.
        source: What they were measured on.

    Raises:
        FileError: The place cannot be written.
    """
    tensors = {}
    for name, one in habits.items():
        row, column = torch.triu_indices(len(one.correlation), len(one.correlation), 1)
        upper = one.correlation[row, column]
        tensors[f"{name}.correlation"] = (STEPS * upper).round().clamp(-STEPS, STEPS).to(torch.int8)
        tensors[f"{name}.marginals"] = one.marginals.half()
    sizes = {name: one.size for name, one in habits.items()}
    save_tensors(path, tensors, format=FORMAT, version=1, header={"source": source, "sizes": sizes})


def load_habits(path: str | os.PathLike[str]) -> dict[str, Habits]:
    """Read what `save_habits` wrote.

    Raises:
        FileError: Missing or broken.
    """
    with open_tensors(path, what="statistics of descriptors", format=FORMAT) as (header, tensors):
        return {
            name: _restored(
                tensors[f"{name}.marginals"], tensors[f"{name}.correlation"], float(size)
            )
            for name, size in header["sizes"].items()
        }


def _restored(marginals: Tensor, upper: Tensor, size: float) -> Habits:
    count = len(marginals)
    row, column = torch.triu_indices(count, count, 1)
    correlation = torch.zeros(count, count, dtype=torch.float64)
    correlation[row, column] = upper.double() / STEPS
    return Habits(marginals.double(), correlation + correlation.T, size)


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Habits]:
    return load_habits(PATH)
