"""Compare features that were read with those that were written."""

import torch
from torch.nn import functional as F

from invertdesc import LocalFeatures, create_descriptor


def assert_alike(
    read: LocalFeatures, given: LocalFeatures, pixels: float = 0.01, turned: bool = True
) -> None:
    assert (read.keypoints - given.keypoints).abs().max() < pixels
    assert read.scales is not None
    assert given.scales is not None
    assert (read.scales - given.scales).abs().max() < 0.01
    assert (read.orientations is not None) == turned
    assert given.orientations is not None
    if read.orientations is not None:
        turn = read.orientations - given.orientations
        assert torch.atan2(turn.sin(), turn.cos()).abs().max() < 0.01
    one, other = (create_descriptor(f.descriptor).encode(f.descriptors) for f in (read, given))
    assert F.cosine_similarity(one, other).min() > 0.995
