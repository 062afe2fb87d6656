import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc import LocalFeatures, create_descriptor
from invertdesc.descriptors import _opencv
from invertdesc.descriptors._opencv import DIAMETERS, find_class
from invertdesc.errors import InputError, MissingDependencyError, MissingFieldError
from invertdesc.image import to_gray, to_uint8

NATIVE = {
    "akaze": lambda: find_class("AKAZE").create(threshold=5e-4),
    "brisk": lambda: find_class("BRISK").create(20, 3),
    "kaze": lambda: find_class("KAZE").create(),
    "orb": lambda: find_class("ORB").create(1000, fastThreshold=7),
}
GIVEN = {
    "beblid": lambda: find_class("BEBLID").create(6.75, 100),
    "brief": lambda: find_class("BriefDescriptorExtractor").create(64),
    "boostdesc": lambda: find_class("BoostDesc").create(302, True, 6.75),
    "daisy": lambda: find_class("DAISY").create(),
    "freak": lambda: find_class("FREAK").create(),
    "latch": lambda: find_class("LATCH").create(64),
    "teblid": lambda: find_class("TEBLID").create(6.75, 103),
    "vgg": lambda: find_class("VGG").create(scale_factor=6.75),
}


def features_at(points: Any, size: tuple[int, int] = (256, 256), **fields: Any) -> LocalFeatures:
    points = torch.as_tensor(points, dtype=torch.float32).view(-1, 2)
    given = {"scales": torch.full((len(points),), 3.0), "orientations": torch.zeros(len(points))}
    return LocalFeatures(
        keypoints=points,
        descriptors=torch.zeros(len(points), 1),
        image_size=size,
        descriptor="none",
        **{**given, **fields},
    )


def scattered(count: int = 60) -> LocalFeatures:
    draw = torch.Generator().manual_seed(4)
    return features_at(
        torch.rand(count, 2, generator=draw) * 255,
        scales=torch.rand(count, generator=draw) * 2 + 3,
        orientations=torch.rand(count, generator=draw) * 6,
        scores=torch.rand(count, generator=draw),
    )


@pytest.mark.parametrize("name", NATIVE)
def test_what_opencv_finds_is_found(astronaut: Tensor, name: str) -> None:
    adapter = create_descriptor(name)
    ours = adapter.extract(astronaut)
    keypoints, vectors = NATIVE[name]().detectAndCompute(to_uint8(to_gray(astronaut)), None)
    assert len(ours) == len(keypoints) > 100
    assert np.array_equal(ours.descriptors.numpy(), vectors)
    assert np.allclose(ours.keypoints, [k.pt for k in keypoints], atol=1e-4)
    assert np.allclose(ours.scales, [k.size / DIAMETERS[name] for k in keypoints], rtol=1e-6)
    assert np.allclose(ours.orientations, [math.radians(k.angle) for k in keypoints], atol=1e-5)
    assert np.allclose(ours.scores, [k.response for k in keypoints], rtol=1e-6)
    assert ours.provenance.producer == f"opencv {cv2.__version__}"
    assert ours.provenance.parameters["detector"] == name


@pytest.mark.parametrize("name", GIVEN)
def test_given_keypoints_get_opencvs_vectors(astronaut: Tensor, name: str) -> None:
    """Rows stay with their keypoints, although some are too near to the border."""
    adapter, points = create_descriptor(name), scattered()
    ours = adapter.describe(astronaut, points).features
    theirs = GIVEN[name]()
    diameter = 2.7 if name == "freak" else 2.0
    for row in range(0, len(ours), 7):
        number = int((points.keypoints - ours.keypoints[row]).norm(dim=1).argmin())
        (x, y), turn = points.keypoints[number].tolist(), math.degrees(points.orientations[number])
        given = cv2.KeyPoint(x, y, float(points.scales[number]) * diameter, turn)
        _, vector = theirs.compute(to_uint8(to_gray(astronaut)), [given])
        found = ours.descriptors[row].numpy()
        assert np.allclose(found, vector[0], rtol=1e-3, atol=2e-3)
        assert torch.equal(ours.scores[row], points.scores[number])
    border = name in ("brief", "freak", "latch")
    assert (len(ours) < len(points)) == border
    assert len(ours) > 10


