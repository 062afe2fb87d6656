"""Training of the methods other than `unfold`, in both stages."""

import json
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from skimage import data

from invertdesc import create_descriptor, create_method, extract, reconstruct
from invertdesc.errors import FileError, InputError, MissingDependencyError
from invertdesc.evaluation.vgg16 import VGG16
from invertdesc.methods.coarse import Coarse
from invertdesc.methods.network import preset
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.networks.refiner import RefinedConfig, RefinerConfig
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.networks.upconv import UpconvConfig
from invertdesc.methods.recipe import JOINT, LossWeights, PatchGANConfig, TrainConfig
from invertdesc.training import loop
from invertdesc.training.adjust import adjusted_recipe
from invertdesc.training.data import FeatureData
from invertdesc.training.distributed import Team
from invertdesc.training.loop import make_method, train
from invertdesc.training.run import Run
from invertdesc.weights import _files
from invertdesc.weights._files import share_base

PART = data.astronaut()[30:160, 160:290]
SMALL = {"crop": 64, "steps": 4, "batch": 2}
COARSE = replace(preset("coarse"), network=CoarseConfig(width=2), losses=LossWeights(l2=1), **SMALL)
GAN = replace(
    preset("coarse+cgan"),
    network=RefinedConfig(CoarseConfig(width=2), RefinerConfig(width=4, blocks=1)),
    losses=LossWeights(l2=100, adversarial=1),
    discriminator=PatchGANConfig(width=4),
    discriminator_steps=2,
    **SMALL,
)


