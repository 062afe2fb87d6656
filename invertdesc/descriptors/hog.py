"""Dense HOG by scikit-image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.descriptors._histograms import root
from invertdesc.descriptors._hog import DenseHog
from invertdesc.errors import InputError
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_gray, to_uint8

if TYPE_CHECKING:
    from invertdesc.features.batch import FeatureBatch

CLIP = 0.2  # L2-Hys limits the values of a block of length 1 to this
FLOOR = 1e-5  # added to a block's norm, as in scikit-image

BlockNorm: TypeAlias = Literal["L1", "L1-sqrt", "L2", "L2-Hys"]


@dataclass(frozen=True, kw_only=True)
class Hog(DenseHog):
    """Dense HOG of the whole picture: histograms of unsigned gradients in cells of 8 x 8 pixels.

    Defaults are those of scikit-image. A row is a block of cells: its vector is `hog(...)[by, bx]`,
    flattened (cell row, cell column, bin), its keypoint is the middle of the block, and its scale
    is the side of a cell in pixels. `from_vector` converts a result of `skimage.feature.hog`.

    Attributes:
        orientations: Number of bins over half a turn.
        pixels_per_cell: Side of a cell in pixels.
        cells_per_block: Cells per side of a block; a block is normalised as a whole.
        block_norm: Normalisation, as in scikit-image: `"L1"`, `"L1-sqrt"`, `"L2"` or `"L2-Hys"`.
        transform_sqrt: Whether to take the square root of the picture first.
        gray: Gray mode `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.

    >>> Hog(cells_per_block=2).from_vector(torch.zeros(3 * 5 * 36), (32, 48))
    LocalFeatures(15 x 'hog' of 36 float32, image 48 x 32, without orientations, scores)

    Source: Dalal, Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
    """

    block_norm: BlockNorm = "L2-Hys"
    transform_sqrt: bool = False

    name: ClassVar[str] = "hog"

    def extract(self, image: Tensor) -> LocalFeatures:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at all blocks of its grid."""
        from importlib.metadata import version

        from skimage.feature import hog

        height, width = image.shape[-2:]
        vector = torch.zeros(0)
        if all(self._blocks((height, width))):
            pixels = to_uint8(to_gray(image, self.gray))
            found = hog(
                pixels / 255,
                orientations=self.orientations,
                pixels_per_cell=(self.pixels_per_cell, self.pixels_per_cell),
                cells_per_block=(self.cells_per_block, self.cells_per_block),
                block_norm=self.block_norm,
                transform_sqrt=self.transform_sqrt,
            )
            vector = torch.from_numpy(found)
        features = self.from_vector(vector, (height, width))
        origin = replace(features.provenance, producer=f"scikit-image {version('scikit-image')}")
        return replace(features, provenance=origin)

    def respond(self, gray: Tensor, batch: FeatureBatch) -> Tensor:
        """Describe one gray image (H, W) at the blocks of a batch of one; differentiable.

        The values are those of scikit-image. Its bins are hard, so the gradient by direction would
        be 0. Therefore gradients are those of soft bins, which distribute a direction over the two
        nearest bins.

        Raises:
            InputError: The cells have another side than `pixels_per_cell`.
        """
        side, cells = self.pixels_per_cell, self.cells_per_block
        if not len(batch.keypoints):
            return gray.new_zeros(0, self.dim)
        if batch.scales is not None and not bool((batch.scales == side).all()):
            raise InputError(
                f"Expected blocks of cells of {side} pixels, got others. Make the descriptor with "
                "their pixels_per_cell."
            )
        picture = root(gray.clamp(min=0)) if self.transform_sqrt else gray
        right = F.pad(picture[:, 2:] - picture[:, :-2], (1, 1))
        down = F.pad(picture[2:] - picture[:-2], (0, 0, 1, 1))
        strength = root(right.square() + down.square())
        bin_ = torch.atan2(down, right + (strength == 0)) * (self.orientations / math.pi)
        bin_ = bin_ % self.orientations  # bin b holds the directions from b to b + 1
        numbers = torch.arange(self.orientations, device=gray.device)
        apart = (bin_[..., None] - numbers - 0.5 + self.orientations / 2) % self.orientations
        soft = (1 - (apart - self.orientations / 2).abs()).clamp(min=0)
        hard = bin_.detach().floor().clamp(max=self.orientations - 1)[..., None] == numbers
        spread = strength[..., None] * (soft + (hard.to(gray) - soft).detach())
        height, width = (length // side * side for length in gray.shape)
        pixels = spread[:height, :width].reshape(height // side, side, width // side, side, -1)
        blocks = pixels.mean((1, 3)).unfold(0, cells, 1).unfold(1, cells, 1)  # (by, bx, b, c, c)
        _, row, column = self.places(batch)
        return self._normalised(blocks.movedim(2, -1).flatten(2)[row, column])

    def _normalised(self, blocks: Tensor) -> Tensor:
        """Normalise blocks (N, D) by `block_norm`."""
        if self.block_norm.startswith("L1"):
            blocks = blocks / (blocks.sum(1, keepdim=True) + FLOOR)
            return blocks if self.block_norm == "L1" else root(blocks)
        blocks = _unit(blocks)
        return _unit(blocks.clamp(max=CLIP)) if self.block_norm == "L2-Hys" else blocks


def _unit(blocks: Tensor) -> Tensor:
    return blocks / (blocks.square().sum(1, keepdim=True) + FLOOR**2).sqrt()
