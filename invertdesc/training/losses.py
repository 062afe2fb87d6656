"""Losses, as pure functions.

Pictures are (B, 3, H, W) in [0, 1], features (B, C, h, w) after a layer of `VGG16`, logits
(B, 1, h, w) of `PatchGAN`. Squared error, perceptual, style and adversarial loss are those of
equations (4) to (8) of Wu et al. 2019.
"""

from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.image import GrayMode, to_gray


def l2(picture: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error.

    Source: Wu et al. 2019, section III-B, equation (4).
    """
    return F.mse_loss(picture, truth)


def l1(picture: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute error."""
    return F.l1_loss(picture, truth)


def correlation(picture: Tensor, truth: Tensor, block: int = 1) -> Tensor:
    """Return 1 - NCC of the gray pictures, the mean over pictures and both gray modes.

    Args:
        picture: (B, 3, H, W) in [0, 1].
        truth: (B, 3, H, W) in [0, 1].
        block: Side of the squares of pixels that are averaged first; large ones look at shading
            alone.

    >>> ramp = torch.linspace(0.2, 0.4, 8).expand(1, 3, 8, 8)
    >>> round(float(correlation(2 * ramp, ramp, block=2)), 3)
    0.0
    """
    values = []
    for mode in get_args(GrayMode):
        # Away from 0, where the slope of the power has no end.
        grays = [to_gray(x.clamp(min=1e-3), mode)[:, None] for x in (picture, truth)]
        a, b = (F.avg_pool2d(gray, block).flatten(1) for gray in grays)
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        values.append(F.cosine_similarity(a, b, eps=1e-3))
    return 1 - torch.stack(values).mean()


def perceptual(made: Tensor, true: Tensor) -> Tensor:
    """Return the mean squared difference of features.

    Source: Wu et al. 2019, section III-B, after Johnson, Alahi, Fei-Fei 2016, equation (2).
    """
    return F.mse_loss(made, true)


def style(made: Tensor, true: Tensor) -> Tensor:
    """Return the mean absolute difference of the features' Gram matrices.

    The matrices are sums over pixels, not means, to which the small weights of the paper belong.
    The loss therefore grows with the area of the pictures. The paper writes an L1 norm; the mean
    over the entries is this norm up to a constant.

    Source: Wu et al. 2019, section III-B, equation (6).
    """
    return F.l1_loss(gram(made), gram(true))


def gram(features: Tensor) -> Tensor:
    """Return (B, C, C), the products of channels summed over pixels.

    >>> gram(torch.ones(1, 2, 3, 4)).tolist()
    [[[12.0, 12.0], [12.0, 12.0]]]
    """
    rows = features.flatten(2).float()
    return rows @ rows.transpose(1, 2)


def adversarial(fake: Tensor) -> Tensor:
    """Return the loss of G, which is small if D classifies pictures of G as real.

    Source: Wu et al. 2019, section III-C, in the non-saturating form (Goodfellow et al. 2014,
    section 3).
    """
    return F.softplus(-fake).mean()


def discrimination(real: Tensor, fake: Tensor) -> Tensor:
    """Return the loss of D, which is small if D distinguishes real pictures from those of G.

    Source: Wu et al. 2019, section III-C; halved as in Isola et al. 2017, section 3.3.
    """
    return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2


def ssim_loss(picture: Tensor, truth: Tensor, window: int = 8, stride: int = 4) -> Tensor:
    """Return 1 - SSIM of the gray pictures, over square windows at a distance.

    This takes much less time than the usual 11 x 11 Gaussian at every pixel.

    Args:
        picture: (B, 3, H, W) in [0, 1].
        truth: (B, 3, H, W) in [0, 1].
        window: Side of a window in pixels.
        stride: Distance between windows in pixels.

    Source: Wang et al. 2004, equation (13).
    """
    a, b = picture.mean(1, keepdim=True), truth.mean(1, keepdim=True)
    means = F.avg_pool2d(torch.cat([a, b, a * a, b * b, a * b], 1), window, stride)
    ma, mb, aa, bb, ab = means.unbind(1)
    va, vb, cov = aa - ma * ma, bb - mb * mb, ab - ma * mb
    luminance = (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
    return 1 - (luminance * (2 * cov + 9e-4) / (va + vb + 9e-4)).mean()