@pytest.mark.parametrize("name", ["akaze", "orb", "sift", "rootsift"])
def test_describing_what_was_found_gives_it_again(astronaut: Tensor, name: str) -> None:
    """Octaves and levels, which our scales do not tell, are worked out as OpenCV has them."""
    adapter = create_descriptor(name)
    found = adapter.extract(astronaut)
    again = adapter.describe(astronaut, found).features
    assert torch.equal(again.keypoints, found.keypoints)
    assert torch.allclose(again.scales, found.scales, rtol=1e-5)
    one, other = adapter.encode(found.descriptors), adapter.encode(again.descriptors)
    alike = F.cosine_similarity(one, other)
    assert (alike > 0.999).float().mean() > 0.97


@pytest.mark.parametrize("name", ["brisk", "freak", "kaze"])
def test_orientations_are_those_that_were_used(astronaut: Tensor, name: str) -> None:
    adapter, points = create_descriptor(name), scattered()
    one = adapter.describe(astronaut, points).features
    other = adapter.describe(astronaut, points.without("orientations")).features
    assert torch.equal(one.orientations, other.orientations)
    assert torch.equal(one.descriptors, other.descriptors)
    assert one.orientations.unique().numel() > 10


@pytest.mark.parametrize("name", ["brief", "daisy"])
def test_upright_descriptors_have_no_orientation(astronaut: Tensor, name: str) -> None:
    adapter = create_descriptor(name)
    assert adapter.extract(astronaut).orientations is None
    bare = scattered().without("orientations", "scales")
    described = adapter.describe(astronaut, bare).features
    assert len(described) > 10
    assert described.scales is None


@pytest.mark.parametrize(("name", "smallest"), [("brisk", 7.2 / 2.7), ("freak", 7 / 2.7)])
def test_scales_are_those_that_were_used(astronaut: Tensor, name: str, smallest: float) -> None:
    small, large = features_at([128, 128], scales=torch.tensor([0.5])), features_at([128, 128])
    adapter = create_descriptor(name)
    assert float(adapter.describe(astronaut, small).features.scales) == pytest.approx(smallest)
    assert float(adapter.describe(astronaut, large).features.scales) == pytest.approx(3.0)


def test_orb_tells_the_level_that_it_took(astronaut: Tensor) -> None:
    scales = torch.tensor([0.5, 31 / 13.5, 2.7, 1000.0])
    points = features_at([[128.0, 128.0]] * 4, scales=scales)
    described = create_descriptor("orb").describe(astronaut, points).features
    assert np.allclose(described.scales * 13.5, [31, 31, 37.2, 31 * 1.2**7])


def test_bits_are_unpacked_from_the_lowest() -> None:
    raw = torch.zeros(1, 32, dtype=torch.uint8)
    raw[0, 0], raw[0, 1] = 0b00000101, 0b10000000
    encoded = create_descriptor("orb").encode(raw)[0]
    assert encoded.shape == (256,)
    assert (encoded > 0).nonzero().flatten().tolist() == [0, 2, 15]
    assert encoded.abs().eq(1).all()


def test_akazes_last_two_bits_are_left_out(astronaut: Tensor) -> None:
    adapter = create_descriptor("akaze")
    raw = adapter.extract(astronaut).descriptors
    assert int((raw[:, -1] >> 6).max()) == 0
    assert torch.equal(adapter.encode(raw), adapter.encode(raw | torch.tensor([0] * 60 + [192])))


