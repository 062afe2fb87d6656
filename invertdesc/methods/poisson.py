"""Integrate the unfolded field, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._options import check_range
from invertdesc.descriptors import resolve_descriptor
from invertdesc.image import GrayMode, from_gray
from invertdesc.methods.base import Method, Needs
from invertdesc.rasterizers.field import FieldRasterizer

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.batch import FeatureBatch
    from invertdesc.unfolding.unfolding import Unfolding
FLAT = 0.45  # level of a picture without keypoints
# Mean and standard deviation of gray pictures by mode: of 150 faces and 150 photographs for
# training, 0.69, 0.17 and 0.64, 0.18 with gamma; 0.50, 0.22 and 0.46, 0.22 with luma.
TONES: dict[GrayMode, tuple[float, float]] = {"gamma": (0.67, 0.18), "luma": (0.48, 0.22)}


class Poisson(Method):
    """Integrate the unfolded gradient field: a gray picture, for any descriptor with an unfolding.

    Descriptors contain neither brightness nor contrast, so the picture's mean and deviation are set
    to given values. The picture is smooth in regions without keypoints, and flat if there are none
    at all.

    >>> from invertdesc import create_method
    >>> print(create_method("poisson", stochastic=True, seed=1).needs)
    an unfolding

    Source: Desolneux, Leclaire, "Stochastic image models from SIFT-like descriptors", 2017
    (MS-Poisson); merging over scales is an addition.
    """

    name: ClassVar[str] = "poisson"
    needs: ClassVar[Needs] = Needs(abilities=("unfolding",))

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        mean: float | None = None,
        deviation: float | None = None,
        stride: int = 1,
        stochastic: bool = False,
        seed: int = 0,
        unfolding: Unfolding | None = None,
    ) -> None:
        """Create the method.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            mean: Mean gray of the picture, in [0, 1], in the gray mode of the features; None for
                that of photographs, 0.67 with gamma and 0.48 with luma.
            deviation: Standard deviation of its gray values; None for 0.18 and 0.22.
            stride: Distance in pixels between samples of the field; 2 is coarser and about four
                times as fast.
            stochastic: Whether to draw a random orientation for each cell from its histogram,
                instead of using the mean.
            seed: Random seed; the same seed gives the same pictures.
            unfolding: Unfolding to use instead of the descriptor's own.

        Raises:
            InputError: A number is out of range.
        """
        super().__init__()
        check_range("mean", mean, 0, 1)
        check_range("deviation", deviation, 0)
        self.rasterizer = FieldRasterizer(descriptor, stride=stride, unfolding=unfolding)
        self.mean = mean
        self.deviation = deviation
        self.stochastic = stochastic
        self.seed = seed

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), gray, in [0, 1].

        Raises:
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
            InputError: `stochastic` is set, and the descriptor does not consist of histograms.
        """
        return self.paint(batch, self._draw(batch) if self.stochastic else None)

    def paint(self, batch: FeatureBatch, pieces: Tensor | None) -> Tensor:
        """Reconstruct from given (M, 2, G, G) gradients in the keypoints' frames.

        Raises:
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
        """
        picture: Tensor = self.rasterizer(batch, pieces).picture
        if self.rasterizer.stride > 1:
            picture = F.interpolate(
                picture, scale_factor=self.rasterizer.stride, mode="bicubic", align_corners=False
            )
        height, width = batch.image_size
        return in_gray(picture[..., :height, :width], batch, self.mean, self.deviation)

    def _draw(self, batch: FeatureBatch) -> Tensor:
        """Return (M, 2, G, G); the random numbers of an image do not depend on its batch."""
        adapter = resolve_descriptor(self.rasterizer.descriptor or batch.descriptor)
        unfolding = self.rasterizer.unfolding or adapter.unfolding
        vectors = adapter.encode(batch.descriptors)
        return torch.cat(
            [
                unfolding.sample(vectors[rows], torch.Generator().manual_seed(self.seed))
                for rows in batch.rows
            ]
        )


def in_gray(
    picture: Tensor, batch: FeatureBatch, mean: float | None, deviation: float | None
) -> Tensor:
    """Set mean and deviation of gray pictures; return them as RGB.

    Args:
        picture: (B, 1, H, W), of any mean and deviation.
        batch: The features that they were made from, for their gray modes.
        mean: Mean gray, in the mode of the features; None for the usual one of this mode.
        deviation: Standard deviation, likewise.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    spread, middle = torch.std_mean(picture, (1, 2, 3), correction=0)
    pictures = []
    for one, low, factor, provenance in zip(
        picture, middle, 1 / spread.clamp(min=1e-9), batch.provenances, strict=True
    ):
        usual, contrast = TONES[provenance.gray_mode]
        gray = (one[0] - low) * (factor * (contrast if deviation is None else deviation))
        gray += usual if mean is None else mean
        pictures.append(from_gray(gray, provenance.gray_mode))
    return torch.stack(pictures)
