"""Prepared networks give the same pictures, and follow their originals."""

import pytest
import torch
from torch import nn

from invertdesc import FeatureBatch, LocalFeatures, create_method
from invertdesc.methods.networks.prepared import fold_norms, has_bfloat16, prepare

NETWORKS = ["coarse", "coarse+cgan", "unfold", "unfold+cgan", "upconv"]


@pytest.fixture
def batch(astronaut_features: LocalFeatures) -> FeatureBatch:
    return FeatureBatch.collate([astronaut_features, astronaut_features[:50]])


def small() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    network(torch.rand(8, 3, 9, 9))  # statistics that are not 0 and 1
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_keeps_the_picture(name: str, batch: FeatureBatch) -> None:
    method = create_method(name, descriptor="sift")
    method.exact = True
    inputs = method.inputs(batch)
    height, width = batch.image_size
    with torch.no_grad():
        plain = method.network(*inputs)
    plain = (plain if torch.is_tensor(plain) else plain[0])[..., :height, :width]
    torch.testing.assert_close(method(batch), plain, atol=1e-4, rtol=0)
    norms = [one for one in method.network.modules() if isinstance(one, nn.BatchNorm2d)]
    with torch.no_grad():
        left = prepare(method.network, exact=True).modules()
    assert norms
    assert not any(isinstance(one, nn.BatchNorm2d) for one in left)


@pytest.mark.skipif(not has_bfloat16(), reason="this CPU has no instructions for bfloat16")
@pytest.mark.parametrize("name", ["unfold", "unfold+cgan"])
def test_bfloat16_keeps_the_picture_within_a_level(name: str, batch: FeatureBatch) -> None:
    method = create_method(name)
    fast = method(batch)
    method.exact = True
    exact = method(batch)
    assert fast.dtype == torch.float32
    assert 0 < (fast - exact).abs().max() < 1 / 255


def test_a_network_is_prepared_once_until_it_changes() -> None:
    network = small()
    x = torch.rand(1, 3, 9, 9)
    with torch.no_grad():
        first = prepare(network)
        assert prepare(network) is first
        assert network[0].bias is None
        network[1].weight.mul_(2)
        second = prepare(network)
        assert second is not first
        torch.testing.assert_close(second(x), network(x))
        network.load_state_dict({name: value + 0.5 for name, value in network.state_dict().items()})
        torch.testing.assert_close(prepare(network)(x), network(x))
        assert prepare(network.double())[0].weight.dtype == torch.float64


def test_training_and_gradients_use_the_network_itself() -> None:
    network = small()
    assert prepare(network) is network
    with torch.no_grad():
        assert prepare(network.train()) is network


def test_weights_made_in_inference_mode_are_prepared() -> None:
    with torch.inference_mode():
        network = small()
        x = torch.rand(1, 3, 9, 9)
        torch.testing.assert_close(prepare(network)(x), network(x))


def test_what_does_more_than_arithmetic_is_not_folded() -> None:
    hooked, shared, training = small(), small(), small()
    hooked[0].register_forward_hook(lambda module, given, made: made * 2)
    shared = nn.Sequential(shared, nn.Sequential(shared[0]))
    training[1].train()
    for network in (hooked, shared, training):
        norms = [one for one in fold_norms(network).modules() if isinstance(one, nn.BatchNorm2d)]
        assert norms, network


def test_transposed_convolutions_are_folded() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.ConvTranspose2d(3, 4, 3, 2), nn.BatchNorm2d(4))
    x = torch.rand(2, 3, 5, 5)
    network(x)
    with torch.no_grad():
        wanted = network.eval()(x)
        folded = fold_norms(network)
        torch.testing.assert_close(folded(x), wanted)
    assert isinstance(folded[1], nn.Identity)
