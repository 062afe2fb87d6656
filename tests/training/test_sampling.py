"""What a training step is given."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from invertdesc.errors import InputError
from invertdesc.reconstructors.networks.coarse import CoarseConfig
from invertdesc.reconstructors.networks.unet import UNetConfig
from invertdesc.training.config import TrainConfig, preset
from invertdesc.training.data import FeatureData
from invertdesc.training.loop import make_method
from invertdesc.training.sampling import Sampler

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


def test_a_patch_of_half_cells_is_refused(pictures: list[Path], tmp_path: Path) -> None:
    config = replace(preset("coarse"), network=NETWORKS["coarse"], crop=96, patch=34)
    with pytest.raises(InputError, match="patch to be a multiple of 4, got 34"):
        sampler(config, pictures, tmp_path).batch()
