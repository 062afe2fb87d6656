"""Convert features to another size of their picture."""

from __future__ import annotations

from dataclasses import replace

from invertdesc.features.local import LocalFeatures


def resize_features(features: LocalFeatures, size: tuple[int, int]) -> LocalFeatures:
    """Convert keypoints and scales to a scaled picture.

    Descriptors are not changed. If their window grows with the keypoint, they are also those of the
    scaled picture, as far as the extractor does not depend on scale.

    Args:
        features: Features of the original picture.
        size: (H, W) of the scaled picture.

    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> resize_features(extract(camera()), (64, 64)).image_size
    (64, 64)
    """
    height, width = size
    points = features.keypoints
    ratios = points.new_tensor([width / features.image_size[1], height / features.image_size[0]])
    moved = ((points + 0.5) * ratios - 0.5).clamp(min=-0.5)  # rounding may move them out
    factor = max(size) / max(features.image_size)
    return replace(
        features,
        keypoints=moved.minimum(points.new_tensor([width - 0.5, height - 0.5])),
        scales=None if features.scales is None else features.scales * factor,
        image_size=size,
    )
