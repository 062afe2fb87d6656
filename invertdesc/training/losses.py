"""Losses, each a pure function of a picture and the truth, both (B, 3, H, W) in [0, 1]."""

import torch
from torch import Tensor
from torch.nn import functional as F


def l2(picture: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error.

    Source: Wu, Zhou, Li 2019, equation (5), as a mean over pixels.
    """
    return F.mse_loss(picture, truth)


def l1(picture: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute error."""
    return F.l1_loss(picture, truth)


def ssim_loss(picture: Tensor, truth: Tensor, window: int = 8, stride: int = 4) -> Tensor:
    """Return 1 - SSIM of the gray pictures, over square windows some pixels apart.

    Windows that overlap by half cost a small part of the usual 11 x 11 Gaussian at every pixel.

    Args:
        picture: (B, 3, H, W) in [0, 1].
        truth: (B, 3, H, W) in [0, 1].
        window: Side of a window in pixels.
        stride: From one window to the next.

    Source: Wang et al. 2004, equation (13).
    """
    a, b = picture.mean(1, keepdim=True), truth.mean(1, keepdim=True)
    means = F.avg_pool2d(torch.cat([a, b, a * a, b * b, a * b], 1), window, stride)
    ma, mb, aa, bb, ab = means.unbind(1)
    va, vb, cov = aa - ma * ma, bb - mb * mb, ab - ma * mb
    luminance = (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
    return 1 - (luminance * (2 * cov + 9e-4) / (va + vb + 9e-4)).mean()
