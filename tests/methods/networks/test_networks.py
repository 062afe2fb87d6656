import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from invertdesc.errors import FileError, InputError
from invertdesc.evaluation.vgg16 import LAYERS, VGG16, load_vgg16
from invertdesc.methods.networks.coarse import Coarse, CoarseConfig
from invertdesc.methods.networks.norm import BatchNorm
from invertdesc.methods.networks.refiner import Refined, Refiner, RefinerConfig, picture_of
from invertdesc.methods.networks.unet import UNet, UNetConfig
from invertdesc.methods.networks.upconv import Upconv, UpconvConfig
from invertdesc.methods.recipe import PatchGANConfig
from invertdesc.training.patchgan import PatchGAN


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _convolutions(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def test_coarse_has_the_layers_that_the_text_fixes() -> None:
    left, right = Coarse(CoarseConfig()).branches
    for branch, down in ((left, 4), (right, 5)):
        convolutions = _convolutions(branch)
        strides = [layer.stride[0] for layer in convolutions]
        assert strides == [2] * down + [1] * 6
        kinds = [type(layer) for layer in branch]
        assert kinds.count(BatchNorm) == kinds.count(nn.LeakyReLU) == down + 5
        assert kinds.count(nn.Upsample) == 6
        assert kinds[-1] is nn.Conv2d
        assert all(m.negative_slope == 0.2 for m in branch if isinstance(m, nn.LeakyReLU))
    assert [layer.out_channels for layer in _convolutions(left)] == [
        *(256, 512, 512, 512),
        *(512, 512, 256, 128, 64, 3),
    ]
    assert [layer.out_channels for layer in _convolutions(right)][:5] == [128, 256, 512, 512, 512]


def test_coarse_averages_the_pictures_of_its_subnetworks() -> None:
    both = Coarse(CoarseConfig(inputs=5, width=4)).eval()
    maps = torch.rand(2, 5, 16, 16), torch.rand(2, 5, 32, 32)
    alone = []
    for number, cell in enumerate((4, 2)):
        one = Coarse(CoarseConfig(inputs=5, width=4, cells=(cell,))).eval()
        one.branches[0].load_state_dict(both.branches[number].state_dict())
        alone.append(one(maps[number]))
    torch.testing.assert_close(both(*maps), (alone[0] + alone[1]) / 2)


def test_coarse_tells_maps_that_do_not_fit() -> None:
    network = Coarse(CoarseConfig(inputs=5, width=4))
    with pytest.raises(InputError, match="2 maps, got 1"):
        network(torch.zeros(1, 5, 16, 16))
    with pytest.raises(InputError, match="one picture"):
        network(torch.zeros(1, 5, 16, 16), torch.zeros(1, 5, 32, 64))
    with pytest.raises(InputError, match="cell sizes among"):
        CoarseConfig(cells=(3,))


def test_upconv_doubles_as_zeros_between_values_and_a_5x5_convolution() -> None:
    layer = _convolutions(Upconv(UpconvConfig(inputs=7, width=4)))[-1]
    assert isinstance(layer, nn.ConvTranspose2d)
    x = torch.rand(1, 4, 6, 5)
    spread = torch.zeros(1, 4, 12, 10)
    spread[:, :, ::2, ::2] = x
    kernel = layer.weight.flip(2, 3).transpose(0, 1)
    expected = F.conv2d(spread, kernel, layer.bias, padding=2)
    torch.testing.assert_close(layer(x), expected)


def test_upconv_contracts_64_times_and_can_do_without_norm() -> None:
    network = Upconv(UpconvConfig(inputs=7, width=4, norm=False))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    sizes = []
    for layer in network.layers:
        layer.register_forward_hook(lambda *hook: sizes.append(hook[2].shape[-1]))
    assert network(torch.rand(1, 7, 32, 32)).shape == (1, 3, 128, 128)
    assert min(sizes) == 2


@pytest.mark.parametrize("size", [(1, 1), (7, 30), (64, 64)])
def test_refiner_starts_as_the_identity_at_any_size(size: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *size)
    assert torch.equal(Refiner(RefinerConfig(width=4, blocks=2))(picture), picture)


def test_refiner_has_nine_blocks_with_dropout_and_two_steps_each_way() -> None:
    refiner = Refiner(RefinerConfig())
    drops = [m.p for m in refiner.modules() if isinstance(m, nn.Dropout)]
    strides = [layer.stride[0] for layer in _convolutions(refiner)]
    assert drops == [0.5] * 9
    assert strides.count(2) == 2
    assert sum(isinstance(m, nn.Upsample) for m in refiner.modules()) == 2
    assert len(strides) == 3 + 18 + 3


def test_refined_gives_both_pictures_and_trains_both_networks() -> None:
    network = Refined(UNet(UNetConfig(width=4, depth=1)), RefinerConfig(width=4, blocks=1))
    nn.init.normal_(network.refiner.layers[-1].weight)
    refined, coarse = network(torch.rand(2, 5, 8, 8))
    assert refined.shape == coarse.shape == (2, 3, 16, 16)
    assert picture_of((refined, coarse)) is refined
    assert picture_of(coarse) is coarse
    refined.mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_discriminator_judges_patches_of_70_pixels() -> None:
    judge = PatchGAN(PatchGANConfig(width=4)).eval()
    assert [layer.stride[0] for layer in _convolutions(judge)] == [2, 2, 2, 1, 1]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in judge.layers[:2])
    picture = torch.rand(1, 3, 256, 256, requires_grad=True)
    logits = judge(torch.rand(1, 3, 256, 256), picture)
    assert logits.shape == (1, 1, 30, 30)
    logits[0, 0, 15, 15].backward()
    assert picture.grad is not None
    seen = picture.grad.abs().sum((0, 1)).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


