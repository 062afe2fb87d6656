"""What a training step is given."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from skimage.data import astronaut

from invertdesc import extract
from invertdesc.errors import InputError
from invertdesc.methods.network import preset
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.recipe import Augmentation, TrainConfig
from invertdesc.training.data import FeatureData
from invertdesc.training.distributed import team
from invertdesc.training.loop import make_method
from invertdesc.training.run import Run
from invertdesc.training.sampling import Draw, Sampler, keep_part

NETWORKS = {"unfold": UNetConfig(width=2), "coarse": CoarseConfig(width=2)}


def sampler(config: TrainConfig, pictures: list[Path], cache: Path) -> Sampler:
    method, _ = make_method(config, None)
    data = FeatureData(
        pictures,
        config.descriptors,
        crop=config.crop,
        cache=cache,
        mirrored=not method.mirrors,
        workers=0,
    )
    return Sampler(config, data, method, torch.device("cpu"))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_patch_is_cut_from_what_the_whole_picture_gives(
    name: str, pictures: list[Path], tmp_path: Path
) -> None:
    whole = replace(preset(name), network=NETWORKS[name], crop=96, batch=4, drop=1.0)
    inputs, truth = sampler(whole, pictures, tmp_path).batch()
    parts, cut = sampler(replace(whole, patch=32), pictures, tmp_path).batch()
    corners = []
    # Pictures seen in one orientation come together, so that both batches have one order.
    for number, part in enumerate(cut):
        windows = truth[number].unfold(1, 32, 1).unfold(2, 32, 1)  # (3, 65, 65, 32, 32)
        alike = (windows == part[:, None, None]).all(-1).all(-1).all(0).nonzero()
        assert len(alike) == 1
        corners.append(alike[0].tolist())
    assert len({tuple(corner) for corner in corners}) > 1
    for some, all_ in zip(parts, inputs, strict=True):
        stride = 96 // all_.shape[-1]
        side = 32 // stride
        for number, corner in enumerate(corners):
            y, x = (place // stride for place in corner)
            assert torch.equal(some[number], all_[number, :, y : y + side, x : x + side])


def test_statistics_of_patches_make_way_for_those_of_whole_pictures(
    pictures: list[Path], tmp_path: Path
) -> None:
    config = replace(preset("unfold"), network=NETWORKS["unfold"], crop=96, batch=6, patch=32)
    given = sampler(config, pictures, tmp_path)
    with team("cpu") as alone:
        run = Run(config, given.data, given.method, None, alone)
    first = next(one for one in run.network.modules() if isinstance(one, torch.nn.BatchNorm2d))
    kept: list[torch.Tensor] = []
    first.register_forward_pre_hook(lambda _, x: kept.append(x[0].float().mean((0, 2, 3))))
    first.running_mean.fill_(100.0)
    run.settle(batches=3)
    assert len(kept) == 3
    torch.testing.assert_close(first.running_mean, torch.stack(kept).mean(0), atol=1e-3, rtol=1e-2)
    assert first.momentum == 0.1
    again = first.running_mean.clone()
    run.settle(batches=3)
    assert torch.equal(first.running_mean, again)


def test_a_patch_of_half_cells_is_refused(pictures: list[Path], tmp_path: Path) -> None:
    config = replace(preset("coarse"), network=NETWORKS["coarse"], crop=96, patch=34)
    with pytest.raises(InputError, match="patch to be a multiple of 4, got 34"):
        sampler(config, pictures, tmp_path).batch()


def _draw(part: str, keep: float = 0.25) -> Draw:
    return Draw(0, 0, False, (0.0, 0.0), keep, seed=3, part=part)


def test_the_strongest_stay_where_there_are_scores() -> None:
    features = extract(astronaut())
    kept = keep_part(features, _draw("strongest"))
    assert len(kept) == round(0.25 * len(features))
    assert kept.scores is not None
    assert features.scores is not None
    assert float(kept.scores.min()) >= float(features.scores.quantile(0.74))
    unknown = replace(features, scores=None)
    assert len(keep_part(unknown, _draw("strongest"))) == len(kept)


def test_a_hole_is_a_disc_without_keypoints() -> None:
    features = extract(astronaut())
    kept = keep_part(features, _draw("hole", 0.6))
    assert len(kept) == round(0.6 * len(features))
    left = {tuple(point) for point in kept.keypoints.tolist()}
    gone = [point for point in features.keypoints.tolist() if tuple(point) not in left]
    # The keypoint in the middle of the hole is nearer to all that are gone than to any that stays.
    assert any(
        max(math.dist(center, point) for point in gone)
        <= min(math.dist(center, point) for point in left)
        for center in gone
    )
    assert len(keep_part(features[:0], _draw("hole"))) == 0


def test_changed_pictures_are_drawn_and_resumed(pictures: list[Path], tmp_path: Path) -> None:
    config = replace(
        preset("unfold"),
        descriptors=("sift", "orb"),
        network=NETWORKS["unfold"],
        crop=64,
        batch=6,
        drop=1.0,
        augmentation=Augmentation(),
    )
    method, _ = make_method(config, None)
    data = FeatureData(
        pictures, config.descriptors, crop=64, cache=tmp_path, augmentation=Augmentation()
    )
    one, other = (Sampler(config, data, method, torch.device("cpu")) for _ in range(2))
    (inputs, truth), _ = one.batch(), one.batch()
    assert inputs[0].shape == (6, 5, 32, 32)
    assert truth.shape == (6, 3, 64, 64)
    described = [data.item(0, 0, False, variant)[1] for variant in range(8)]
    assert {features.provenance.gray for features in described} == {"gamma", "luma"}
    other.batch()
    other.generator.set_state(one.generator.get_state())
    assert torch.equal(one.batch()[1], other.batch()[1])
    assert not list(tmp_path.rglob("*.npz"))
