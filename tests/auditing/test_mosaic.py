"""Pieces of pictures beside each other."""

import torch

from invertdesc import LocalFeatures
from invertdesc.auditing.mosaic import MOST, PATCH, cut_out, lay_out, show, true_patches
from invertdesc.descriptors import Descriptor
from invertdesc.unfolding.frame import Frame


def test_patches_are_cut_as_the_frame_lies() -> None:
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(80.0), indexing="ij")
    turned = torch.tensor([0.0, torch.pi / 2])
    features = LocalFeatures(
        keypoints=torch.tensor([[40.0, 30.0], [40.0, 30.0]]),
        descriptors=torch.zeros(2, 128),
        image_size=(60, 80),
        descriptor="sift",
        scales=torch.tensor([2.0, 1.0]),  # squares of 24 and 12 pixels
        orientations=turned,
    )
    upright, right = true_patches(x + 0 * y, features, Frame(support=12.0))
    assert upright.shape == (PATCH, PATCH)
    middles = torch.arange(PATCH) - (PATCH - 1) / 2
    torch.testing.assert_close(upright, (40 + middles).expand(PATCH, -1), atol=1e-3, rtol=0)
    # A quarter turn, clockwise: the frame's down is the picture's left.
    wanted = (40 - middles / 2)[:, None].expand(-1, PATCH)
    torch.testing.assert_close(right, wanted, atol=1e-3, rtol=0)


def test_a_mosaic_is_cut_apart_where_it_was_laid_out(
    stored: LocalFeatures, sift: Descriptor
) -> None:
    laid = lay_out(stored, sift)
    assert len(laid) == min(len(stored), MOST)
    picture = torch.zeros(laid.image_size)
    x, y = laid.keypoints.round().long().unbind(1)
    picture[y, x] = torch.arange(1.0, len(laid) + 1)
    patches = cut_out(picture, sift.frame, len(laid))
    assert patches.flatten(1).sum(1).tolist() == list(range(1, len(laid) + 1))
    shown = show(patches)
    assert shown.shape[0] == 3
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
