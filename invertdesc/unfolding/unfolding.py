"""Descriptors unfolded into the picture's own gradient field.

A descriptor vector, a linear map and the keypoint's frame give a small square of gradients, for
every descriptor alike; `field.py` merges the squares of many keypoints in the picture.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

import torch
from torch import Tensor

from invertdesc._files import open_tensors, save_tensors
from invertdesc.errors import InputError
from invertdesc.unfolding.frame import Frame

FORMAT = "invertdesc-unfolding"
VERSION = 1
LARGEST = 3.0  # so that no vector, however strange, drowns all others; photographs stay within 2
FALLOFF = 0.8  # with SIFT as in field.py: 0.57 gave 0.899, 0.703 and 0.861, 0.607


@dataclass(frozen=True, eq=False)
class Unfolding:
    """A linear map from encoded vectors to gradients in the keypoint's frame.

    `gradients = (vectors - mean) @ matrix + bias`, a grid of G x G cells that fill the frame, times
    `exp((vectors - mean) @ contrast)`, so that weak patches do not shout.

    Attributes:
        matrix: (D, 2 * G * G) float32.
        bias: (2 * G * G,) float32.
        mean: (D,) float32.
        frame: The square that the grid fills.
        falloff: Gradients weaken as 1 / (cell width in pixels)^falloff from fine keypoints to
            coarse ones, which the vector itself does not tell.
        contrast: (D,) float32, how the logarithm of the gradients' size goes with the vector: most
            vectors are normalised, but say what kind of patch they come from; None for not at all.
        bins: Orientation bins of a histogram, where the vector is a row of histograms; else None.

    >>> unfolding = Unfolding.from_histograms(cells=4, bins=8, frame=Frame(support=12.0))
    >>> unfolding(torch.zeros(5, 128)).shape
    torch.Size([5, 2, 4, 4])
    """

    matrix: Tensor
    bias: Tensor
    mean: Tensor
    frame: Frame
    falloff: float = FALLOFF
    bins: int | None = None
    contrast: Tensor | None = None

    @property
    def grid(self) -> int:
        """G, the number of cells along a side."""
        return math.isqrt(self.matrix.shape[1] // 2)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Unfold vectors.

        Args:
            vectors: (N, D) float, as the descriptor's `encode` returns them.

        Returns:
            (N, 2, G, G) float32: gradients towards the frame's right and down, up to the falloff
            and one factor for all.

        Raises:
            InputError: The vectors have another length.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise InputError(
                f"Expected vectors of shape (N, {len(self.mean)}), got {tuple(vectors.shape)}."
            )
        return self.directions(vectors) * self.sizes(vectors)

    def directions(self, vectors: Tensor) -> Tensor:
        """Unfold vectors, but for the contrast: (N, D) to (N, 2, G, G)."""
        matrix, bias, mean = (part.to(vectors) for part in (self.matrix, self.bias, self.mean))
        return ((vectors - mean) @ matrix + bias).view(-1, 2, self.grid, self.grid)

    def sizes(self, vectors: Tensor) -> Tensor:
        """Return the contrast of (N, D) vectors as (N, 1, 1, 1) factors around 1."""
        if self.contrast is None:
            return vectors.new_ones(len(vectors), 1, 1, 1)
        told = (vectors - self.mean.to(vectors)) @ self.contrast.to(vectors)
        return told.clamp(-LARGEST, LARGEST).exp()[:, None, None, None]

    def sample(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """Unfold with one orientation drawn for each histogram, instead of all in proportion.

        Within the drawn bin all directions are equally likely; one between two bins is shared by
        them, as a descriptor does. In expectation this is the histogram itself, a little smoothed.

        Args:
            vectors: (N, D) float, as the descriptor's `encode` returns them.
            generator: On the CPU, so that a seed gives the same draws for every device.

        Returns:
            (N, 2, G, G) float32, as of a call.

        Raises:
            InputError: The descriptor is not made of orientation histograms.

        Source: Desolneux, Leclaire 2017, stochastic images from local histograms (MS-Poisson).
        """
        if self.bins is None:
            raise InputError(
                "Expected a descriptor made of orientation histograms, such as 'sift', to draw "
                "orientations from; got one that is not. Use stochastic=False."
            )
        mass = vectors.clamp(min=0).view(-1, vectors.shape[1] // self.bins, self.bins)
        total = mass.sum(2, keepdim=True)
        odds = torch.where(total > 0, mass, 1).flatten(0, 1).cpu()
        drawn = torch.multinomial(odds, 1, generator=generator).to(mass.device).view_as(total)
        aside = torch.rand(total.shape, generator=generator).to(mass) - 0.5
        single = torch.zeros_like(mass).scatter_(2, drawn, total * (1 - aside.abs()))
        neighbour = (drawn + aside.sign().long()) % self.bins
        single.scatter_add_(2, neighbour, total * aside.abs())
        return self.directions(single.flatten(1)) * self.sizes(vectors)

    @classmethod
    def from_histograms(
        cls, *, cells: int, bins: int, frame: Frame, window: float | None = None
    ) -> Unfolding:
        """Build the map of a descriptor that is cells x cells histograms of gradient directions.

        The vector is ordered by row, column and bin; bin b stands for the direction
        b * 360 / bins degrees, counter-clockwise on the screen from the frame's right, as in SIFT.

        Args:
            cells: Cells along a side.
            bins: Bins of a histogram, over the full turn.
            frame: The square that the cells fill.
            window: Deviation, in cells, of the Gaussian that the descriptor weighted its gradients
                with and that is to be undone; None for none.

        Source: Lowe 2004, section 6.1; Desolneux, Leclaire 2017.
        """
        places = torch.arange(cells) - (cells - 1) / 2
        weight = torch.ones(cells, cells)
        if window is not None:
            weight = torch.exp((places[:, None] ** 2 + places**2) / (2 * window**2))
        cos, sin = _cos_sin(torch.arange(bins) * (2 * math.pi / bins))
        here = torch.diag(weight.flatten())  # (cells^2, cells^2): a cell speaks of itself alone
        matrix = torch.stack([torch.kron(here, cos[:, None]), torch.kron(here, -sin[:, None])], 1)
        return cls(
            matrix=matrix.flatten(1),
            bias=torch.zeros(2 * cells * cells),
            mean=torch.zeros(cells * cells * bins),
            frame=frame,
            bins=bins,
        )

    def save(
        self, path: str | os.PathLike[str], *, card: Mapping[str, object] | None = None
    ) -> None:
        """Write a .safetensors file, whole or not at all; the map itself in float16.

        Args:
            path: Of the file.
            card: What to tell about the fit (data, patches, how good), kept in the file's header.

        Raises:
            FileError: The place cannot be written.
        """
        tensors = {"matrix": self.matrix.half(), "bias": self.bias, "mean": self.mean}
        if self.contrast is not None:
            tensors["contrast"] = self.contrast
        header = {
            "frame": asdict(self.frame),
            "falloff": self.falloff,
            "bins": self.bins,
            "card": dict(card or {}),
        }
        save_tensors(path, tensors, format=FORMAT, version=VERSION, header=header)

    @classmethod
    @lru_cache
    def shipped(cls, descriptor: str) -> Unfolding:
        """Load the map that ships with the package for a descriptor of this name.

        Raises:
            FileError: There is none.
        """
        from invertdesc.weights import FOLDER

        return cls.load(FOLDER / f"unfolding-{descriptor}.safetensors")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Unfolding:
        """Read a .safetensors file that `save` wrote.

        Raises:
            FileError: Missing, broken, of another format, or of a later version.
        """
        what = "an unfolding that invertdesc wrote"
        with open_tensors(path, what=what, format=FORMAT, newest=VERSION) as (header, tensors):
            return cls(
                matrix=tensors["matrix"].float(),
                bias=tensors["bias"].float(),
                mean=tensors["mean"].float(),
                contrast=tensors["contrast"].float() if "contrast" in tensors else None,
                frame=Frame(**header["frame"]),
                falloff=header["falloff"],
                bins=header["bins"],
            )


def _cos_sin(angle: Tensor) -> tuple[Tensor, Tensor]:
    return angle.cos(), angle.sin()
