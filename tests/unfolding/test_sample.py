import math

import pytest
import torch

from invertdesc.unfolding.sample import image_gradients, places_around, sample_frames, sample_places

MIDDLES = torch.tensor([[30.0, 20.0], [22.5, 15.25]])
SIDES = torch.tensor([16.0, 6.0])
TURNS = torch.tensor([math.pi / 2, 0.7])


def ramps() -> torch.Tensor:
    """(2, 40, 60), the x and the y of each pixel."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    return torch.stack([x, y])


@pytest.mark.parametrize("align_corners", [True, False])
def test_ramps_tell_the_places(align_corners: bool) -> None:
    x, y = places_around(MIDDLES, SIDES, TURNS, 4)
    found = sample_places(ramps(), x, y, align_corners=align_corners)
    torch.testing.assert_close(found, torch.stack([x, y]), rtol=0, atol=1e-4)


def test_places_are_in_pixels_of_the_image_whatever_the_size_of_the_maps() -> None:
    halved = ramps().view(2, 20, 2, 30, 2).mean((2, 4))
    x, y = places_around(MIDDLES, SIDES, TURNS, 4)
    found = sample_places(halved, x, y, image_size=(40, 60))
    torch.testing.assert_close(found, torch.stack([x, y]), rtol=0, atol=1e-4)


def test_the_border_is_repeated() -> None:
    x, y = torch.tensor([[-9.0, 70.0]]), torch.tensor([[-9.0, 70.0]])
    assert sample_places(ramps(), x, y).flatten(1).tolist() == [[0.0, 59.0], [0.0, 39.0]]


@pytest.mark.parametrize("least_blur", [None, 0.5, 0.8])
def test_frames_are_sampled_at_their_places(least_blur: float | None) -> None:
    where = MIDDLES, SIDES, TURNS, 4
    for ramp, places in zip(ramps(), places_around(*where), strict=True):
        found = sample_frames(ramp, *where, least_blur=least_blur)
        torch.testing.assert_close(found, places[:, None], rtol=0, atol=1e-4)


def test_gradients_are_those_of_the_picture_not_of_the_frame() -> None:
    across, _ = ramps()
    found = sample_frames(across, MIDDLES, SIDES, TURNS, 4, least_blur=0.8, gradients=True)
    torch.testing.assert_close(found[:, 0], torch.ones(2, 4, 4), rtol=0, atol=1e-4)
    torch.testing.assert_close(found[:, 1], torch.zeros(2, 4, 4), rtol=0, atol=1e-4)


def test_the_least_blur_holds_for_small_frames() -> None:
    """A wave loses exp(-sigma^2 frequency^2 / 2)."""
    wave = torch.cos(1.5 * (ramps()[0] - 30))
    middle, side, turn = torch.tensor([[30.0, 20.0]]), torch.ones(1), torch.zeros(1)
    plain = sample_frames(wave, middle, side, turn, 1)
    assert float(plain) == pytest.approx(1)
    for least in (0.5, 1.0, 2.0):
        blurred = sample_frames(wave, middle, side, turn, 1, least_blur=least)
        assert float(blurred) == pytest.approx(
            math.exp(-((1.5 * least) ** 2) / 2), abs=0.05
        )  # short kernels


def test_no_keypoints_have_no_samples() -> None:
    none = torch.zeros(0)
    for least_blur in (None, 0.5):
        found = sample_frames(ramps()[0], none.view(0, 2), none, none, 3, least_blur=least_blur)
        assert found.shape == (0, 1, 3, 3)


def test_gradients_of_any_batch() -> None:
    found = image_gradients(ramps().expand(3, 2, 40, 60))
    assert found.shape == (3, 2, 2, 40, 60)
    assert torch.equal(found[1, 0], torch.stack([torch.ones(40, 60), torch.zeros(40, 60)]))
