"""Features of a picture that is scaled to another size."""

from __future__ import annotations

from dataclasses import replace

from invertdesc.features.local import LocalFeatures


def resize_features(features: LocalFeatures, size: tuple[int, int]) -> LocalFeatures:
    """Move keypoints and scales to where they are once the picture is scaled.

    Descriptors stay: those whose window grows with its keypoint are those of the scaled picture,
    as far as an extractor does not depend on scale.

    Args:
        features: Of the picture as it is.
        size: (H, W) of the scaled picture.

    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> resize_features(extract(camera()), (64, 64)).image_size
    (64, 64)
    """
    height, width = size
    points = features.keypoints
    ratios = points.new_tensor([width / features.image_size[1], height / features.image_size[0]])
    moved = ((points + 0.5) * ratios - 0.5).clamp(min=-0.5)  # which rounding may leave
    factor = max(size) / max(features.image_size)
    return replace(
        features,
        keypoints=moved.minimum(points.new_tensor([width - 0.5, height - 0.5])),
        scales=None if features.scales is None else features.scales * factor,
        image_size=size,
    )
