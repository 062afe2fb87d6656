"""Fit the unfolding of any descriptor by ridge regression, in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from invertdesc._progress import watch
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_gray, to_image
from invertdesc.unfolding.sample import sample_frames
from invertdesc.unfolding.unfolding import FALLOFF, Unfolding

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.unfolding.frame import Frame
LEAST_BLUR = 0.8  # pixels, before gradients are computed


def fit_unfolding(
    descriptor: Descriptor,
    images: Iterable[object],
    *,
    grid: int = 8,
    ridge: float = 0.02,
    bins: int | None = None,
    progress: bool = False,
) -> Unfolding:
    """Fit the linear map from a descriptor's vectors to the gradients around their keypoints.

    Images are read one at a time, and only sums over keypoints are kept. The target is the
    picture's gradient in the keypoint's frame, blurred to the grid's spacing and scaled to a root
    mean square of 1, since vectors are normalised too. The logarithm of this root mean square is
    fitted separately, as a linear function of the vector and of the logarithm of the cell's width:
    contrast and falloff.

    Args:
        descriptor: Adapter; its `frame` is the square that its vectors describe.
        images: Paths, or other images for `invertdesc.image.to_image`; a few hundred photographs.
        grid: Number G of the map's cells per side.
        ridge: Weight of the penalty on the map, relative to the vectors' variance.
        bins: Number of orientation bins, if the vector consists of histograms; otherwise None.
        progress: Show a progress bar.

    Raises:
        InputError: No image has a keypoint.
        MissingFieldError: The adapter extracts no scales or orientations, but its frame needs them.

    >>> from skimage.data import camera
    >>> from invertdesc import create_descriptor
    >>> fit_unfolding(create_descriptor("sift"), [camera()], grid=4).matrix.shape
    torch.Size([128, 32])
    """
    images = watch(images, f"fit {descriptor.name}", shown=progress)
    return fit_described(
        descriptor, _described(descriptor, images), grid=grid, ridge=ridge, bins=bins
    )


def fit_described(
    descriptor: Descriptor,
    described: Iterable[tuple[Tensor, LocalFeatures]],
    *,
    grid: int = 8,
    ridge: float = 0.02,
    bins: int | None = None,
) -> Unfolding:
    """Fit as `fit_unfolding` does, to images whose features are given.

    Args:
        descriptor: Adapter; its `frame` and `encode` are used.
        described: Images of shape (3, H, W), RGB in [0, 1], with their features.
        grid: Number G of the map's cells per side.
        ridge: Weight of the penalty on the map, relative to the vectors' variance.
        bins: Number of orientation bins, if the vector consists of histograms; otherwise None.

    Raises:
        InputError: No image has a keypoint.
        MissingFieldError: The features have no scales or orientations, but the frame needs them.
    """
    patches = patches_of(descriptor, described, descriptor.frame, grid)
    return fit_patches(descriptor, patches, grid=grid, ridge=ridge, bins=bins)


class Patches(NamedTuple):
    """Keypoints of one image, and what the picture is around them.

    Attributes:
        features: The features of the image, N keypoints.
        targets: (N, 2 * G * G), the picture's gradients in the frame of each.
        cell: (N,), the logarithm of a cell's width in pixels.
    """

    features: LocalFeatures
    targets: Tensor
    cell: Tensor


def fit_patches(
    descriptor: Descriptor,
    patches: Iterable[Patches],
    *,
    grid: int = 8,
    ridge: float = 0.02,
    bins: int | None = None,
) -> Unfolding:
    """Fit as `fit_unfolding` does, to patches whose vectors may have become others since.

    What was done to the vectors, the map then undoes as far as a linear map can.

    Args:
        descriptor: Adapter, which encodes the vectors.
        patches: Patches from `patches_of`, with the same grid.
        grid: Number G of the map's cells per side.
        ridge: Weight of the penalty on the map, relative to the vectors' variance.
        bins: Number of orientation bins, if the vector consists of histograms; otherwise None.

    Raises:
        InputError: There is no keypoint.
    """
    sums = _Sums(descriptor.dim, 2 * grid * grid)
    for one in patches:
        sums.add(descriptor.encode(one.features.descriptors), one.targets, one.cell)
    matrix, bias, mean = sums.gradients(ridge)
    contrast, falloff = sums.contrast(ridge)
    return Unfolding(
        matrix=matrix,
        bias=bias,
        mean=mean,
        frame=descriptor.frame,
        falloff=falloff,
        bins=bins,
        contrast=contrast,
    )


@dataclass(frozen=True)
class Quality:
    """The quality of an unfolding on images that were not used for its fit.

    Attributes:
        patches: Number of keypoints.
        correlation: Correlation of the unfolded gradients with the true ones, each patch scaled to
            a root mean square of 1.
        contrast: Correlation of the logarithms of predicted and true size of the gradients.
    """

    patches: int
    correlation: float
    contrast: float


def measure_unfolding(
    unfolding: Unfolding, descriptor: Descriptor, images: Iterable[object]
) -> Quality:
    """Measure an unfolding on images that were not used for its fit.

    Args:
        unfolding: Unfolding of the descriptor.
        descriptor: Adapter of the descriptor.
        images: Images for `invertdesc.image.to_image`.

    Raises:
        InputError: No image has a keypoint.
    """
    products, predicted, true = torch.zeros(3, dtype=torch.float64), [], []
    described = _described(descriptor, images)
    for features, targets, cell in patches_of(
        descriptor, described, unfolding.frame, unfolding.grid
    ):
        vectors, size = descriptor.encode(features.descriptors), _sizes(targets)
        one, other = unfolding(vectors).flatten(1), targets / size
        predicted.append(_sizes(one).log()[:, 0] - unfolding.falloff * cell)
        true.append(size.log()[:, 0])
        one = one / _sizes(one) * _sizes(unfolding.directions(vectors).flatten(1))
        products += torch.stack([(one * other).sum(), one.square().sum(), other.square().sum()])
    if not predicted:
        raise InputError("Expected images with keypoints to measure an unfolding on, found none.")
    both = torch.stack([torch.cat(predicted), torch.cat(true)])
    return Quality(
        patches=both.shape[1],
        correlation=float(products[0] / (products[1] * products[2]).sqrt()),
        contrast=float(both.corrcoef()[0, 1]) if both.shape[1] > 1 else 0.0,
    )


def _described(
    descriptor: Descriptor, images: Iterable[object]
) -> Iterator[tuple[Tensor, LocalFeatures]]:
    for source in images:
        image = to_image(source)
        yield image, descriptor.extract(image)


def patches_of(
    descriptor: Descriptor,
    described: Iterable[tuple[Tensor, LocalFeatures]],
    frame: Frame,
    grid: int = 8,
) -> Iterator[Patches]:
    """Look at pictures around the keypoints of their features.

    Args:
        descriptor: Adapter of the descriptor.
        described: Images of shape (3, H, W), RGB in [0, 1], with their features.
        frame: The square to look at.
        grid: Number G of cells along its side.

    Raises:
        MissingFieldError: The features have no scales or orientations, but the frame needs them.
    """
    for image, features in described:
        if len(features):
            batch = FeatureBatch.collate([features])
            batch.require(frame.needs, needed_by=f"the frame of {descriptor.name!r}")
            gray = to_gray(image, features.provenance.gray_mode)
            sides, turns = frame.sides(batch), frame.turns(batch)
            targets = gradients_around(gray, batch.keypoints, sides, turns, grid)
            cell = (sides / grid).clamp(min=1).log()
            yield Patches(features, targets.flatten(1), cell)


def _sizes(gradients: Tensor) -> Tensor:
    """Return (N, 1), the root mean square of each patch, at least a small positive value."""
    return gradients.square().mean(1, keepdim=True).sqrt() + 1e-4


def gradients_around(
    gray: Tensor,
    keypoints: Tensor,
    sides: Tensor,
    turns: Tensor,
    grid: int,
    *,
    shrinks: bool = False,
) -> Tensor:
    """Sample a picture's gradient on a grid in the frame of each keypoint.

    The picture is blurred to the grid's spacing first, in half octaves.

    Args:
        gray: (H, W) float.
        keypoints: (N, 2) xy in pixels.
        sides: (N,) pixels.
        turns: (N,) radians.
        grid: G.
        shrinks: Whether to shrink the picture before it is blurred by 4 pixels and more.

    Returns:
        (N, 2, G, G) float32: per pixel, towards the frame's right and down.
    """
    gx, gy = sample_frames(
        gray,
        keypoints,
        sides,
        turns,
        grid,
        least_blur=LEAST_BLUR,
        gradients=True,
        align_corners=True,
        shrinks=shrinks,
    ).unbind(1)
    cos, sin = (part[:, None, None] for part in (turns.cos(), turns.sin()))
    return torch.stack([gx * cos + gy * sin, gy * cos - gx * sin], 1)


class _Sums:
    """The sums over all keypoints for least squares, in float64."""

    def __init__(self, dim: int, outputs: int) -> None:
        # Rows: the vector, the logarithm of the cell's width, 1; columns of xy: the gradients, the
        # logarithm of their size.
        self.xx = torch.zeros(dim + 2, dim + 2, dtype=torch.float64)
        self.xy = torch.zeros(dim + 2, outputs + 1, dtype=torch.float64)

    def add(self, vectors: Tensor, targets: Tensor, cell: Tensor) -> None:
        size = _sizes(targets)
        x = torch.cat([vectors, cell[:, None], torch.ones(len(vectors), 1)], 1).double()
        self.xx += x.T @ x
        self.xy += x.T @ torch.cat([targets / size, size.log()], 1).double()

    def gradients(self, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return the matrix, the bias and the mean of the vectors."""
        mean, bias, spread, joint = self._centred()
        spread, joint = spread[:-1, :-1], joint[:-1, :-1]
        penalty = ridge * spread.diagonal().mean() + 1e-12
        matrix = torch.linalg.solve(
            spread + penalty * torch.eye(len(spread), dtype=torch.float64), joint
        )
        return matrix.float(), bias[:-1].float(), mean[:-1].float()

    def contrast(self, ridge: float) -> tuple[Tensor, float]:
        """Return the contrast, a linear map from vector to size of gradients, and the falloff.

        If all cells have the same width, the falloff cannot be fitted, and the default is used.
        """
        mean, _, spread, joint = self._centred()
        n = self.xx[-1, -1]
        alike = bool(spread[-1, -1] < 1e-3 * n)
        penalty = (ridge * spread.diagonal()[:-1].mean() + 1e-12).expand(len(mean)).clone()
        penalty[-1] = n if alike else 0.0
        slopes = torch.linalg.solve(spread + penalty.diag(), joint[:, -1])
        falloff = FALLOFF if alike else min(max(-float(slopes[-1]), 0.0), 2.0)
        return slopes[:-1].float(), falloff

    def _centred(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        n = float(self.xx[-1, -1])
        if n == 0:
            raise InputError(
                "Expected images with keypoints to fit an unfolding to, found none in any. "
                "Give photographs, or let the descriptor find more."
            )
        mean, bias = self.xx[-1, :-1] / n, self.xy[-1] / n
        spread = self.xx[:-1, :-1] - n * torch.outer(mean, mean)
        return mean, bias, spread, self.xy[:-1] - n * torch.outer(mean, bias)
