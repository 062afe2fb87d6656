"""The network that guesses frames, what it sees, and its bins."""

import math

import pytest
import torch

from invertdesc.unfolding.frames.bins import (
    peak_turns,
    scale_quantiles,
    scale_targets,
    turn_targets,
)
from invertdesc.unfolding.frames.inputs import frame_inputs, nearest, pack_inputs
from invertdesc.unfolding.frames.network import FrameConfig, FrameNetwork

CONFIG = FrameConfig(dim=6, width=8, message=4, hidden=8, rounds=2)


@pytest.fixture
def network() -> FrameNetwork:
    torch.manual_seed(0)
    return FrameNetwork(CONFIG).eval()


def test_bins_of_orientations_and_back() -> None:
    angles = torch.linspace(-math.pi, math.pi, 101)[:-1]
    targets = turn_targets(angles, CONFIG)
    assert torch.allclose(targets.sum(1), torch.ones(100))
    back = peak_turns(targets.clamp(min=1e-9).log())[0][:, 0]
    off = torch.atan2((back - angles).sin(), (back - angles).cos())
    assert float(off.abs().max()) < math.radians(0.1)


def test_bins_of_scales_and_back() -> None:
    scales = torch.linspace(CONFIG.smallest, CONFIG.largest, 50).exp()
    targets = scale_targets(scales, CONFIG)
    assert torch.allclose(targets.sum(1), torch.ones(50), atol=1e-5)
    back = scale_quantiles(targets.clamp(min=1e-9).log(), CONFIG, [0.5])[:, 0]
    step = (CONFIG.largest - CONFIG.smallest) / (CONFIG.scales - 1)
    assert (back.log() - scales.log()).abs().max() < step / 2


def test_scales_beyond_the_bins_count_as_the_last() -> None:
    far = scale_targets(torch.tensor([1e-3, 1e3]), CONFIG)
    assert far[0, 0] == 1
    assert far[1, -1] == 1


def test_second_peak_is_another_one() -> None:
    scores = torch.full((1, 36), -20.0)
    scores[0, 3], scores[0, 20] = 2.0, 1.0
    angles, weights = peak_turns(scores, count=2)
    assert torch.allclose(angles.remainder(2 * math.pi), torch.tensor([[35.0, 205.0]]).deg2rad())
    assert weights[0, 0] > weights[0, 1] > 0


def test_neighbours_by_hand() -> None:
    places = torch.tensor([[0.0, 0.0], [10.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    assert nearest(places, 2).tolist() == [[2, 3], [3, 2], [0, 3], [2, 0]]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_keypoints(network: FrameNetwork, count: int) -> None:
    inputs = frame_inputs(torch.rand(count, 6), torch.rand(count, 2) * 9, (10, 10))
    belief = network(inputs)[-1]
    assert belief.turns.shape == (count, 36)
    assert belief.scales.shape == (count, CONFIG.scales)
    assert belief.turns.isfinite().all()


def test_who_is_not_there_tells_nothing(network: FrameNetwork) -> None:
    """A keypoint without neighbours must not hear the last row of a batch."""
    vectors, place = torch.rand(1, 6), torch.tensor([[4.0, 4.0]])
    alone = frame_inputs(vectors, place, (10, 10))
    others = frame_inputs(torch.rand(3, 6), torch.rand(3, 2) * 9, (10, 10))
    packed = pack_inputs([alone, others])
    assert packed.neighbours[0].tolist() == [-1] * 16
    assert torch.allclose(network(packed)[-1].turns[:1], network(alone)[-1].turns, atol=1e-6)
    assert torch.allclose(network(packed)[-1].turns[1:], network(others)[-1].turns, atol=1e-6)


def test_what_is_known_is_told(network: FrameNetwork) -> None:
    vectors, places = torch.rand(3, 6), torch.rand(3, 2) * 9
    scales, turns = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.0, 1.0, 2.0])
    bare = frame_inputs(vectors, places, (10, 10))
    told = frame_inputs(vectors, places, (10, 10), scales=scales, orientations=turns)
    assert (bare.known[:, 3:] == 0).all()
    assert (told.known[:, 3:] == 1).all()
    assert (bare.scales == 0).all()
    assert torch.allclose(told.scales, scales.log())
    assert (bare.turns == 0).all()
    assert torch.allclose(told.turns[:, 0, 1], (2 * turns).cos())
    assert not torch.allclose(network(bare)[-1].turns, network(told)[-1].turns)


def test_messages_turn_with_the_picture(network: FrameNetwork) -> None:
    """Without what knows of up and down, a picture turned by a quarter gives beliefs turned so."""
    for head in (network.head, *(exchange.head for exchange in network.exchanges)):
        torch.nn.init.zeros_(head[1].weight)
        torch.nn.init.zeros_(head[1].bias)
    vectors, places = torch.rand(9, 6), torch.rand(9, 2) * 90
    turned = torch.stack([99 - places[:, 1], places[:, 0]], 1)
    upright, quarter = (
        network(frame_inputs(vectors, where, (100, 100), placed=False))[-1].turns
        for where in (places, turned)
    )
    assert upright.std(1).min() > 0
    assert torch.allclose(upright.roll(36 // 4, 1), quarter, atol=1e-3)


def test_quantiles_of_scales_by_hand() -> None:
    config = FrameConfig(dim=1, scales=3, smallest=0.0, largest=2.0)
    scores = torch.tensor([[0.25, 0.5, 0.25]]).log()
    found = scale_quantiles(scores, config, [0.125, 0.5, 0.875]).log()
    assert torch.allclose(found, torch.tensor([[0.0, 1.0, 2.0]]), atol=1e-6)