def test_daisys_length_is_kept_behind() -> None:
    raw = torch.rand(3, 200)
    encoded = create_descriptor("daisy").encode(raw)
    assert encoded.shape == (3, 201)
    assert torch.allclose(encoded[:, :200].norm(dim=1), torch.ones(3))
    assert torch.allclose((10 * encoded[:, 200]).exp(), raw.norm(dim=1) + 1e-4)


@pytest.mark.parametrize("detector", DIAMETERS)
def test_any_detector_serves(astronaut: Tensor, detector: str) -> None:
    for name in ("beblid", "akaze"):
        features = create_descriptor(name, detector=detector).extract(astronaut)
        assert len(features) > 50
        assert features.provenance.parameters["detector"] == detector


def test_the_strongest_are_kept_in_order(astronaut: Tensor) -> None:
    every = create_descriptor("brief", detector="fast").extract(astronaut)
    some = create_descriptor("brief", detector="fast", max_num_keypoints=50).extract(astronaut)
    assert len(some) == 50
    assert some.scores.min() >= every.scores.sort(descending=True).values[49]
    places = [(every.keypoints == point).all(1).nonzero()[0].item() for point in some.keypoints]
    assert places == sorted(places)


def test_mistakes_are_told(astronaut: Tensor) -> None:
    with pytest.raises(InputError, match=r"Expected a detector among agast, .*; got 'sfit'"):
        create_descriptor("brief", detector="sfit")
    with pytest.raises(InputError, match="max_num_keypoints >= 1"):
        create_descriptor("brisk", max_num_keypoints=0)
    with pytest.raises(InputError, match=r"\(256, 256\), got \(10, 300\)"):
        create_descriptor("brief").describe(astronaut, features_at([3, 3], (10, 300)))
    with pytest.raises(MissingFieldError, match=r"orientations.*describing with 'latch'"):
        create_descriptor("latch").describe(astronaut, scattered().without("orientations"))
    with pytest.raises(MissingFieldError, match=r"scales.*describing with 'freak'"):
        create_descriptor("freak").describe(astronaut, scattered().without("scales"))
    with pytest.raises(InputError, match=r"\(N, 61\) for 'akaze', got \(2, 64\)"):
        create_descriptor("akaze").encode(torch.zeros(2, 64, dtype=torch.uint8))


def test_classes_are_looked_for_in_both_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "OnlyHere", "main", raising=False)
    monkeypatch.setattr(cv2.xfeatures2d, "OnlyThere", "extra", raising=False)
    assert (find_class("OnlyHere"), find_class("OnlyThere")) == ("main", "extra")
    with pytest.raises(MissingDependencyError, match="pip install opencv-contrib-python"):
        find_class("Nowhere")
    monkeypatch.delattr(cv2, "xfeatures2d")
    with pytest.raises(MissingDependencyError, match="an OpenCV with LATCH"):
        create_descriptor("latch").extract(torch.rand(3, 64, 64))


def test_no_keypoints_are_described_as_none(astronaut: Tensor) -> None:
    none = features_at(torch.zeros(0, 2))
    outside = features_at([1, 1])  # BRIEF's window leaves the picture
    adapter = create_descriptor("brief")
    for points in (none, outside):
        described = adapter.describe(astronaut, points).features
        assert described.descriptors.shape == (0, 64)
        assert described.descriptors.dtype == torch.uint8
    flat = torch.full((3, 64, 64), 0.5)
    assert len(adapter.extract(flat)) == 0


def test_somebody_elses_detector_is_not_opencvs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("invertdesc.descriptors.create_descriptor", lambda *_, **__: "a stranger")
    with pytest.raises(InputError, match="to be OpenCV's, to use its detector"):
        _opencv._detector("sift")


def test_adapters_cannot_be_changed() -> None:
    adapter = create_descriptor("freak")
    assert replace(adapter, gray="luma").gray == "luma"
    with pytest.raises(AttributeError):
        adapter.gray = "luma"