@pytest.fixture(scope="module")
def stage_one(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(pictures, tmp_path_factory.mktemp("one"), COARSE, held_out=1, workers=1)


@pytest.fixture
def tiny_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    state = {"conv1_1.weight": torch.randn(64, 3, 3, 3), "conv1_1.bias": torch.randn(64)}
    monkeypatch.setattr(loop, "load_vgg16", lambda *_: VGG16(state, "conv1_1"))


def _log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_the_paper_has_200_epochs_and_quick_has_less() -> None:
    paper = adjusted_recipe("coarse")
    assert paper.steps * paper.batch == 200 * 8000
    assert (paper.rate, paper.schedule) == (1e-4, "constant")
    quick = adjusted_recipe("coarse", preset="quick")
    assert (quick.steps, quick.rate, quick.schedule) == (5000, 1e-3, "cosine")
    assert quick.losses == paper.losses
    assert adjusted_recipe("unfold", preset="quick").rate == preset("unfold").rate
    with pytest.raises(InputError, match="preset"):
        adjusted_recipe("coarse", preset="slow")


def test_each_update_of_the_discriminator_has_a_batch_of_its_own(
    stage_one: Path, pictures: list[Path], tmp_path: Path
) -> None:
    config = replace(GAN, discriminator_steps=3)
    method, config = make_method(config, stage_one)
    data = FeatureData(pictures, ["sift"], crop=64, cache=tmp_path, mirrored=True, workers=0)
    run = Run(config, data, method, None, Team(torch.device("cpu")))
    assert run.critic is not None
    seen: list[torch.Tensor] = []
    run.critic.register_forward_pre_hook(lambda _, x: seen.append(x[1].clone()))
    run.advance()
    assert len(seen) == 3
    assert not any(torch.equal(a, b) for a, b in combinations(seen, 2))


def test_without_a_warm_up_the_first_step_has_the_whole_rate(
    pictures: list[Path], tmp_path: Path
) -> None:
    data = FeatureData(pictures, ["sift"], crop=64, cache=tmp_path, mirrored=True, workers=0)
    for warmup, share in ((0, 1), (4, 0.25)):
        config = replace(COARSE, warmup=warmup)
        run = Run(config, data, make_method(config, None)[0], None, Team(torch.device("cpu")))
        run.advance()
        assert run.optimizer.param_groups[0]["lr"] == pytest.approx(share * config.rate)


def test_presets_are_the_seeds() -> None:
    coarse, gan = preset("coarse"), preset("coarse+cgan")
    assert coarse.losses == LossWeights(l2=1, perceptual=1, style=1e-4)
    assert gan.losses == LossWeights(l2=100, perceptual=100, style=0.01, adversarial=1)
    assert (gan.rate, gan.batch, gan.discriminator_steps) == (1e-4, 8, 5)
    assert gan.schedule == "constant"
    assert gan.vgg_layer == "conv3_3"
    assert preset("upconv").losses == LossWeights(l2=1)
    with pytest.raises(InputError, match="a method with a network"):
        preset("poisson")


def test_both_stages_give_weights_that_reconstruct(
    stage_one: Path, pictures: list[Path], tmp_path: Path
) -> None:
    weights = train(pictures, tmp_path, GAN, start=stage_one, held_out=1, workers=1)
    assert weights.name == "coarse+cgan.safetensors"
    assert set(_log(tmp_path)[-1]) == {"step", "l2", "adversarial", "discriminator"}
    image = data.coffee()[:99, :70]
    for name, file in (("coarse", stage_one), ("coarse+cgan", weights)):
        method = create_method(name, descriptor="sift", weights=file)
        assert reconstruct(image, method=method).shape == (3, 99, 70)


def test_the_second_stage_starts_from_the_first(stage_one: Path) -> None:
    first = create_method("coarse", weights=stage_one)
    second, config = make_method(GAN, stage_one)
    features = extract(PART)
    second.network.eval()
    ours, theirs = (reconstruct(features, method=one) for one in (second, first))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    assert config.network.base == CoarseConfig(width=2)


def test_a_stopped_gan_goes_on_to_the_last_bit(
    stage_one: Path, pictures: list[Path], tmp_path: Path
) -> None:
    common = {"start": stage_one, "held_out": 1, "cache": tmp_path / "cache", "workers": 1}
    whole = train(pictures, tmp_path / "a", GAN, **common)
    stops = iter([False, True])
    train(pictures, tmp_path / "b", GAN, until=lambda: next(stops), **common)
    torch.rand(7)  # whatever else has drawn numbers in between
    again = train(pictures, tmp_path / "b", GAN, resume=True, **common)
    assert _log(tmp_path / "a") == _log(tmp_path / "b")
    assert whole.read_bytes() == again.read_bytes()


@pytest.mark.usefixtures("tiny_vgg")
def test_perceptual_and_style_losses_are_trained_on_patches(
    pictures: list[Path], tmp_path: Path
) -> None:
    config = replace(COARSE, losses=JOINT, vgg_layer="conv1_1", vgg_patch=32, steps=2)
    train(pictures, tmp_path, config, held_out=1, workers=1)
    last = _log(tmp_path)[-1]
    assert last["perceptual"] > 0
    assert last["style"] > 0


def test_upconv_and_patches_of_pictures_train(pictures: list[Path], tmp_path: Path) -> None:
    config = replace(preset("upconv"), network=UpconvConfig(width=2), patch=40, **SMALL)
    weights = train(pictures, tmp_path, config, held_out=1, workers=1)
    method = create_method("upconv", weights=weights)
    assert method.network.config.inputs == 133


def test_weights_of_another_descriptor_or_gray_are_refused(stage_one: Path) -> None:
    with pytest.raises(FileError, match="trained on 'sift'"):
        create_method("coarse", descriptor="orb", weights=stage_one)
    method = create_method("coarse", weights=stage_one)
    image = PART
    with pytest.raises(InputError, match=r"features of 'sift'.*got 'orb'"):
        reconstruct(extract(image, descriptor="orb"), method=method)
    with pytest.raises(InputError, match=r"'gamma' gray.*got 'luma'"):
        reconstruct(
            extract(image, descriptor=create_descriptor("sift", gray="luma")), method=method
        )
    with pytest.raises(FileError, match=r"None ship|They ship for"):
        create_method("coarse", descriptor="orb")


def test_rootsift_is_converted_and_not_retrained(stage_one: Path) -> None:
    image = PART
    method = create_method("coarse", descriptor="rootsift", weights=stage_one)
    ours = reconstruct(extract(image, descriptor="rootsift"), method=method)
    theirs = reconstruct(image, method=create_method("coarse", weights=stage_one))
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (replace(COARSE, descriptors=("sift", "orb")), "one descriptor"),
        (replace(COARSE, losses=LossWeights(adversarial=1)), "has no refiner"),
        (GAN, r"Train 'coarse' first.*as start"),
        (TrainConfig(method="poisson"), "a method with a network, coarse, "),
    ],
)
def test_options_that_do_not_go_together_are_told(
    config: TrainConfig, words: str, pictures: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        train(pictures, tmp_path, config, held_out=1)


def test_a_wrong_start_is_told(stage_one: Path) -> None:
    with pytest.raises(FileError, match="holds weights for 'coarse'"):
        make_method(TrainConfig(network=UNetConfig(width=4)), stage_one)


@pytest.mark.parametrize("text", ["l3", "l1=x", "l1=-1", "l2=0", ""])
def test_losses_that_are_none_are_told(text: str) -> None:
    with pytest.raises(InputError, match="Expected l"):
        LossWeights.parse(text)


def test_losses_are_parsed() -> None:
    assert LossWeights.parse("l2") == LossWeights(l2=1)
    assert LossWeights.parse("l1=1, ssim=0.2") == LossWeights(l1=1, ssim=0.2)


@pytest.mark.parametrize(
    "options", [{"patch": 65}, {"vgg_patch": 65}, {"schedule": "steps"}, {"losses": LossWeights()}]
)
def test_recipes_that_cannot_be_are_told(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="Expected"):
        TrainConfig(crop=64, **options)


def test_weights_come_from_a_hub(
    stage_one: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def download(repository: str, file: str, revision: str | None) -> str:
        asked.append((repository, file, revision))
        if repository == "nobody/none":
            raise OSError("404")
        return str(stage_one)

    fake = SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    method = Coarse.from_pretrained("somebody/faces", "rootsift", revision="v1")
    assert asked == [("somebody/faces", "coarse-sift.safetensors", "v1")]
    assert method.trained.descriptor == "sift"
    with pytest.raises(FileError, match=r"coarse-sift\.safetensors of 'nobody/none'.*404"):
        Coarse.from_pretrained("nobody/none")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"invertdesc\[hub\]"):
        Coarse.from_pretrained("somebody/faces")


def test_weights_say_what_they_were_made_from(stage_one: Path) -> None:
    trained = create_method("coarse", weights=stage_one).trained
    assert (trained.descriptor, trained.gray) == ("sift", "gamma")
    assert trained.card["steps"] == 4
    assert trained.card["recipe"]["losses"]["l2"] == 1


def test_weights_of_a_later_version_are_refused(stage_one: Path, tmp_path: Path) -> None:
    with safe_open(stage_one, framework="pt") as file:
        header = json.loads(file.metadata()["invertdesc-network"])
    later = {"invertdesc-network": json.dumps(header | {"version": 2})}
    save_file(load_file(stage_one), tmp_path / "later.safetensors", later)
    with pytest.raises(FileError, match="later than this one"):
        create_method("coarse", weights=tmp_path / "later.safetensors")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_losses_and_sheets_reach_tensorboard(pictures: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train(pictures, tmp_path, COARSE, held_out=1, workers=1, tensorboard=True)
    (events,) = tmp_path.glob("events.out.tfevents.*")
    assert b"l2" in events.read_bytes()
    assert b"held out" in events.read_bytes()


def test_a_compiled_network_trains_the_same_weights(
    stage_one: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module: plain(module, backend="aot_eager"))
    config = replace(COARSE, compile=True, autocast=False, steps=2)
    common = {"held_out": 1, "workers": 1, "cache": tmp_path / "cache"}
    train(pictures, tmp_path / "a", config, **common)
    train(pictures, tmp_path / "b", replace(config, compile=False), **common)
    for one, other in zip(_log(tmp_path / "a"), _log(tmp_path / "b"), strict=True):
        assert one["l2"] == pytest.approx(other["l2"], rel=1e-3)
    assert create_method("coarse", weights=tmp_path / "a" / "coarse.safetensors")


def test_a_frozen_network_in_front_keeps_its_weights(
    stage_one: Path, pictures: list[Path], tmp_path: Path
) -> None:
    config = replace(GAN, freeze_base=True, rate=1e-2)
    weights = train(pictures, tmp_path, config, start=stage_one, held_out=1, workers=1)
    before, after = load_file(stage_one), load_file(weights)
    for name, value in before.items():
        assert torch.equal(after[f"base.{name}"], value)
    method, config = make_method(config, stage_one)
    started = method.network.state_dict()["refiner.layers.1.weight"].half()
    assert not torch.equal(after["refiner.layers.1.weight"], started)
    with pytest.raises(InputError, match="method with a refiner to freeze"):
        make_method(replace(COARSE, freeze_base=True), None)


def test_weights_share_a_network_with_another_file(
    stage_one: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = train(
        pictures, tmp_path, replace(GAN, freeze_base=True), start=stage_one, held_out=1, workers=1
    )
    features = extract(PART)
    whole = reconstruct(features, method=create_method("coarse+cgan", weights=weights))
    full, base = weights.stat().st_size, tmp_path / "coarse-sift.safetensors"
    base.write_bytes(stage_one.read_bytes())
    monkeypatch.setattr(_files, "FOLDER", tmp_path)
    share_base(weights, base)
    assert weights.stat().st_size < full - 0.8 * base.stat().st_size
    shared = reconstruct(features, method=create_method("coarse+cgan", weights=weights))
    assert torch.equal(whole, shared)

    other = train(pictures, tmp_path / "other", replace(COARSE, seed=1), held_out=1, workers=1)
    with pytest.raises(FileError, match="not those of"):
        share_base(train(pictures, tmp_path / "b", GAN, start=other, held_out=1, workers=1), base)
    base.write_bytes(other.read_bytes())
    with pytest.raises(FileError, match="trained with other weights than those of coarse-sift"):
        create_method("coarse+cgan", weights=weights)
