import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from invertdesc.errors import InputError, MissingDependencyError
from invertdesc.evaluation.metrics import (
    gradient_correlation,
    lpips_distance,
    ncc,
    psnr,
    ssim,
    vgg_distance,
)

MEASURES = [gradient_correlation, ncc, psnr, ssim]


@pytest.fixture
def pair(astronaut) -> tuple[Tensor, Tensor]:
    """Two gray pictures (70, 50), alike but not the same."""
    truth = astronaut.mean(0)[20:90, 100:150]
    noise = torch.rand(truth.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    return (0.7 * truth + 0.2 + 0.2 * noise).clamp(0, 1), truth


def test_ncc_is_pearsons_r(pair):
    expected = np.corrcoef(pair[0].flatten().double(), pair[1].flatten().double())[0, 1]
    assert ncc(*pair).item() == pytest.approx(expected, abs=1e-5)
    assert 0.5 < expected < 0.99


def test_ncc_ignores_brightness_and_contrast(pair):
    picture, truth = pair
    assert ncc(0.3 * picture + 0.5, truth).item() == pytest.approx(ncc(*pair).item(), abs=1e-5)
    assert ncc(-picture, truth).item() == pytest.approx(-ncc(*pair).item(), abs=1e-5)
    assert ncc(truth, truth).item() == pytest.approx(1, abs=1e-5)


def test_gradient_correlation_is_that_of_all_forward_differences(pair):
    a, b = (
        np.concatenate([np.diff(p.double().numpy(), axis=k).ravel() for k in (0, 1)]) for p in pair
    )
    expected = (a @ b) / math.sqrt((a @ a) * (b @ b))
    assert gradient_correlation(*pair).item() == pytest.approx(expected, abs=1e-5)
    assert 0.1 < expected < 0.99


def test_psnr_agrees_with_scikit_image(pair):
    a, b = (picture.expand(3, -1, -1) for picture in pair)
    expected = peak_signal_noise_ratio(b.double().numpy(), a.double().numpy(), data_range=1.0)
    assert psnr(a, b).item() == pytest.approx(expected, abs=1e-4)
    assert psnr(a, a).item() == math.inf
    zeros = torch.zeros(3, 4, 5)
    assert psnr(zeros, zeros + 0.1).item() == pytest.approx(20, abs=1e-4)


def test_ssim_agrees_with_scikit_image(pair):
    a, b = (picture.double().numpy() for picture in pair)
    expected = structural_similarity(a, b, win_size=11, data_range=1.0)
    assert ssim(*pair).item() == pytest.approx(expected, abs=1e-6)
    assert ssim(pair[1], pair[1]).item() == pytest.approx(1)


@pytest.mark.parametrize("measure", [ncc, gradient_correlation, psnr])
def test_leading_axes_are_a_batch(pair, measure):
    a, b = (picture.expand(3, -1, -1) for picture in pair)
    batch = measure(torch.stack([a, b, b]), torch.stack([b, a, b]))
    singles = torch.stack([measure(a, b), measure(b, a), measure(b, b)])
    torch.testing.assert_close(batch, singles, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("measure", [ncc, gradient_correlation])
@pytest.mark.parametrize("level", [0.0, 0.3, 0.45, 1.0])
@pytest.mark.parametrize("side", [16, 100])
def test_a_flat_picture_correlates_with_nothing(measure, level, side):
    flat, zeros = torch.full((side, side), level), torch.zeros(side, side)
    noise = torch.rand(side, side, generator=torch.Generator().manual_seed(0))
    for a, b in ((flat, noise), (noise, flat), (flat, zeros), (zeros, flat)):
        assert measure(a, b).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("side", [16, 100, 256])
def test_two_flat_pictures_do_not_correlate(side):
    assert ncc(torch.full((side, side), 0.45), torch.full((side, side), 0.3)).item() == 0
    assert ncc(torch.full((side, side), 0.45), torch.full((side, side), 0.7)).item() == 0


def test_flat_pictures_have_likeness():
    assert ssim(torch.full((11, 11), 0.5), torch.full((11, 11), 0.5)).item() == 1
    assert psnr(torch.full((1, 2, 2), 0.5), torch.full((1, 2, 2), 1.0)).item() == pytest.approx(
        6.0206, abs=1e-3
    )


@pytest.mark.parametrize("measure", MEASURES)
def test_pictures_of_two_shapes_are_refused(measure):
    with pytest.raises(InputError, match="Expected pictures of one shape"):
        measure(torch.zeros(3, 20, 20), torch.zeros(3, 20, 21))


def test_vgg_distance_is_that_of_features_and_takes_small_pictures() -> None:
    picture, truth = torch.rand(3, 12, 9), torch.rand(3, 12, 9)
    distance = vgg_distance(lambda x: x[:, :, :12, :9])
    expected = (picture - truth).square().sum() / truth.square().sum()
    assert float(distance(picture, truth)) == pytest.approx(float(expected), rel=1e-5)
    assert float(distance(truth, truth)) == 0


def test_lpips_is_asked_in_its_own_range(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake(torch.nn.Module):
        def __init__(self, net: str, verbose: bool) -> None:
            super().__init__()

        def forward(self, a: torch.Tensor, b: torch.Tensor, normalize: bool) -> torch.Tensor:
            assert normalize, "pictures are in [0, 1], not [-1, 1]"
            assert a.shape == b.shape == (1, 3, 8, 8)
            return (a - b).abs().mean((1, 2, 3), keepdim=True)

    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Fake))
    picture, truth = torch.rand(2, 3, 8, 8)
    assert float(lpips_distance()(picture, truth)) == pytest.approx(
        float((picture - truth).abs().mean())
    )
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(MissingDependencyError, match="pip install lpips"):
        lpips_distance()
