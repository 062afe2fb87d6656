"""Compute gradients with signs from blocks of unsigned orientation histograms.

A histogram over half a turn does not contain the sign of a gradient, and a regression from one
block cannot find it: its expected gradient is about 0. The neighbourhood determines the sign: signs
agree along an edge, they change across a line, and shapes are closed. Therefore the blocks are
first converted to a common unit. Then a small network reads the whole grid. It was trained to give
gradients with a good Poisson picture.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc._files import open_tensors
from invertdesc.ops import solve_poisson

BINS = 9  # number of bins of the histograms that the network takes
TINY = 1e-6


def read_cells(blocks: Tensor, known: Tensor, *, lean: float, drift: float) -> Tensor:
    """Undo the normalisation of overlapping blocks.

    A cell that belongs to two neighbouring blocks gives the ratio of their norms. The logarithms of
    all ratios form a gradient field, whose Poisson solution is the logarithm of the norms. Entries
    equal to the largest value of their block may be clipped (L2-Hys). They are used only if there
    are no others.

    Args:
        blocks: (B, by, bx, c, c, bins) float, at least 0.
        known: (B, by, bx), 1 where there is a block and 0 elsewhere.
        lean: Value to subtract from the logarithm of a ratio, since a library may give more weight
            to the right and lower cells of a block.
        drift: Pull of the logarithms towards 0, since errors of ratios add up; 0 for exact ratios.

    Returns:
        (B, by + c - 1, bx + c - 1, bins), up to one factor per image.

    >>> cells = torch.tensor([1.0, 2.0, 8.0]).expand(2, 3)
    >>> blocks = torch.stack([cells[:, :2], cells[:, 1:]])  # the picture's two, 2 x 2 cells each
    >>> blocks = blocks / blocks.square().sum((1, 2), keepdim=True).sqrt()
    >>> found = read_cells(blocks[None, None, ..., None], torch.ones(1, 1, 2), lean=0, drift=0)
    >>> found = found[0, 0, :, 0]
    >>> (found / found[0]).round(decimals=3)
    tensor([1., 2., 8.])
    """
    batch, rows, columns, cells, _, bins = blocks.shape
    clipped = blocks >= 0.999 * blocks.amax((-3, -2, -1), keepdim=True)
    norms = torch.zeros_like(known)
    if cells > 1:
        right = _log_ratio(
            (blocks[:, :, :-1, :, 1:], blocks[:, :, 1:, :, :-1]),
            clipped[:, :, :-1, :, 1:] | clipped[:, :, 1:, :, :-1],
            known[:, :, :-1] * known[:, :, 1:],
        )
        below = _log_ratio(
            (blocks[:, :-1, :, 1:], blocks[:, 1:, :, :-1]),
            clipped[:, :-1, :, 1:] | clipped[:, 1:, :, :-1],
            known[:, :-1] * known[:, 1:],
        )
        ratios = torch.stack([F.pad(right - lean, (0, 1)), F.pad(below - lean, (0, 0, 0, 1))], 1)
        norms = solve_poisson(ratios, screening=drift)
    weight = torch.where(clipped, 1e-3, 1.0) * known[..., None, None, None]
    sums = blocks.new_zeros(2, batch, rows + cells - 1, columns + cells - 1, bins)
    whole = torch.stack([weight * blocks * norms.exp()[..., None, None, None], weight])
    for i in range(cells):
        for j in range(cells):
            sums[:, :, i : i + rows, j : j + columns] += whole[..., i, j, :]
    return sums[0] / sums[1].clamp(min=TINY)


def _log_ratio(shared: tuple[Tensor, Tensor], clipped: Tensor, both: Tensor) -> Tensor:
    """Return the logarithm of the ratio of two blocks' sums over their common cells."""
    sums = [(part * ~clipped).sum((-3, -2, -1)) for part in shared]
    enough = (sums[0] > 1e-3) & (sums[1] > 1e-3)
    chosen = (
        torch.where(enough, one, part.sum((-3, -2, -1)))
        for one, part in zip(sums, shared, strict=True)
    )
    first, second = (part + TINY for part in chosen)
    ratio: Tensor = (first / second).log() * both
    return ratio


