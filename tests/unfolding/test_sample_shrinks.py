"""Sampling of a picture that is shrunk before it is blurred."""

import torch
from skimage.data import astronaut

from invertdesc import extract
from invertdesc.image import to_gray, to_image
from invertdesc.unfolding.fit import gradients_around


def test_gradients_of_a_shrunk_picture_are_those_of_the_whole_within_a_tenth() -> None:
    features = extract(astronaut()[:301, :403])
    gray = to_gray(to_image(astronaut()[:301, :403]), "gamma")
    assert features.scales is not None
    sides, turns = 12 * features.scales, features.orientations
    whole, shrunk = (
        gradients_around(gray, features.keypoints, sides, turns, 8, shrinks=shrinks)
        for shrinks in (False, True)
    )
    wide = sides / 20 > 4
    assert wide.sum() > 10
    size, other = (part[wide].square().mean((1, 2, 3)).sqrt() for part in (whole, shrunk))
    torch.testing.assert_close(other, size, rtol=0.1, atol=0)
    both = torch.stack([whole[wide].flatten(), shrunk[wide].flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.99
    fine = sides / 20 < 3  # not shrunk
    assert (shrunk[fine] - whole[fine]).abs().mean() < 2e-4  # they differ at the border
