"""Orientations and scales recovered: how well, and that nothing else changes."""

import math
import re
import warnings
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from invertdesc import (
    FramesRecoveredWarning,
    InputError,
    LocalFeatures,
    MissingFieldError,
    extract,
    reconstruct,
    recover_frames,
)
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray
from invertdesc.unfolding.frames.guess import METHOD, shipped_frame_network
from invertdesc.weights import FOLDER

RECOVERED = ["akaze", "brisk", "freak", "orb", "sift"]
BOTH = ("orientations", "scales")


def likeness(features: LocalFeatures, image: Tensor) -> float:
    mode = features.provenance.gray_mode
    return float(ncc(to_gray(reconstruct(features), mode), to_gray(image, mode)))


def right(found: LocalFeatures, true: LocalFeatures) -> float:
    """The share of orientations within 15 degrees."""
    assert found.orientations is not None
    assert true.orientations is not None
    off = found.orientations - true.orientations
    return float((torch.atan2(off.sin(), off.cos()).abs() < math.radians(15)).float().mean())


@pytest.fixture(scope="module")
def bare(astronaut_features: LocalFeatures) -> LocalFeatures:
    return astronaut_features.without(*BOTH)


@pytest.fixture(scope="module")
def recovered(bare: LocalFeatures) -> LocalFeatures:
    return recover_frames(bare)


def test_orientations_come_back(astronaut: Tensor, astronaut_features: LocalFeatures) -> None:
    found = recover_frames(astronaut_features.without("orientations"))
    assert right(found, astronaut_features) > 0.75
    assert likeness(found, astronaut) > 0.75
    assert likeness(replace(found, orientations=torch.zeros(len(found))), astronaut) < 0.4


def test_both_come_back(
    astronaut: Tensor, astronaut_features: LocalFeatures, recovered: LocalFeatures
) -> None:
    assert recovered.scales is not None
    assert astronaut_features.scales is not None
    octaves = (recovered.scales / astronaut_features.scales).log2().abs()
    assert octaves.mean() < 0.4
    assert right(recovered, astronaut_features) > 0.65
    assert likeness(recovered, astronaut) > 0.7


def test_rounds_of_looking_are_better_than_the_guess(
    astronaut: Tensor, bare: LocalFeatures, recovered: LocalFeatures
) -> None:
    assert likeness(recovered, astronaut) > likeness(recover_frames(bare, rounds=0), astronaut)


def test_what_is_told_stays(astronaut_features: LocalFeatures) -> None:
    found = recover_frames(astronaut_features.without("scales"), rounds=1)
    assert found.scales is not None
    assert torch.equal(found.orientations, astronaut_features.orientations)
    for name in ("keypoints", "descriptors", "scores"):
        assert torch.equal(getattr(found, name), getattr(astronaut_features, name))
    assert recover_frames(astronaut_features) is astronaut_features


def test_order_of_keypoints_does_not_matter(bare: LocalFeatures) -> None:
    some = bare[:80]
    order = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    one, other = (recover_frames(part, rounds=1) for part in (some, some[order]))
    for name in BOTH:
        torch.testing.assert_close(getattr(one, name)[order], getattr(other, name))


def test_it_is_the_same_every_time(bare: LocalFeatures) -> None:
    one, other = (recover_frames(bare[:60]) for _ in range(2))
    for name in BOTH:
        assert torch.equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_keypoints(bare: LocalFeatures, count: int) -> None:
    found = recover_frames(bare[:count])
    for name in BOTH:
        value = getattr(found, name)
        assert value.shape == (count,)
        assert value.isfinite().all()


def test_reconstruct_recovers_and_says_so(bare: LocalFeatures, recovered: LocalFeatures) -> None:
    with pytest.warns(FramesRecoveredWarning, match="orientations and scales of 1 of 1 images"):
        picture = reconstruct(bare)
    assert torch.equal(picture, reconstruct(recovered))


def test_only_images_without_are_counted(bare: LocalFeatures) -> None:
    some = bare[:20]
    whole = some.assume(scales=2.0, orientations=0.0)
    with pytest.warns(FramesRecoveredWarning, match="orientations of 1 of 2 images"):
        pictures = reconstruct([whole, whole.without("orientations")], method="poisson")
    assert torch.equal(pictures[0], reconstruct(whole, method="poisson"))


def test_the_warning_names_the_line_that_asked(bare: LocalFeatures) -> None:
    with pytest.warns(FramesRecoveredWarning) as caught:
        reconstruct(bare[:5], method="poisson")
    assert caught[0].filename == __file__


def test_methods_that_need_no_frames_get_none(bare: LocalFeatures) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reconstruct(bare, method="coarse")


def test_without_a_network_the_field_is_missing(astronaut: Tensor) -> None:
    less = extract(astronaut, descriptor="latch").without("orientations")
    message = "Expected features with orientations, which the frame of 'latch' needs"
    with pytest.raises(MissingFieldError, match=re.escape(message)):
        recover_frames(less)
    with pytest.raises(MissingFieldError, match="orientations"):
        reconstruct(less)


def test_rounds_are_checked(bare: LocalFeatures) -> None:
    with pytest.raises(InputError, match="rounds"):
        recover_frames(bare, rounds=-1)


def test_all_networks_together_are_small() -> None:
    files = list(FOLDER.glob(f"{METHOD}-*.safetensors"))
    assert {f.stem.removeprefix(f"{METHOD}-") for f in files} == set(RECOVERED)
    assert sum(f.stat().st_size for f in files) < 2 * 2**20


@pytest.mark.parametrize("name", RECOVERED)
def test_every_network_loads(name: str) -> None:
    network = shipped_frame_network(name)
    assert network is not None
    assert not network.training


@pytest.mark.parametrize("name", ["akaze", "brisk", "freak", "orb"])
def test_bits_come_back(astronaut: Tensor, name: str) -> None:
    true = extract(astronaut, descriptor=name)[:300]
    found = recover_frames(true.without(*BOTH), rounds=1)
    assert right(found, true) > 0.75
    assert found.scales is not None
    assert true.scales is not None
    assert (found.scales / true.scales).log2().abs().mean() < 0.4


def test_rootsift_goes_through_sift(
    astronaut: Tensor, bare: LocalFeatures, recovered: LocalFeatures
) -> None:
    root = extract(astronaut, descriptor="rootsift")
    found = recover_frames(root.without(*BOTH), rounds=0)
    plain = recover_frames(bare, rounds=0)
    assert right(found, plain) > 0.97
