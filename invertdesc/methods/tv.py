"""Find patches of least total variation with the given differences, without training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc._progress import watch
from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.base import JointUnfolding, is_packed
from invertdesc.errors import InputError
from invertdesc.methods.base import Method, Needs
from invertdesc.methods.poisson import Poisson
from invertdesc.unfolding.pattern import Pattern, inner_gradients
from invertdesc.unfolding.sample import image_gradients

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.batch import FeatureBatch
    from invertdesc.unfolding.frame import Frame

CELLS = 4  # cells of a patch per cell of the unfolding, so that edges can be inside a cell


class Tv(Method):
    """Invert known differences of the picture by TV-L1, patch by patch.

    A vector of numbers is read as linear measurements of its patch. With a `pattern`, of the
    descriptor or given, the measurements are differences of box means, whose signs would be the
    bits of a binary descriptor. Without a pattern they are the unfolded vector, read as differences
    between the halves of its cells. Bits are refused, since they are not good estimates of
    differences; use `biht` for bits.

    >>> print(Tv("sift").needs)
    an unfolding, vectors of numbers, not of bits

    Source: d'Angelo, Alahi, Vandergheynst, "Beyond bits: reconstructing images from local binary
    descriptors", ICPR 2012; Chambolle, Pock, "A first-order primal-dual algorithm for convex
    problems with applications to imaging", JMIV 2011. Measurements by the unfolding are an
    addition.
    """

    name: ClassVar[str] = "tv"
    needs: ClassVar[Needs] = Needs(abilities=("unfolding", "numbers"))

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        weight: float = 4.0,
        steps: int = 100,
        stride: int = 1,
        pattern: Pattern | None = None,
        grid: int = 16,
    ) -> None:
        """Create the method.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            weight: Weight of the differences relative to the total variation.
            steps: Number of primal-dual steps.
            stride: Pixels between samples of the field; 2 is coarser and about four times as fast.
            pattern: Pattern of the differences; None for the descriptor's own.
            grid: Number of cells per side of a patch if there is a pattern.

        Raises:
            InputError: A number is out of range, or the descriptor is binary.
        """
        super().__init__()
        check_range("weight", weight, above=0)
        check_range("steps", steps, 1)
        check_range("grid", grid, 2)
        self.descriptor = descriptor
        self.weight, self.steps, self.stride = weight, steps, stride
        self.pattern, self.grid = pattern, grid
        if descriptor is not None:
            adapter = resolve_descriptor(descriptor)
            self._check(adapter, binary=is_packed(adapter))

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), gray, in [0, 1].

        Raises:
            InputError: The vectors are bits.
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
        """
        adapter = resolve_descriptor(self.descriptor or batch.descriptor)
        self._check(adapter, binary=batch.descriptors.dtype == torch.uint8)
        unfolding, vectors = adapter.unfolding, adapter.encode(batch.descriptors)
        pattern = self.pattern or getattr(adapter, "pattern", None)
        if pattern is None:
            if isinstance(adapter, JointUnfolding):
                gradients = adapter.pieces(batch)
            else:
                gradients = unfolding(vectors)
            grid = gradients.shape[-1]
            pattern = halves(grid, unfolding.frame)
            patches = self._patches(batch, pattern, gradients.flatten(1), CELLS * grid)
            pieces = image_gradients(patches)
        else:
            patches = self._patches(batch, pattern, vectors, self.grid)
            pieces, frame = inner_gradients(patches, pattern.frame)
            # In gray values: a patch that is drawn twice as wide has half the gradient.
            unfolding = replace(unfolding, frame=frame, falloff=1.0)
        poisson = Poisson(adapter, stride=self.stride, unfolding=unfolding)
        return poisson.paint(batch, pieces)

    def _patches(
        self, batch: FeatureBatch, pattern: Pattern, measured: Tensor, grid: int
    ) -> Tensor:
        """Return (M, grid, grid); image by image, so that no image depends on others."""
        batch.require(pattern.frame.needs, needed_by=f"the method {self.name!r}")
        if measured.shape[1] != len(pattern.boxes):
            raise InputError(
                f"Expected {len(pattern.boxes)} differences a vector, got {measured.shape[1]}."
            )
        matrix = pattern.matrix(grid).to(measured)
        images = watch(batch.rows, self.name, leave=False)
        return torch.cat(
            [least_variation(matrix, measured[rows], self.weight, self.steps) for rows in images]
        )

    def _check(self, adapter: Descriptor, *, binary: bool) -> None:
        if binary:
            raise InputError(
                f"Expected vectors of numbers for the method {self.name!r}, which takes "
                f"differences and not their signs; got the bits of {adapter.name!r}. Choose "
                "method 'biht', 'poisson' or 'unfold'."
            )


