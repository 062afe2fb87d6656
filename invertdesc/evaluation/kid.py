"""The distance between two sets of pictures in the features of a network, with its error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from invertdesc.errors import InputError


class KID(NamedTuple):
    """Kernel distance of two sets of pictures.

    Attributes:
        value: The squared distance; about 0 for sets of the same kind, sometimes below.
        error: Its standard error.
    """

    value: float
    error: float


def pooled(vgg: Callable[[Tensor], Tensor], pictures: Iterable[Tensor]) -> Tensor:
    """Return (N, C) float64: features of pictures (3, H, W), averaged over all places.

    Args:
        vgg: Network from pictures (B, 3, H, W) to features (B, C, h, w), such as `load_vgg16()`.
        pictures: Pictures in [0, 1].
    """
    with torch.no_grad():
        return torch.cat([vgg(one[None]).double().mean((2, 3)).cpu() for one in pictures])


def kid(made: Tensor, true: Tensor) -> KID:
    """Return the squared kernel distance (MMD) of the features of N pictures and N originals.

    Unlike the distance of each picture from its original, this says whether the pictures look like
    pictures of their kind, and not whether they are right. Terms of a picture with itself or with
    its own original are left out, so the mean is not biased.

    Args:
        made: (N, C) features of reconstructions, for example from `pooled`.
        true: (N, C) features of the originals, in the same order.

    Raises:
        InputError: Shapes differ, or there are fewer than three pictures.

    >>> draw = torch.Generator().manual_seed(0)
    >>> made, true = torch.randn(2, 200, 4, generator=draw)
    >>> kid(made, true).value < 3 * kid(made, true).error < kid(made + 1, true).value
    True

    Source: Binkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018, section 4,
    with the cubic kernel. The error is that of a U-statistic: Gretton et al., "A kernel two-sample
    test", JMLR 2012, lemma 6 and the theorem after it.
    """
    if made.shape != true.shape or made.ndim != 2 or len(made) < 3:
        raise InputError(
            "Expected features (N, C) of at least three pictures and as many originals, got "
            f"{tuple(made.shape)} and {tuple(true.shape)}."
        )
    a, b = made.double(), true.double()
    count = len(a)
    terms = _kernel(a, a) + _kernel(b, b) - _kernel(a, b) - _kernel(b, a)
    terms.fill_diagonal_(0)
    each = terms.sum(1) / (count - 1)  # mean over all others, for each picture
    return KID(float(each.mean()), float(2 * each.std() / count**0.5))


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3
