"""Measures of likeness between pictures, as pure functions.

Descriptors contain neither brightness nor contrast. Therefore read `ncc` and
`gradient_correlation`, which ignore both, together with `ssim` and `psnr`, which do not.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._optional import require
from invertdesc.errors import InputError

SSIM_WINDOW = 11


def ncc(picture: Tensor, truth: Tensor) -> Tensor:
    """Return normalised cross-correlation (Pearson's r), in [-1, 1]; 0 if a picture is flat.

    Args:
        picture: (..., H, W) float.
        truth: (..., H, W) float.

    >>> ramp = torch.arange(6.0).view(2, 3)
    >>> ncc(ramp, 3 - 2 * ramp)
    tensor(-1.)
    """
    _check_alike(picture, truth)
    # Subtract one pixel first: a flat picture is then exactly 0, without rounding errors of its
    # mean.
    a, b = (image - image[..., :1, :1] for image in (picture, truth))
    a, b = (image - image.mean((-2, -1), keepdim=True) for image in (a, b))
    return _cosine((a * b).sum((-2, -1)), a.square().sum((-2, -1)), b.square().sum((-2, -1)))


def gradient_correlation(picture: Tensor, truth: Tensor) -> Tensor:
    """Return the correlation of the two gradient fields (forward differences), in [-1, 1].

    Args:
        picture: (..., H, W) float.
        truth: (..., H, W) float.
    """
    _check_alike(picture, truth)
    products = []
    for axis in (-2, -1):
        a, b = picture.diff(dim=axis), truth.diff(dim=axis)
        products.append(torch.stack([(p * q).sum((-2, -1)) for p, q in ((a, b), (a, a), (b, b))]))
    return _cosine(*(products[0] + products[1]))


def psnr(picture: Tensor, truth: Tensor) -> Tensor:
    """Return the peak signal to noise ratio in dB, for a peak of 1.

    Args:
        picture: (..., C, H, W) float in [0, 1].
        truth: (..., C, H, W) float in [0, 1].
    """
    _check_alike(picture, truth)
    return -10 * (picture - truth).square().mean((-3, -2, -1)).log10()


def ssim(picture: Tensor, truth: Tensor) -> Tensor:
    """Return the structural similarity of two gray pictures, window 11 x 11, uniform.

    Args:
        picture: (H, W) float in [0, 1], at least 11 x 11.
        truth: (H, W) float in [0, 1].

    Source: Wang et al. 2004, as scikit-image computes it.
    """
    from skimage.metrics import structural_similarity

    _check_alike(picture, truth)
    a, b = (image.detach().cpu().double().numpy() for image in (picture, truth))
    return torch.tensor(float(structural_similarity(a, b, win_size=SSIM_WINDOW, data_range=1.0)))


def vgg_distance(
    vgg: Callable[[Tensor], Tensor], side: int = 32
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function: the distance of two pictures (3, H, W) in the features of a network.

    It is the squared difference of features divided by the squared features of the true picture,
    and 0 for equal pictures. Unlike `psnr`, it penalises a missing texture more than a wrong one.

    Args:
        vgg: Network, such as `load_vgg16()`.
        side: Size in pixels that smaller pictures are padded to, by repeating their borders.

    Source: the perceptual loss of Johnson, Alahi, Fei-Fei 2016, normalised.
    """

    def distance(picture: Tensor, truth: Tensor) -> Tensor:
        _check_alike(picture, truth)
        pair = torch.stack([picture, truth])
        below, right = (max(0, side - size) for size in pair.shape[-2:])
        made, true = vgg(F.pad(pair, (0, right, 0, below), mode="replicate")).double()
        apart: Tensor = (made - true).square().sum() / true.square().sum()
        return apart

    return distance


def lpips_distance(net: str = "alex") -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function: LPIPS of two pictures (3, H, W) in [0, 1].

    Raises:
        MissingDependencyError: The package `lpips` is not installed.

    Source: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
    CVPR 2018, by its authors' package.
    """
    lpips = require("lpips", None, needed_by="the metric LPIPS")
    measure = lpips.LPIPS(net=net, verbose=False).eval()

    def distance(picture: Tensor, truth: Tensor) -> Tensor:
        _check_alike(picture, truth)
        with torch.no_grad():
            value: Tensor = measure(picture[None], truth[None], normalize=True)
        return value.squeeze()

    return distance


def _cosine(ab: Tensor, aa: Tensor, bb: Tensor) -> Tensor:
    length = (aa * bb).sqrt()
    return torch.where(length > 0, ab / torch.where(length > 0, length, 1), 0)


def _check_alike(picture: Tensor, truth: Tensor) -> None:
    if picture.shape != truth.shape:
        raise InputError(
            f"Expected pictures of one shape, got {tuple(picture.shape)} and {tuple(truth.shape)}."
        )
