"""Angles and scales in other units than ours are told from right ones."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from skimage import data

from invertdesc import LocalFeatures, check, create_descriptor, extract, list_descriptors
from invertdesc.descriptors._frames import FrameChange, check_frames
from invertdesc.image import to_image

PICTURES = ("astronaut", "camera", "chelsea", "coffee", "rocket", "coins", "brick", "text")
TURNING = ["akaze", "beblid", "boostdesc", "brisk", "freak", "kaze", "latch", "mkd", "orb"]
TURNING += ["rootsift", "sift", "sift-kornia", "teblid", "vgg"]
UPRIGHT = ("sift-dense", "brief", "daisy")


def degrees(turns: torch.Tensor) -> torch.Tensor:
    return torch.rad2deg(turns) % 360


Mistake = Callable[[torch.Tensor], torch.Tensor]
# What was done to angles and to scales, and what undoes it.
MISTAKES: dict[str, tuple[Mistake, float, FrameChange]] = {
    "negated": (lambda a: -a, 1, FrameChange(negated=True)),
    "degrees": (degrees, 1, FrameChange(degrees=True)),
    "negated degrees": (lambda a: degrees(-a), 1, FrameChange(degrees=True, negated=True)),
    "a quarter turn": (lambda a: a + math.pi / 2, 1, FrameChange(quarters=3)),
    "diameters": (lambda a: a, 2, FrameChange(factor=0.5)),
    "half": (lambda a: a, 0.5, FrameChange(factor=2)),
    "OpenCV's": (degrees, 2, FrameChange(degrees=True, factor=0.5)),
}


def spoilt(features: LocalFeatures, name: str) -> LocalFeatures:
    turn, factor, _ = MISTAKES[name]
    assert features.orientations is not None
    assert features.scales is not None
    return replace(
        features, orientations=turn(features.orientations), scales=factor * features.scales
    )


@pytest.fixture(scope="module")
def features() -> LocalFeatures:
    return extract(data.coffee()[:300, :300])


def test_right_frames(features: LocalFeatures) -> None:
    found = check(features)
    assert found.ok
    assert found.frames is not None
    assert found.frames.change == FrameChange()
    assert found.frames.confidence > 0.95
    assert found.advice == "Nothing to do."


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_named_and_mended(name: str, features: LocalFeatures) -> None:
    wrong = spoilt(features, name)
    found = check(wrong)
    assert not found.ok
    assert found.looks_like == "sift"
    assert found.frames is not None
    assert found.frames.change == MISTAKES[name][2]
    assert str(found.frames.change) in found.advice
    mended = found.mend(wrong)
    assert mended.orientations is not None
    assert features.orientations is not None
    off = mended.orientations - features.orientations
    assert torch.atan2(off.sin(), off.cos()).abs().max() < 1e-4
    torch.testing.assert_close(mended.scales, features.scales)
    assert check(mended).ok


def test_order_and_angles_at_once(features: LocalFeatures) -> None:
    order = torch.arange(128).view(4, 4, 8).transpose(0, 1).flatten()
    wrong = replace(spoilt(features, "negated"), descriptors=features.descriptors[:, order])
    found = check(wrong)
    assert found.layout == "a transposed grid"
    assert check(found.mend(wrong)).ok


def test_several_images_are_judged_together(features: LocalFeatures) -> None:
    found = check([spoilt(features, "negated"), spoilt(features[:40], "negated")])
    assert found.count == len(features) + 40
    assert found.frames is not None
    assert found.frames.change == FrameChange(negated=True)


def test_few_keypoints_tell_nothing(features: LocalFeatures) -> None:
    apart = features[torch.tensor([0])]
    for one in (apart, spoilt(apart, "diameters")):
        found = check_frames([one], create_descriptor("sift"))
        assert found is not None
        assert found.change is None
    # But an angle of many turns is in degrees.
    turned = replace(apart, orientations=torch.tensor([200.0]))
    found = check_frames([turned], create_descriptor("sift"))
    assert found is not None
    assert found.change == FrameChange(degrees=True)


def test_nothing_to_compare(features: LocalFeatures) -> None:
    assert check(features.without("orientations")).frames is None
    assert check(extract(data.coffee()[:200, :200], descriptor="hog")).frames is None


def test_a_scale_larger_than_the_picture_is_left_out(features: LocalFeatures) -> None:
    assert features.scales is not None
    scales = features.scales.clone()
    scales[0] = 1e30
    found = check(replace(features, scales=scales))
    assert found.frames is not None
    assert found.frames.change == FrameChange()


# Its window is too wide to agree in pictures of fine texture: no mistake can be told in these.
VAGUE = {("latch", "brick"), ("latch", "chelsea"), ("latch", "rocket"), ("latch", "text")}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TURNING, *UPRIGHT])
def test_no_false_alarm_and_no_mistake_missed(name: str) -> None:
    adapter = create_descriptor(name)
    frame = adapter.frame
    for picture in PICTURES:
        right = adapter.extract(to_image(getattr(data, picture)()))
        assert check(right).frames_ok, picture
        if not frame.rotated or (name, picture) in VAGUE:
            continue
        for mistake, (_, factor, change) in MISTAKES.items():
            if frame.scaled or factor == 1:
                found = check(spoilt(right, mistake)).frames
                assert found is not None
                assert found.change == change, (picture, mistake)


def test_the_slow_test_knows_every_descriptor_that_turns() -> None:
    needs_weights = {"hardnet", "hynet", "sosnet", "tfeat"}
    turning = {name for name in list_descriptors() if create_descriptor(name).frame.rotated}
    assert turning - needs_weights == set(TURNING)
