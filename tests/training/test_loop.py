import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from skimage import data

from invertdesc import Field, FieldRasterizer, create_method, extract, reconstruct
from invertdesc.errors import FileError, InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.changes import keep_random
from invertdesc.image import GrayMode, to_image
from invertdesc.methods.network import mirror_field, network_input
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.recipe import Augmentation, TrainConfig
from invertdesc.training import loop
from invertdesc.training.checkpoint import list_checkpoints
from invertdesc.training.data import FeatureData
from invertdesc.training.loop import train
from invertdesc.training.run import _decay

CONFIG = TrainConfig(
    descriptors=("sift", "rootsift"),
    network=UNetConfig(width=4, depth=2),
    crop=64,
    steps=6,
    batch=3,
)


def _losses(out: Path) -> list[str]:
    return (out / "log.jsonl").read_text().splitlines()


def test_a_run_that_was_stopped_goes_on_to_the_last_bit(
    pictures: list[Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    whole = train(pictures, tmp_path / "a", CONFIG, held_out=1, cache=cache, workers=1)
    steps = iter([False, False, True])
    train(pictures, tmp_path / "b", CONFIG, held_out=1, cache=cache, until=lambda: next(steps))
    assert len(_losses(tmp_path / "b")) == 3
    again = train(pictures, tmp_path / "b", CONFIG, held_out=1, cache=cache, resume=True)
    assert _losses(tmp_path / "b") == _losses(tmp_path / "a")
    assert whole.read_bytes() == again.read_bytes()
    assert json.loads(_losses(tmp_path / "a")[-1])["step"] == 6
    assert (tmp_path / "a" / "sheet.png").is_file()
    picture = reconstruct(data.coffee()[:99, :70], method=create_method("unfold", weights=whole))
    assert picture.shape == (3, 99, 70)
    with pytest.raises(InputError, match="Resume that run"):
        train(pictures, tmp_path / "b", CONFIG, held_out=1, cache=cache)
    with pytest.raises(InputError, match="options of the run"):
        train(
            pictures,
            tmp_path / "b",
            replace(CONFIG, rate=1.0),
            held_out=1,
            cache=cache,
            resume=True,
        )


def test_the_rate_falls_over_the_minutes(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, schedule="minutes", warmup=0, steps=1000)
    ticks = iter(range(100))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
    rates: list[float] = []
    advance = loop.Run.advance
    monkeypatch.setattr(
        loop.Run,
        "advance",
        lambda run: (advance(run), rates.append(run.optimizer.param_groups[0]["lr"]))[0],
    )
    train(pictures, tmp_path, config, held_out=1, workers=0, minutes=8 / 60)
    # Every look at the clock takes a second: one for the rate, one at the end of the step.
    shares = [1 / 8, 3 / 8, 5 / 8, 7 / 8]
    wanted = [config.rate * 0.5 * (1 + math.cos(math.pi * share)) for share in shares]
    assert rates == pytest.approx(wanted)
    with pytest.raises(InputError, match="minutes for the schedule"):
        train(pictures, tmp_path / "other", config, held_out=1, workers=0)


def test_too_few_images_are_told(pictures: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than 8 images"):
        train(pictures, tmp_path, CONFIG)


def test_training_lowers_the_loss(pictures: list[Path], tmp_path: Path) -> None:
    config = replace(CONFIG, steps=120, descriptors=("sift",), drop=0.0, rate=1e-2)
    train(pictures, tmp_path, config, held_out=1, workers=1)
    values = [json.loads(line)["l1"] for line in _losses(tmp_path)]
    assert sum(values[-10:]) < 0.8 * sum(values[:10])


def test_features_are_those_of_the_picture_and_come_from_the_cache(
    pictures: list[Path], tmp_path: Path
) -> None:
    made = FeatureData(pictures[:2], ["sift"], crop=64, cache=tmp_path)
    picture, features = made.item(1)
    assert picture.shape == (3, 64, 64)
    assert torch.equal(features.keypoints, extract(picture).keypoints)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    FeatureData(pictures[:2], ["sift"], crop=64, cache=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")} == stamps
    FeatureData(pictures[:2], ["sift"], crop=48, cache=tmp_path)
    assert len(list(tmp_path.rglob("*.npz"))) == 4
    both = FeatureData(pictures[:2], ["sift"], crop=64, cache=tmp_path, mirrored=True)
    assert len(list(tmp_path.rglob("*.npz"))) == 6
    mirrored, features = both.item(1, mirrored=True)
    assert torch.equal(mirrored, picture.flip(-1))
    assert torch.equal(features.keypoints, extract(mirrored.contiguous()).keypoints)


def test_a_mirrored_field_is_that_of_the_mirrored_picture() -> None:
    picture = to_image(data.astronaut()[:128, 100:228])
    rasterizer = FieldRasterizer(stride=2)
    plain, mirrored = (
        network_input(rasterizer(FeatureBatch.collate([extract(image)])), ["gamma"])
        for image in (picture, picture.flip(-1))
    )
    for channel in (0, 2, 3):
        a, b = mirror_field(plain)[0, channel].flatten(), mirrored[0, channel].flatten()
        assert float(torch.corrcoef(torch.stack([a, b]))[0, 1]) > 0.8
    assert torch.equal(mirror_field(mirror_field(plain)), plain)


def test_network_input_is_of_unit_size_finite_without_keypoints_and_has_gray_modes() -> None:
    modes: list[GrayMode] = ["luma", "gamma"]
    field = Field(torch.randn(2, 1, 8, 8), torch.rand(2, 1, 8, 8), torch.randn(2, 2, 8, 8))
    louder = Field(7 * field.picture, field.coverage, 7 * field.gradients)
    torch.testing.assert_close(network_input(louder, modes), network_input(field, modes))
    assert torch.equal(network_input(field, modes)[:, 4].amax((1, 2)), torch.tensor([0.0, 1.0]))
    none = Field(*(torch.zeros_like(part[:1]) for part in field))
    assert torch.equal(network_input(none, ["luma"]), torch.zeros(1, 5, 8, 8))


def test_dropping_keeps_a_share() -> None:
    features = extract(data.coffee()[:200, :200])
    generator = torch.Generator().manual_seed(0)
    assert len(keep_random(features, 0.25, generator)) == round(0.25 * len(features))
    assert len(keep_random(features, 0.0, generator)) == 1
    assert len(keep_random(features[:0], 0.5, generator)) == 0


def test_the_average_of_the_weights_is_saved_and_resumes_to_the_last_bit(
    pictures: list[Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    config = replace(CONFIG, schedule="constant", average=0.9)
    whole = train(pictures, tmp_path / "a", config, held_out=1, cache=cache, workers=0)
    plain = replace(config, average=0.0)
    latest = train(pictures, tmp_path / "b", plain, held_out=1, cache=cache, workers=0)
    assert _losses(tmp_path / "a") == _losses(tmp_path / "b")  # averaging changes no step
    assert whole.read_bytes() != latest.read_bytes()
    short = replace(config, steps=4)
    train(pictures, tmp_path / "c", short, held_out=1, cache=cache, workers=0)
    again = train(pictures, tmp_path / "c", config, held_out=1, cache=cache, resume=True)
    assert whole.read_bytes() == again.read_bytes()
    with pytest.raises(InputError, match="average >= 0 and < 1"):
        replace(CONFIG, average=1.0)


def test_an_average_forgets_the_first_weights_quickly_and_then_slowly() -> None:
    average = _decay(0.75)
    values = [torch.tensor(0.0)]
    for count in range(1, 5):
        values.append(average(values[-1], torch.tensor(1.0), torch.tensor(count)))
    # Shares kept: 2 / 11, 3 / 12, 4 / 13, 5 / 14; none of them is above 0.75 yet.
    kept = (2 / 11) * (3 / 12) * (4 / 13) * (5 / 14)
    assert float(values[-1]) == pytest.approx(1 - kept)
    assert float(average(torch.tensor(0.0), torch.tensor(1.0), 1000)) == 0.25


def test_a_run_on_changed_pictures_goes_on_to_the_last_bit(
    pictures: list[Path], tmp_path: Path
) -> None:
    config = replace(CONFIG, schedule="constant", augmentation=Augmentation(), drop=0.5, steps=4)
    options = {"held_out": 1, "cache": tmp_path / "cache", "workers": 0}
    whole = train(pictures, tmp_path / "a", config, **options)
    train(pictures, tmp_path / "b", replace(config, steps=2), **options)
    again = train(pictures, tmp_path / "b", config, resume=True, **options)
    assert _losses(tmp_path / "b") == _losses(tmp_path / "a")
    assert whole.read_bytes() == again.read_bytes()


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_saves_and_the_log_of_a_resumed_run_repeats_nothing(
    pictures: list[Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    options = {"held_out": 1, "cache": cache, "workers": 0}
    train(pictures, tmp_path / "a", CONFIG, **options)
    steps = iter(range(10))

    def stop() -> bool:
        if next(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    with pytest.raises(KeyboardInterrupt):
        train(pictures, tmp_path / "b", CONFIG, until=stop, **options)
    assert [path.name for path in list_checkpoints(tmp_path / "b")] == ["step-00000004.ckpt"]
    log = tmp_path / "b" / "log.jsonl"
    with log.open("a") as file:  # steps after the checkpoint, the last one cut off by a kill
        file.write('{"step": 5, "l1": 9}\n{"step": 6,')
    train(pictures, tmp_path / "b", CONFIG, resume=True, **options)
    assert _losses(tmp_path / "b") == _losses(tmp_path / "a")


def test_a_run_from_before_an_option_existed_goes_on_with_its_default(
    pictures: list[Path], tmp_path: Path
) -> None:
    options = {"held_out": 1, "cache": tmp_path / "cache", "workers": 0}
    train(pictures, tmp_path, CONFIG, until=lambda: True, **options)
    (path,) = list_checkpoints(tmp_path)
    state = torch.load(path, weights_only=True)
    recipe = json.loads(state["config"])
    del recipe["warmup"]
    torch.save(state | {"config": json.dumps(recipe)}, path)
    with pytest.raises(InputError, match="options of the run"):
        train(pictures, tmp_path, replace(CONFIG, warmup=7), resume=True, **options)
    train(pictures, tmp_path, CONFIG, resume=True, **options)
    assert len(_losses(tmp_path)) == CONFIG.steps


def test_nothing_to_resume_is_said(pictures: list[Path], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="nothing to resume"):
        train(pictures, tmp_path, replace(CONFIG, steps=1), held_out=1, workers=0, resume=True)


def test_a_log_that_cannot_be_written_is_said(pictures: list[Path], tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(FileError, match=r"log\.jsonl"):
        train(pictures, tmp_path, CONFIG, held_out=1, workers=0)
