"""HOG with signs and contrast, as in models of deformable parts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._version import __version__
from invertdesc.descriptors._hog import DenseHog
from invertdesc.descriptors.base import check_vectors
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_gray, to_uint8
from invertdesc.ops import solve_poisson
from invertdesc.unfolding.sample import image_gradients
from invertdesc.unfolding.unfolding import Unfolding

CLIP = 0.2
TEXTURE = 0.2357  # of the sums of all bins; half of sqrt(2 / 9)
FLOOR = 1e-4  # of a norm
TINY = 1e-5


@dataclass(frozen=True, kw_only=True)
class HogUoctti(DenseHog):
    """HOG of Felzenszwalb and others: 31 numbers a cell, 18 of them of gradients with signs.

    A row is a cell that has neighbours on all sides, its keypoint its middle, its scale the side of
    a cell in pixels; a vector looks at the cell and its neighbours. First come the 18 directions
    over the full turn, then the nine over half a turn, each half the sum over the four
    normalisations, by the blocks of 2 x 2 cells that hold the cell; last how strong the cell is in
    each block: above left, above right, below left, below right. Other programs may write these
    four in another order. Bin b stands for the direction b * 20 degrees, clockwise on the screen
    from the right.

    Attributes:
        orientations: Bins over half a turn.
        pixels_per_cell: Side of a cell.
        cells_per_block: 3, along a side of what a vector looks at.
        gray: `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`. The source takes the
            strongest of three colours.

    >>> HogUoctti().extract(torch.rand(3, 40, 64))
    LocalFeatures(18 x 'hog-uoctti' of 31 float32, image 64 x 40, without orientations, scores)

    Source: Felzenszwalb, Girshick, McAllester, Ramanan, "Object detection with discriminatively
    trained part-based models", PAMI 2010, section 6.
    """

    name: ClassVar[str] = "hog-uoctti"
    first: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cells_per_block != 3:
            raise InputError(
                f"Expected cells_per_block = 3, a cell and its neighbours, for {self.name!r}, got "
                f"{self.cells_per_block}."
            )

    @property
    def dim(self) -> int:
        """D, the length of a cell's vector."""
        return 3 * self.orientations + 4

    @property
    def turn(self) -> bool:
        """Whether gradients keep their signs; they do."""
        return True

    @cached_property
    def unfolding(self) -> Unfolding:
        """What follows from the definition, of one cell alone; `pieces` serves in its place."""
        angles = torch.arange(2 * self.orientations) * (math.pi / self.orientations)
        matrix = torch.zeros(self.dim, 2)
        matrix[: len(angles)] = torch.stack([angles.cos(), angles.sin()], 1)
        return Unfolding(matrix, torch.zeros(2), torch.zeros(self.dim), self.frame)

    def extract(self, image: Tensor) -> LocalFeatures:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at all inner cells of its grid."""
        size = (image.shape[1], image.shape[2])
        vector = torch.zeros(0)
        if all(self._blocks(size)):
            pixels = torch.from_numpy(to_uint8(to_gray(image, self.gray))).float() / 255
            vector = self._described(self._cells(pixels))
        features = self.from_vector(vector, size)
        origin = replace(features.provenance, producer=f"invertdesc {__version__}")
        return replace(features, provenance=origin)

    def encode(self, raw: Tensor) -> Tensor:
        """Return vectors as they are, as floats: they are normalised in themselves."""
        check_vectors(raw, self.dim, self.name)
        return raw.float()

    def _cells(self, gray: Tensor) -> Tensor:
        """Return (ny, nx, 18), histograms of a gray picture (H, W), shared out between cells."""
        bins, side = 2 * self.orientations, self.pixels_per_cell
        field = image_gradients(gray)
        angle = torch.atan2(field[1], field[0]) * (bins / (2 * math.pi))
        spread = F.one_hot(angle.round().long() % bins, bins) * field.norm(dim=0)[..., None]
        ramp = 1 - ((torch.arange(2 * side) + 0.5) / side - 1).abs()
        window = (ramp[:, None] * ramp).expand(bins, 1, -1, -1)
        rows, columns = (length // side for length in gray.shape)
        used = spread[: rows * side, : columns * side].permute(2, 0, 1)
        cells = F.conv2d(used, window, stride=side, padding=side // 2, groups=bins)
        return cells[:, :rows, :columns].permute(1, 2, 0)

    def _described(self, cells: Tensor) -> Tensor:
        """Return (ny - 2, nx - 2, 31) vectors for histograms (ny, nx, 18)."""
        half = cells[..., : self.orientations] + cells[..., self.orientations :]
        energy = half.square().sum(2)
        blocks = (energy[1:, 1:] + energy[1:, :-1] + energy[:-1, 1:] + energy[:-1, :-1]).sqrt()
        norms = torch.stack(
            [blocks[:-1, :-1], blocks[:-1, 1:], blocks[1:, :-1], blocks[1:, 1:]], 2
        )[..., None]  # (ny - 2, nx - 2, 4, 1)
        signed, unsigned = (
            (part[1:-1, 1:-1, None] / (norms + FLOOR)).clamp(max=CLIP) for part in (cells, half)
        )
        texture = TEXTURE * signed.sum(3)
        return torch.cat([signed.sum(2) / 2, unsigned.sum(2) / 2, texture], 2)

    def _histograms(self, batch: FeatureBatch) -> Tensor:
        """Return (B, ny, nx, 18), with the contrast between cells.

        Two neighbours tell how strong they are in the block that both lie in.
        """
        maps = self.maps(batch)
        signed, log = maps[..., : 2 * self.orientations], (maps[..., -4:] + TINY).log()
        right = log[:, :, :-1, [1, 3]] - log[:, :, 1:, [0, 2]]
        below = log[:, :-1, :, [2, 3]] - log[:, 1:, :, [0, 1]]
        steps = -torch.stack(
            [F.pad(right.mean(-1), (0, 1)), F.pad(below.mean(-1), (0, 0, 0, 1))], 1
        )
        amount = solve_poisson(steps, screening=0.02).exp()[..., None]
        whole = signed / signed.sum(-1, keepdim=True).clamp(min=TINY) * amount
        whole = torch.where(signed.sum(-1, keepdim=True) > 0, whole, 0)
        return F.pad(whole.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)