class SignNet(nn.Module):
    """A small U-Net from the cells of a picture to the gradients of the quarters of each cell.

    Fully convolutional, over a grid of any size; its finest level is 2 x 2 cells.

    Source: Ronneberger et al. 2015 for the form.
    """

    def __init__(self, widths: tuple[int, ...] = (48, 64, 96)) -> None:
        super().__init__()
        steps = list(pairwise(widths))[::-1]
        inner = pairwise((4 * (BINS + 1), *widths))
        self.down = nn.ModuleList(_block(above, here) for above, here in inner)
        self.lift = nn.ModuleList(nn.Conv2d(below, here, 1) for here, below in steps)
        self.up = nn.ModuleList(_block(here, here) for here, _ in steps)
        self.out = nn.Conv2d(widths[0], 32, 1)

    def forward(self, cells: Tensor) -> Tensor:
        """Return (B, 2, 2 ny, 2 nx) gradients for cells (B, ny, nx, 9), up to a factor."""
        x, size = self._inputs(cells.permute(0, 3, 1, 2))
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % 8, 0, -height % 8), mode="replicate")
        x, kept = F.pixel_unshuffle(x, 2), []
        for level, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for lift, block in zip(self.lift, self.up, strict=True):
            x = block(F.interpolate(lift(x), scale_factor=2.0) + kept.pop())
        quarters = F.pixel_shuffle(self.out(x), 4)[..., : 2 * height, : 2 * width]
        return quarters * F.interpolate(size, scale_factor=2.0)

    def _inputs(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, 10, ny, nx) without the picture's contrast, and the local amplitude."""
        amount = cells.sum(1, keepdim=True)
        share = cells / amount.clamp(min=1e-9)
        amount = amount / amount.mean((2, 3), keepdim=True).clamp(min=1e-9)
        size = F.avg_pool2d(amount, 3, 1, 1, count_include_pad=False) + 0.02
        return torch.cat([(share * amount / size).sqrt(), size.log()], 1), size


def unsigned_gradients(cells: Tensor, network: SignNet) -> Tensor:
    """Return (B, 2, 2 ny, 2 nx) gradients of the quarters of cells; see `read_cells`.

    This is the mean over the picture and its mirror image, which raises NCC from 0.814 to 0.827 on
    60 training faces.
    """
    cells = cells @ _rebin(cells.shape[-1]).to(cells)
    with torch.no_grad():
        field: Tensor = network(cells)
        mirrored: Tensor = network(cells.flip(2, 3)).flip(3)
    return (field + mirrored * mirrored.new_tensor([-1.0, 1.0]).view(2, 1, 1)) / 2


def signed_gradients(cells: Tensor, first: float = 0.5) -> Tensor:
    """Return the same for bins over the full turn, where each bin gives its direction.

    The direction of the first bin is `first` bins from the picture's right.
    """
    bins = cells.shape[-1]
    angles = (torch.arange(bins, device=cells.device) + first) * (2 * math.pi / bins)
    field = (cells @ torch.stack([angles.cos(), angles.sin()], 1)).permute(0, 3, 1, 2)
    scale = field.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-9)
    return F.interpolate(field / scale, scale_factor=2.0)


@lru_cache(maxsize=4)
def shipped_signs(device: torch.device) -> SignNet:
    """Load the network of the package.

    Raises:
        FileError: Its file is missing or broken.
    """
    from invertdesc.weights import FOLDER

    network = SignNet()
    path = FOLDER / "signs-hog.safetensors"
    with open_tensors(path, what="the shipped weights") as (_, tensors):
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
    return network.requires_grad_(False).to(device)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.SiLU(),
    )


def _rebin(bins: int) -> Tensor:
    """Return (bins, 9): the share of each bin in each of nine bins, both over half a turn."""
    edges, nine = torch.arange(bins + 1) / bins, torch.arange(BINS + 1) / BINS
    low = torch.maximum(edges[:-1, None], nine[:-1])
    high = torch.minimum(edges[1:, None], nine[1:])
    return (high - low).clamp(min=0) * bins