def test_batch_norm_alone_is_that_of_torch() -> None:
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    x = torch.rand(4, 3, 5, 5)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def _vgg_state(last: str, oxford: bool = True) -> dict[str, torch.Tensor]:
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    state, inputs = {}, 3
    for name, place in zip(LAYERS[: LAYERS.index(last) + 1], places, strict=False):
        outputs = (64, 128, 256, 512, 512)[int(name[4]) - 1]
        key = name if oxford else f"features.{place}"
        state[f"{key}.weight"] = torch.randn(outputs, inputs, 3, 3) * (2 / inputs / 9) ** 0.5
        state[f"{key}.bias"] = torch.randn(outputs)
        inputs = outputs
    return state


def test_vgg16_is_convolutions_and_poolings_on_the_input_it_was_trained_on() -> None:
    state = _vgg_state("conv2_1")
    picture = torch.rand(1, 3, 16, 16)
    x = picture[:, [2, 1, 0]] * 255 - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    for name in ("conv1_1", "conv1_2", "pool", "conv2_1"):
        if name == "pool":
            x = F.max_pool2d(x, 2)
        else:
            x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1).relu()
    features = VGG16(state, "conv2_1")(picture)
    torch.testing.assert_close(features * 3500, x, rtol=1e-4, atol=1e-2)


def test_vgg16_takes_torchvisions_names_and_input() -> None:
    state = _vgg_state("conv1_1", oxford=False)
    picture = torch.rand(1, 3, 8, 8)
    mean, spread = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    weight, bias = state["features.0.weight"], state["features.0.bias"]
    x = F.conv2d((picture - mean) / spread, weight, bias, padding=1).relu()
    vgg = VGG16(state, "conv1_1")
    torch.testing.assert_close(vgg(picture) * vgg.unit, x, rtol=1e-4, atol=1e-4)
    assert not any(p.requires_grad for p in vgg.parameters())


def test_vgg16_is_found_where_torchvision_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileError, match=r"Give a file.*by l2 alone"):
        load_vgg16()
    (tmp_path / "checkpoints").mkdir()
    torch.save(_vgg_state("conv3_3", oxford=False), tmp_path / "checkpoints" / "vgg16-1234.pth")
    assert load_vgg16().layer == "conv3_3"


def test_vgg16_tells_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="found none at"):
        load_vgg16(tmp_path / "no.pth")
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(FileError, match=r"got .*bad\.pth"):
        load_vgg16(tmp_path / "bad.pth")
    with pytest.raises(FileError, match=r"conv1_2\.weight of shape \(64, 64, 3, 3\), got none"):
        VGG16(_vgg_state("conv1_1"), "conv1_2")
    with pytest.raises(InputError, match="a layer of VGG16"):
        VGG16({}, "conv9_9")


@pytest.mark.parametrize(("depth", "upscale"), [(1, 1), (2, 2), (3, 4)])
def test_unet_in_tiles_is_the_unet(
    depth: int, upscale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = torch.Generator().manual_seed(0)
    network = UNet(UNetConfig(width=4, depth=depth, upscale=upscale)).eval()
    for weights in network.parameters():
        torch.nn.init.normal_(weights, 0, 0.3, generator=draw)
    field = torch.randn(2, 5, 33 + 2 * network.reach, 39 + 2 * network.reach, generator=draw)
    with torch.no_grad():
        whole = network(field)
        most = (16 + 2 * network.reach) ** 2
        monkeypatch.setattr("invertdesc.methods.networks.unet.AT_ONCE", most)
        runs = []
        run = network._run
        monkeypatch.setattr(network, "_run", lambda tile: runs.append(tile.shape) or run(tile))
        in_tiles = network(field)
    assert len(runs) > 4
    assert max(math.prod(shape[2:]) for shape in runs) <= most
    torch.testing.assert_close(in_tiles, whole, rtol=0, atol=1e-6)


def test_unet_uses_the_first_channels() -> None:
    network = UNet(UNetConfig(inputs=4, width=2, depth=1)).eval()
    field = torch.randn(1, 5, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(field), network(field[:, :4]))


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_unet_reaches_no_further_than_it_says(depth: int) -> None:
    draw = torch.Generator().manual_seed(0)
    network = UNet(UNetConfig(inputs=1, width=2, depth=depth, upscale=2)).eval()
    for weights in network.parameters():
        torch.nn.init.normal_(weights, 0, 0.5, generator=draw)
    side = 2 * network.reach + 2**depth
    for middle in range(side // 2, side // 2 + 2**depth, 3):
        field = torch.zeros(1, 1, side, side, requires_grad=True)
        picture = network(field)[..., 2 * middle, 2 * middle].sum()
        picture.backward()
        seen = field.grad.nonzero()[:, 2:]
        assert 0 < (seen - middle).abs().max() <= network.reach
