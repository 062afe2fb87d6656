"""Find patches whose comparisons agree with the bits, without training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._options import check_choice, check_range
from invertdesc._progress import watch
from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import InputError
from invertdesc.methods.base import Method, Needs
from invertdesc.methods.poisson import Poisson
from invertdesc.unfolding.pattern import Pattern, inner_gradients, pattern_of

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.batch import FeatureBatch


class Biht(Method):
    """Invert the comparisons of binary descriptors by binary iterative hard thresholding.

    Each keypoint's patch is a sum of few wavelets. The signs of its differences of box means must
    agree with the bits. Bits contain no brightness; the contrast is that of the unfolding.

    >>> from invertdesc import create_method
    >>> print(create_method("biht", keep=0.1).needs)
    an unfolding, bits that are known comparisons

    Source: d'Angelo, Jacques, Alahi, Vandergheynst, "From bits to images: inversion of local binary
    descriptors", PAMI 2014; the shrinking step, the weights of wavelets, measured patterns and the
    merge are additions.
    """

    name: ClassVar[str] = "biht"
    needs: ClassVar[Needs] = Needs(abilities=("unfolding", "pattern"))

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        keep: float = 0.1,
        steps: int = 60,
        grid: int = 16,
        stride: int = 1,
        pattern: Pattern | None = None,
    ) -> None:
        """Create the method.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            keep: Share of a patch's wavelets to keep, in (0, 1].
            steps: Number of thresholding steps.
            grid: Number of cells per side of a patch, a power of 2.
            stride: Pixels between samples of the field; 2 is coarser and about four times as fast.
            pattern: Pattern to use instead of the descriptor's own.

        Raises:
            InputError: A number is out of range, or the descriptor has no pattern.
        """
        super().__init__()
        check_range("keep", keep, above=0, most=1)
        check_range("steps", steps, 1)
        check_choice("grid", grid, (8, 16, 32, 64))
        self.descriptor = descriptor
        self.keep, self.steps, self.stride, self.pattern = keep, steps, stride, pattern
        self.grid = grid
        if descriptor is not None:
            self._pattern(resolve_descriptor(descriptor))

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), gray, in [0, 1].

        Raises:
            InputError: The descriptor has no pattern.
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
        """
        adapter = resolve_descriptor(self.descriptor or batch.descriptor)
        pattern = self._pattern(adapter)
        batch.require(pattern.frame.needs, needed_by=f"the pattern of {adapter.name!r}")
        bits = adapter.encode(batch.descriptors)
        # Image by image: rounding depends on the size of a matrix product, and affects which
        # wavelets are kept.
        images = watch(batch.rows, self.name, leave=False)
        patches = torch.cat([self.patches(pattern, bits[rows]) for rows in images])
        pieces, frame = inner_gradients(patches, pattern.frame)
        size = pieces.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-9)
        unfolding = replace(adapter.unfolding, frame=frame)
        poisson = Poisson(adapter, stride=self.stride, unfolding=unfolding)
        return poisson.paint(batch, pieces / size * unfolding.sizes(bits))

    def patches(self, pattern: Pattern, bits: Tensor) -> Tensor:
        """Find patches from their bits.

        Args:
            pattern: Comparisons of the bits.
            bits: (N, M), values -1 and 1.

        Returns:
            (N, grid, grid) in the pattern's frame, with mean 0 and arbitrary contrast.

        Raises:
            InputError: The pattern has another number of comparisons.
        """
        if bits.ndim != 2 or bits.shape[1] != len(pattern.boxes):
            raise InputError(
                f"Expected bits of shape (N, {len(pattern.boxes)}), got {tuple(bits.shape)}."
            )
        basis = weighted_haar(self.grid).to(bits)
        matrix = F.normalize(pattern.matrix(self.grid).to(bits), dim=1)
        keep = max(1, round(self.keep * len(basis)))
        found = hard_thresholding(F.normalize(matrix @ basis.T, dim=1), bits, keep, self.steps)
        return (found @ basis).view(-1, self.grid, self.grid)

    def _pattern(self, adapter: Descriptor) -> Pattern:
        return self.pattern or pattern_of(adapter, needed_by=self.name)


def hard_thresholding(matrix: Tensor, bits: Tensor, keep: int, steps: int) -> Tensor:
    """Find sparse vectors whose signs under a linear map are given.

    Each step has two matrix products for all vectors. It moves the vectors towards the wrong bits,
    and then sets all but the `keep` largest entries to 0. Steps shrink to 0.

    Args:
        matrix: (M, D), rows of norm 1.
        bits: (N, M), values -1 and 1.
        keep: Number of entries other than 0.
        steps: Number of steps.

    Returns:
        (N, D), each up to a factor.

    Source: Jacques, Laska, Boufounos, Baraniuk, "Robust 1-bit compressive sensing via binary stable
    embeddings of sparse vectors", IEEE Transactions on Information Theory 2013.
    """
    found = bits.new_zeros(len(bits), matrix.shape[1])
    for step in range(steps):
        wrong = (bits - torch.sign(found @ matrix.T)) * (1 - step / steps)
        found = found + wrong @ matrix
        least = found.abs().kthvalue(found.shape[1] - keep + 1, dim=1, keepdim=True).values
        found = torch.where(found.abs() >= least, found, 0)
    return found


def weighted_haar(size: int) -> Tensor:
    """Return (size^2, size^2), the Haar wavelets of size x size pictures, one per row.

    The norm of each is its usual amplitude in a photograph, up to one factor: its shorter side,
    since amplitudes fall with the frequency. Without this, fine wavelets that contradict no bit
    would be kept.
    """
    rows, spans = torch.ones(1, 1), torch.ones(1)
    while len(rows) < size:
        means, steps = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, -1.0]])
        fine = torch.kron(torch.eye(len(rows)), steps)
        spans = torch.cat([spans, torch.full((len(rows),), 1 / len(rows))])
        rows = torch.cat([torch.kron(rows, means), fine]) / 2**0.5
    weights = torch.minimum(spans[:, None], spans).flatten()
    return torch.kron(rows, rows) * weights[:, None]