def halves(grid: int, frame: Frame) -> Pattern:
    """Return the pattern of cells' gradients: right minus left half, lower minus upper half.

    Args:
        grid: Number G of cells per side.
        frame: Frame that the cells fill.

    Returns:
        A pattern of 2 * G * G comparisons of squares with half the width of a cell.
    """
    places = (torch.arange(grid) + 0.5) / grid - 0.5
    y, x = (part.flatten() for part in torch.meshgrid(places, places, indexing="ij"))
    boxes = torch.zeros(2, grid * grid, 2, 3)
    boxes[..., 0], boxes[..., 1], boxes[..., 2] = x[:, None], y[:, None], 0.5 / grid
    for axis in (0, 1):
        boxes[axis, :, 0, axis] += 0.25 / grid
        boxes[axis, :, 1, axis] -= 0.25 / grid
    return Pattern(boxes.flatten(0, 1), frame)


def least_variation(matrix: Tensor, measured: Tensor, weight: float, steps: int) -> Tensor:
    """Minimise ``weight * |matrix x - measured|_1 + TV(x)`` over patches x of mean 0.

    Rows of the matrix and their measurements are first scaled to norm 1. There is no bound on x, so
    measurements may have any unit.

    Args:
        matrix: (M, G * G), the linear map.
        measured: (N, M), the measurements.
        weight: Weight of the measurements.
        steps: Number of steps of Chambolle and Pock's algorithm 1, theta = 1.

    Returns:
        (N, G, G).
    """
    norms = matrix.norm(dim=1).clamp(min=1e-9)
    matrix, measured = matrix / norms[:, None], measured / norms
    unit = measured.abs().amax(1, keepdim=True).clamp(min=1e-9)  # makes the dual steps similar
    measured = measured / unit
    side = round(matrix.shape[1] ** 0.5)
    rate = float(1 / (8 + torch.linalg.matrix_norm(matrix, 2) ** 2) ** 0.5)
    x = measured.new_zeros(len(measured), side, side)
    ahead, slopes, misfit = x, torch.stack([x, x], 1), torch.zeros_like(measured)
    for _ in range(steps):
        slopes = slopes + rate * _forward(ahead)
        # `norm(dim=1)` over the two components took three quarters of the time on the CPU.
        slopes = slopes / torch.hypot(*slopes.unbind(1)).clamp(min=1)[:, None]
        predicted = ahead.flatten(1) @ matrix.T
        misfit = (misfit + rate * (predicted - measured)).clamp(-weight, weight)
        new = x + rate * (_divergence(slopes) - (misfit @ matrix).view_as(x))
        new = new - new.mean((1, 2), keepdim=True)
        ahead, x = 2 * new - x, new
    return x * unit[:, :, None]


def _forward(x: Tensor) -> Tensor:
    """Return (N, 2, G, G), differences to the next column and row, 0 at the end."""
    slopes = x.new_zeros(len(x), 2, *x.shape[1:])
    slopes[:, 0, :, :-1] = x.diff(dim=2)
    slopes[:, 1, :-1] = x.diff(dim=1)
    return slopes


def _divergence(slopes: Tensor) -> Tensor:
    """Return (N, G, G), minus the transpose of `_forward`."""
    right, down = slopes[:, 0, :, :-1], slopes[:, 1, :-1]
    x = slopes.new_zeros(len(slopes), *slopes.shape[2:])
    x[:, :, :-1] += right
    x[:, :, 1:] -= right
    x[:, :-1] += down
    x[:, 1:] -= down
    return x
