"""Decoders and trust, fitted to vectors that a linear map cannot read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from invertdesc import LocalFeatures
from invertdesc.errors import InputError
from invertdesc.image import to_gray
from invertdesc.training.decoders import DecoderConfig, collect_samples, fit_decoders
from invertdesc.training.supports import HELD, fit_supports
from invertdesc.unfolding.fit import gradients_around
from invertdesc.unfolding.frame import Frame

SMALL = DecoderConfig(width=32, epochs=30, batch=128, rate=5e-3)


@dataclass(frozen=True)
class Folded:
    """Vectors of the gradients of the four middle cells times a sign, and this sign."""

    frame: ClassVar[Frame] = Frame(support=16.0, scaled=False, rotated=False)
    name: ClassVar[str] = "folded"
    dim: ClassVar[int] = 9

    def extract(self, image: Tensor) -> LocalFeatures:
        draw = torch.Generator().manual_seed(0)
        points = torch.rand(60, 2, generator=draw) * 40 + 12
        sides, turns = torch.full((60,), 16.0), torch.zeros(60)
        gray = to_gray(image, "luma")
        around = gradients_around(gray, points, sides, turns, 8)[:, :, 3:5, 3:5].flatten(1)
        sign = (50 * points[:, :1]).sin().sign()
        vectors = torch.cat([sign * around / around.norm(dim=1, keepdim=True), sign], 1)
        return LocalFeatures(
            keypoints=points,
            descriptors=vectors,
            image_size=(64, 64),
            descriptor=self.name,
        )

    def encode(self, raw: Tensor) -> Tensor:
        return raw


class Noise(Sequence[Any]):
    """Pictures that are made when they are asked for."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(self.count))]
        if place >= self.count:
            raise IndexError(place)
        rough = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(place))
        image = torch.nn.functional.interpolate(rough, size=(64, 64), mode="bicubic")[0].clamp(0, 1)
        return image, Folded().extract(image)


@pytest.fixture(scope="module")
def fitted() -> Any:
    pictures = Noise(2 * HELD)
    return tuple(
        fit_supports(Folded(), pictures, [32.0], decoder=config)  # type: ignore[arg-type]
        for config in (None, SMALL)
    )


def correlation(unfolding: Any) -> float:
    samples = collect_samples(Folded(), [Noise(99)[98]], [Folded.frame])  # type: ignore[arg-type]
    made, truth = unfolding.directions(samples.vectors).flatten(1), samples.gradients[0].float()
    return float((made * truth).sum() / (made.norm() * truth.norm()))


def test_a_decoder_reads_what_a_linear_map_cannot(fitted: Any) -> None:
    linear, decoded = fitted
    assert linear.decoder is None
    assert decoded.others[0].decoder is not None
    assert torch.equal(linear.matrix, decoded.matrix)
    assert correlation(linear) < 0.2
    assert correlation(decoded) > correlation(linear) + 0.2


def test_cells_that_vectors_tell_are_trusted(fitted: Any) -> None:
    trust = fitted[1].trust
    assert trust.max() == 1
    assert trust[3:5, 3:5].min() > 3 * trust[0].max()
    for other in (trust.T, trust.flip(0), trust.flip(1)):
        torch.testing.assert_close(trust, other)


def test_the_same_seed_gives_the_same_decoder() -> None:
    samples = collect_samples(Folded(), Noise(3), [Folded.frame])  # type: ignore[arg-type]
    linear = fit_supports(Folded(), Noise(3), [])  # type: ignore[arg-type]
    assert linear.trust is None  # no picture is kept out of so few
    assert linear.gains is None
    rows, config = torch.arange(len(samples.vectors)), DecoderConfig(width=8, epochs=2)
    state = torch.get_rng_state()
    (one,) = fit_decoders(samples, rows, [linear], config)
    (other,) = fit_decoders(samples, rows, [linear], config)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, one.weights, other.weights))
    assert float(one.weights[-1].abs().max()) > 0


def test_samples_are_drawn_at_random_to_a_number() -> None:
    few = collect_samples(Folded(), Noise(4), [Folded.frame], most=60)  # type: ignore[arg-type]
    assert 30 < len(few.vectors) < 90
    assert few.targets(torch.arange(5)).shape == (5, 129)
    sizes = few.gradients[0].float().square().mean(1)
    torch.testing.assert_close(sizes, torch.ones(len(sizes)), atol=0.01, rtol=0)


def test_nothing_to_fit_to() -> None:
    image, features = Noise(1)[0]
    with pytest.raises(InputError, match="found none"):
        collect_samples(Folded(), [(image, features[:0])], [Folded.frame])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="epochs"):
        DecoderConfig(epochs=0)
