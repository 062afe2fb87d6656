"""How near a picture of a map comes to the image from the same place."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.evaluation.metrics import SSIM_WINDOW, ncc, psnr, ssim
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_gray

NEAR = 12.0  # pixels from a keypoint up to which a pixel counts as seen


def measure(picture: Tensor, features: LocalFeatures, image: Tensor | None) -> dict[str, float]:
    """Return measures by name; without an image, the share of pixels near a keypoint alone.

    Args:
        picture: (3, H, W), made from the features.
        features: Those of the view.
        image: (3, H, W), what there is to see; None if unknown.
    """
    near = near_keypoints(features)
    found = {"coverage": float(near.double().mean())}
    if image is not None:
        one, other = to_gray(picture, "luma"), to_gray(image, "luma")
        found |= {"ncc": float(ncc(one, other)), "psnr": float(psnr(picture, image))}
        if min(one.shape) >= SSIM_WINDOW:
            found["ssim"] = float(ssim(one, other))
        found["ncc_near"] = float(ncc(one[near][None], other[near][None]))
        found["psnr_near"] = float(psnr(picture[:, near][:, None], image[:, near][:, None]))
    return {name: round(value, 4) for name, value in found.items()}


def near_keypoints(features: LocalFeatures) -> Tensor:
    """Return (H, W) bool: the pixels within `NEAR` of a keypoint."""
    from scipy.ndimage import distance_transform_edt

    height, width = features.image_size
    x, y = features.keypoints.cpu().round().long().unbind(1)
    empty = np.ones((height, width), bool)
    empty[y.clamp(0, height - 1).numpy(), x.clamp(0, width - 1).numpy()] = False
    return torch.from_numpy(distance_transform_edt(empty) <= NEAR)


def resized_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return an image (3, H, W) at another size, smoothed where that is smaller."""
    if image.shape[1:] == size:
        return image
    found = F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=True)
    return found[0].clamp(0, 1)
