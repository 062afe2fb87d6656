"""Images of an audit, with their features."""

import pytest
import torch

from invertdesc import LocalFeatures, create_descriptor
from invertdesc.auditing.subjects import Subject, shrink_subject, with_original
from invertdesc.descriptors import Descriptor
from invertdesc.errors import InputError


def test_shrinking_moves_keypoints_with_the_picture(sift: Descriptor) -> None:
    features = LocalFeatures(
        keypoints=torch.tensor([[-0.5, -0.5], [199.5, 99.5], [99.5, 49.5]]),
        descriptors=torch.zeros(3, 128),
        image_size=(100, 200),
        descriptor="sift",
        scales=torch.full((3,), 4.0),
        orientations=torch.zeros(3),
    )
    small = shrink_subject(Subject("a", features, torch.rand(3, 100, 200)), 50, sift)
    assert small.features.image_size == (25, 50)
    assert small.image is not None
    assert small.image.shape == (3, 25, 50)
    assert small.features.keypoints.tolist() == [[-0.5, -0.5], [49.5, 24.5], [24.5, 12.0]]
    assert small.features.scales is not None
    assert small.features.scales.tolist() == [1.0, 1.0, 1.0]
    assert shrink_subject(small, 50, sift) is small
    fixed = create_descriptor("brief")
    assert shrink_subject(Subject("a", features), 50, fixed).features is features


def test_originals_have_to_fit(stored: LocalFeatures) -> None:
    height, width = stored.image_size
    joined = with_original("a", stored, torch.rand(3, height + 3, width + 5))
    assert joined.features.image_size == (height + 3, width + 5)
    for size in ((height - 1, width), (2 * height, 2 * width)):
        with pytest.raises(InputError, match="Expected an original"):
            with_original("a", stored, torch.rand(3, *size))
