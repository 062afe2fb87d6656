"""Decoders, and the trust of cells, of unfoldings."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor
from invertdesc.rasterizers.field import FieldRasterizer, merge_pieces
from invertdesc.unfolding.decoder import Decoder
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding


def random_decoder(inputs: int, outputs: int, spread: float = 0.5) -> Decoder:
    draw = torch.Generator().manual_seed(1)
    return Decoder(
        weights=(torch.randn(inputs, 5, generator=draw), torch.randn(5, outputs, generator=draw)),
        biases=(torch.randn(5, generator=draw), torch.randn(outputs, generator=draw)),
        spread=spread,
    )


@pytest.fixture
def linear() -> Unfolding:
    draw = torch.Generator().manual_seed(0)
    return Unfolding(
        matrix=torch.randn(10, 2 * 9, generator=draw),
        bias=torch.randn(2 * 9, generator=draw),
        mean=torch.randn(10, generator=draw),
        frame=Frame(support=24.0, scaled=False),
        contrast=torch.randn(10, generator=draw) / 10,
    )


@pytest.fixture
def vectors() -> Tensor:
    return torch.randn(6, 10, generator=torch.Generator().manual_seed(2))


def test_layers_have_gelu_in_between_alone() -> None:
    weights = (torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0], [1.0]]))
    decoder = Decoder(weights, (torch.zeros(2), torch.tensor([0.5])), spread=2.0)
    gelu = torch.nn.functional.gelu(torch.tensor([3.0, -3.0])).sum()
    assert float(decoder(torch.tensor([[6.0]]))) == pytest.approx(float(gelu) + 0.5)
    assert float(decoder(torch.tensor([[0.0]]))) == 0.5


def test_a_decoder_is_added_to_gradients_and_size(linear: Unfolding, vectors: Tensor) -> None:
    decoder = random_decoder(10, 19)
    both = replace(linear, decoder=decoder)
    more = decoder(vectors - linear.mean)
    assert torch.equal(
        both.directions(vectors), linear.directions(vectors) + more[:, :18].view(-1, 2, 3, 3)
    )
    small = 0.01 * vectors + linear.mean  # so that no logarithm is cut off
    logarithm = linear.sizes(small).log().flatten() + decoder(0.01 * vectors)[:, 18]
    torch.testing.assert_close(both.sizes(small).log().flatten(), logarithm.clamp(-3, 3))
    torch.testing.assert_close(both(vectors), both.directions(vectors) * both.sizes(vectors))


def test_trust_and_decoder_survive_a_file(
    linear: Unfolding, vectors: Tensor, tmp_path: Path
) -> None:
    trust = torch.rand(3, 3, generator=torch.Generator().manual_seed(3))
    one = replace(linear, decoder=random_decoder(10, 19), trust=trust)
    copies = {name: getattr(one, name).clone() for name in ("bias", "mean", "contrast")}
    other = replace(one, frame=Frame(support=96.0, scaled=False), trust=trust.T, **copies)
    whole = replace(one, others=(other,), gains=torch.ones(2, 7))
    whole.save(tmp_path / "one.safetensors")
    loaded = Unfolding.load(tmp_path / "one.safetensors")
    assert torch.equal(loaded.trust, trust)
    assert torch.equal(loaded.others[0].trust, trust.T)
    assert loaded.decoder.spread == 0.5
    for made, read in ((one, loaded), (other, loaded.others[0])):
        torch.testing.assert_close(read(vectors), made(vectors), rtol=0.02, atol=0.02)


def test_files_without_them_have_neither(linear: Unfolding, tmp_path: Path) -> None:
    linear.save(tmp_path / "plain.safetensors")
    loaded = Unfolding.load(tmp_path / "plain.safetensors")
    assert loaded.trust is None
    assert loaded.decoder is None


def batch_of(points: list[list[float]]) -> FeatureBatch:
    features = LocalFeatures(
        keypoints=torch.tensor(points),
        descriptors=torch.zeros(len(points), 128),
        image_size=(32, 32),
        descriptor="sift",
        scales=torch.ones(len(points)),
        orientations=torch.zeros(len(points)),
    )
    return FeatureBatch.collate([features])


def test_trusted_cells_prevail_where_pieces_overlap() -> None:
    """The left cells of one piece lie on the right cells of another, twice as trusted."""
    batch = batch_of([[12.0, 15.5], [16.0, 15.5]])
    sides, turns = torch.full((2,), 8.0).double(), torch.zeros(2).double()
    pieces = torch.tensor([1.0, 4.0]).double().view(2, 1, 1, 1).expand(2, 1, 2, 2)
    trust = torch.tensor([[0.5, 1.0], [0.5, 1.0]])
    merged, _ = merge_pieces(pieces, batch, sides, turns, trust=trust)
    equal, _ = merge_pieces(pieces, batch, sides, turns)
    assert float(equal[0, 0, 15, 14]) == pytest.approx(2.5)
    assert float(merged[0, 0, 15, 14]) == pytest.approx((1 * 1.0 + 4 * 0.5) / 1.5)
    assert float(merged[0, 0, 15, 9]) == pytest.approx(1)


def test_the_field_uses_the_trust(astronaut_features: LocalFeatures) -> None:
    sift = create_descriptor("sift")
    batch = FeatureBatch.collate([astronaut_features])
    even = replace(sift.unfolding, trust=torch.full((8, 8), 0.25))
    centre = torch.full((8, 8), 1e-3)
    centre[2:6, 2:6] = 1
    plain, same, other = (
        FieldRasterizer(sift, unfolding=one, stride=4)(batch).picture
        for one in (sift.unfolding, even, replace(sift.unfolding, trust=centre))
    )
    torch.testing.assert_close(same, plain, rtol=1e-3, atol=1e-4)
    assert float((other - plain).abs().max()) > 0.05 * float(plain.abs().max())
