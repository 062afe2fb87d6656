"""Unfold descriptors into gradients of the picture.

A descriptor vector, a linear map and the keypoint's frame give a small square of gradients. This
works in the same way for every descriptor. `field.py` merges the squares of all keypoints in the
picture.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from invertdesc._files import open_tensors, save_tensors
from invertdesc.errors import InputError
from invertdesc.unfolding.decoder import Decoder
from invertdesc.unfolding.frame import Frame

FORMAT = "invertdesc-unfolding"
VERSION = 2  # 1 had neither trust nor decoder
LARGEST = 3.0  # limits the effect of unusual vectors; those of photographs stay within 2
FALLOFF = 0.8  # with SIFT as in field.py: 0.57 gave 0.899, 0.703 and 0.861, 0.607


@dataclass(frozen=True, eq=False)
class Unfolding:
    """A linear map from encoded vectors to gradients in the keypoint's frame.

    `gradients = (vectors - mean) @ matrix + bias`, a grid of G x G cells that fill the frame, times
    `exp((vectors - mean) @ contrast)`, so that patches of low contrast get small gradients.

    Attributes:
        matrix: (D, 2 * G * G) float32.
        bias: (2 * G * G,) float32.
        mean: (D,) float32.
        frame: Frame of the descriptor; the grid fills it.
        falloff: Gradients decrease as 1 / (cell width in pixels)^falloff from fine to coarse
            keypoints; the vector does not contain this.
        contrast: (D,) float32, linear map from the vector to the logarithm of the gradients' size.
            Most vectors are normalised, but depend on the kind of patch. None for no dependence.
        bins: Number of orientation bins, if the vector consists of histograms; otherwise None.
        others: Maps of the same vectors to frames of other sides, for vectors that depend on more
            than one square.
        gains: (1 + len(others), K) float32, factors of the fields of this map and the others in K
            bands of frequencies, see `invertdesc.rasterizers.bands`; None for this map alone.
        trust: (G, G) float32 in (0, 1], weights of the cells where pieces of several keypoints
            overlap: vectors that are not local tell less of the outer cells. None for equal ones.
        decoder: Network from centred vectors to corrections of the gradients and of the logarithm
            of their size, (N, 2 * G * G + 1); None for the linear map alone.

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
    others: tuple[Unfolding, ...] = ()
    gains: Tensor | None = None
    trust: Tensor | None = None
    decoder: Decoder | None = None

    @property
    def grid(self) -> int:
        """Number G of cells per side."""
        return math.isqrt(self.matrix.shape[1] // 2)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Unfold vectors.

        Args:
            vectors: (N, D) float, as returned by the descriptor's `encode`.

        Returns:
            (N, 2, G, G) float32: gradients towards the frame's right and down, without the falloff
            and up to one common factor.

        Raises:
            InputError: The vectors have another length.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise InputError(
                f"Expected vectors of shape (N, {len(self.mean)}), got {tuple(vectors.shape)}."
            )
        return self.directions(vectors) * self.sizes(vectors)

    def directions(self, vectors: Tensor) -> Tensor:
        """Unfold vectors without the contrast factor: (N, D) to (N, 2, G, G)."""
        centred = vectors - self.mean.to(vectors)
        gradients = centred @ self.matrix.to(vectors) + self.bias.to(vectors)
        if self.decoder is not None:
            gradients = gradients + self.decoder(centred)[:, :-1]
        return gradients.view(-1, 2, self.grid, self.grid)

    def sizes(self, vectors: Tensor) -> Tensor:
        """Return the contrast of (N, D) vectors as (N, 1, 1, 1) factors around 1."""
        if self.contrast is None:
            return vectors.new_ones(len(vectors), 1, 1, 1)
        centred = vectors - self.mean.to(vectors)
        logarithm = centred @ self.contrast.to(vectors)
        if self.decoder is not None:
            logarithm = logarithm + self.decoder(centred)[:, -1]
        return logarithm.clamp(-LARGEST, LARGEST).exp()[:, None, None, None]

    def sample(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """Unfold with one random orientation for each histogram, instead of all in proportion.

        Within the drawn bin all directions are equally likely. A direction between two bins is
        distributed over both, as in a descriptor. The expected value is the histogram itself,
        slightly smoothed.

        Args:
            vectors: (N, D) float, as returned by the descriptor's `encode`.
            generator: Random generator on the CPU, so a seed gives the same numbers for every
                device.

        Returns:
            (N, 2, G, G) float32, as for a call.

        Raises:
            InputError: The descriptor does not consist of orientation histograms.

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
        """Build the map of a descriptor of cells x cells histograms of gradient directions.

        The vector is ordered by row, column and bin; bin b has the direction b * 360 / bins
        degrees, counter-clockwise on the screen from the frame's right, as in SIFT.

        Args:
            cells: Number of cells per side.
            bins: Number of bins of a histogram, over the full turn.
            frame: Frame of the descriptor; the cells fill it.
            window: Deviation in cells of the descriptor's Gaussian weights, which are undone; None
                for no weights.

        Source: Lowe 2004, section 6.1; Desolneux, Leclaire 2017.
        """
        places = torch.arange(cells) - (cells - 1) / 2
        weight = torch.ones(cells, cells)
        if window is not None:
            weight = torch.exp((places[:, None] ** 2 + places**2) / (2 * window**2))
        cos, sin = _cos_sin(torch.arange(bins) * (2 * math.pi / bins))
        here = torch.diag(weight.flatten())  # (cells^2, cells^2): each cell depends on itself only
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
        """Write a .safetensors file atomically, with the map in float16.

        Args:
            path: Path of the file.
            card: Data about the fit (data, patches, quality) for the header of the file.

        Raises:
            FileError: The file cannot be written.
        """
        tensors, header = self._parts()
        header["others"] = []
        for number, other in enumerate(self.others):
            more, about = other._parts()
            tensors |= {f"{number}.{name}": part for name, part in more.items()}
            header["others"].append(about)
        if self.gains is not None:
            tensors["gains"] = self.gains
        header["card"] = dict(card or {})
        save_tensors(path, tensors, format=FORMAT, version=VERSION, header=header)

    @classmethod
    @lru_cache
    def shipped(cls, descriptor: str) -> Unfolding:
        """Load the map of the package for a descriptor.

        Raises:
            FileError: There is no map for this descriptor.
        """
        from invertdesc.weights import FOLDER

        return cls.load(FOLDER / f"unfolding-{descriptor}.safetensors")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Unfolding:
        """Read a .safetensors file that `save` wrote.

        Raises:
            FileError: The file is missing, broken, of another format, or of a later version.
        """
        what = "an unfolding that invertdesc wrote"
        with open_tensors(path, what=what, format=FORMAT, newest=VERSION) as (header, tensors):
            one = cls._from_parts(tensors, header)
            others = tuple(
                cls._from_parts(tensors, about, f"{number}.")
                for number, about in enumerate(header.get("others", []))
            )
            gains = tensors["gains"].float() if "gains" in tensors else None
            return replace(one, others=others, gains=gains)

    def _parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the tensors and the header of this map, without the others."""
        tensors = {"matrix": self.matrix.half(), "bias": self.bias, "mean": self.mean}
        if self.contrast is not None:
            tensors["contrast"] = self.contrast
        if self.trust is not None:
            tensors["trust"] = self.trust.contiguous()
        if self.decoder is not None:
            tensors |= self.decoder.parts()
        about = {"frame": asdict(self.frame), "falloff": self.falloff, "bins": self.bins}
        return tensors, about

    @classmethod
    def _from_parts(
        cls, tensors: Mapping[str, Tensor], about: Mapping[str, Any], prefix: str = ""
    ) -> Unfolding:
        contrast, trust = (tensors.get(f"{prefix}{name}") for name in ("contrast", "trust"))
        return cls(
            matrix=tensors[f"{prefix}matrix"].float(),
            bias=tensors[f"{prefix}bias"].float(),
            mean=tensors[f"{prefix}mean"].float(),
            contrast=None if contrast is None else contrast.float(),
            frame=Frame(**about["frame"]),
            falloff=about["falloff"],
            bins=about["bins"],
            trust=None if trust is None else trust.float(),
            decoder=Decoder.from_parts(tensors, prefix),
        )


def _cos_sin(angle: Tensor) -> tuple[Tensor, Tensor]:
    return angle.cos(), angle.sin()
