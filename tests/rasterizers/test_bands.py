import pytest
import torch

from invertdesc.ops import filter_waves as module
from invertdesc.rasterizers.bands import FREQUENCIES, amplify, band_weights


def test_shares_sum_to_one() -> None:
    shares = band_weights(torch.linspace(0, 0.7, 50))
    torch.testing.assert_close(shares.sum(0), torch.ones(50))
    middle = band_weights(torch.tensor(FREQUENCIES))
    torch.testing.assert_close(middle, torch.eye(len(FREQUENCIES)))


def test_gains_of_one_change_nothing() -> None:
    maps = torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    same = amplify(maps, torch.ones(7), torch.ones(2), 1)
    torch.testing.assert_close(same, maps, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("scale", "stride", "band"), [(1.0, 1, 4), (2.0, 1, 5), (1.0, 2, 3)])
def test_a_wave_gets_the_gain_of_its_band(scale: float, stride: int, band: int) -> None:
    """A wave of 1 / 16 cycles a sample; scales shift bands up, and strides down."""
    steps = torch.arange(64) + 0.5
    wave = torch.cos(steps * (2 * torch.pi / 16)).expand(1, 1, 64, 64)
    gains = torch.arange(7.0) + 1
    found = amplify(wave, gains, torch.tensor([scale]), stride)
    torch.testing.assert_close(found, wave * gains[band], atol=1e-4, rtol=0)


def test_long_sides_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.rand(2, 33, 48, generator=torch.Generator().manual_seed(0))

    def factors(frequencies: torch.Tensor) -> torch.Tensor:
        return 1 / (1 + 9 * frequencies)

    short = module.filter_waves(maps, factors)
    monkeypatch.setattr(module, "is_long", lambda _: True)
    torch.testing.assert_close(module.filter_waves(maps, factors), short, atol=1e-5, rtol=0)
    assert not torch.allclose(short, maps, atol=1e-3)
