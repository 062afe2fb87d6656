"""Features to what other libraries hold and back, compared with those libraries."""

import math
from typing import Any

import cv2
import kornia.feature as kornia_feature
import numpy as np
import pytest
import torch
from torch import Tensor

from invertdesc import LocalFeatures, create_descriptor, create_method, reconstruct
from invertdesc.descriptors._opencv import find_class
from invertdesc.errors import InputError, MissingFieldError, UnknownNameError
from invertdesc.image import to_gray, to_uint8

FIELDS = ("keypoints", "descriptors", "scales", "orientations", "scores")
TOOLS = {
    "akaze": lambda: find_class("AKAZE").create(threshold=5e-4),
    "brisk": lambda: find_class("BRISK").create(20, 3),
    "kaze": lambda: find_class("KAZE").create(),
    "orb": lambda: find_class("ORB").create(1000, fastThreshold=7),
    "sift": lambda: find_class("SIFT").create(enable_precise_upscale=True),
}


def assert_same(one: LocalFeatures, other: LocalFeatures, *, tolerance: float = 0.0) -> None:
    assert (one.image_size, one.descriptor) == (other.image_size, other.descriptor)
    for name in FIELDS:
        first, second = getattr(one, name), getattr(other, name)
        assert (first is None) == (second is None), name
        if first is not None:
            torch.testing.assert_close(first, second, rtol=tolerance, atol=tolerance)


def made(count: int = 3, **changes: Any) -> LocalFeatures:
    fields: dict[str, Any] = {
        "keypoints": torch.tensor([[3.0, 4.5], [10.25, 0.0], [19.5, 39.5]])[:count],
        "descriptors": torch.arange(128.0 * count).view(count, 128),
        "image_size": (40, 20),
        "descriptor": "sift",
        "scales": torch.tensor([1.0, 2.0, 6.5])[:count],
        "orientations": torch.tensor([0.0, 1.5, 6.0])[:count],
        "scores": torch.tensor([0.5, 0.25, 0.125])[:count],
    }
    return LocalFeatures(**{**fields, **changes})


@pytest.mark.parametrize("name", TOOLS)
def test_what_opencv_returns_is_what_the_adapter_extracts(astronaut: Tensor, name: str) -> None:
    gray = to_uint8(to_gray(astronaut))
    keypoints, vectors = TOOLS[name]().detectAndCompute(gray, None)
    ours = LocalFeatures.from_opencv(keypoints, vectors, gray.shape, descriptor=name)
    assert_same(ours, create_descriptor(name).extract(astronaut))


@pytest.mark.parametrize("name", ["akaze", "brisk", "orb", "sift"])  # KAZE guesses levels
def test_opencv_computes_at_converted_keypoints_what_it_did(astronaut: Tensor, name: str) -> None:
    keypoints, vectors = create_descriptor(name).extract(astronaut).to_opencv()
    again, computed = TOOLS[name]().compute(to_uint8(to_gray(astronaut)), keypoints)
    assert len(again) == len(keypoints)
    assert np.mean((computed == vectors).all(1)) > 0.9


@pytest.mark.parametrize("name", TOOLS)
def test_opencvs_keypoints_come_back(astronaut: Tensor, name: str) -> None:
    features = create_descriptor(name).extract(astronaut)
    keypoints, vectors = features.to_opencv()
    assert np.array_equal(vectors, features.descriptors.numpy())
    theirs, _ = TOOLS[name]().detectAndCompute(to_uint8(to_gray(astronaut)), None)
    for one, other in zip(keypoints, theirs, strict=True):
        assert one.pt == pytest.approx(other.pt, abs=1e-4)
        assert one.size == pytest.approx(other.size, rel=1e-6)
        assert math.remainder(one.angle - other.angle, 360) == pytest.approx(0, abs=1e-3)
        assert one.response == pytest.approx(other.response, rel=1e-6)


def test_opencv_and_back(astronaut_features: LocalFeatures) -> None:
    again = LocalFeatures.from_opencv(
        *astronaut_features.to_opencv(), astronaut_features.image_size, descriptor="sift"
    )
    assert_same(again, astronaut_features, tolerance=1e-5)


def test_what_is_missing_stays_missing_through_opencv() -> None:
    less = made().without("scales", "orientations")
    keypoints, vectors = less.to_opencv()
    assert [point.size for point in keypoints] == [0, 0, 0]
    assert [point.angle for point in keypoints] == [-1, -1, -1]
    again = LocalFeatures.from_opencv(keypoints, vectors, (40, 20), descriptor="sift")
    assert_same(again, less)


@pytest.mark.parametrize(("name", "width"), [("sift", 128), ("orb", 32)])
def test_nothing_found_by_opencv_is_no_keypoint(name: str, width: int) -> None:
    none = LocalFeatures.from_opencv((), None, (8, 9), descriptor=name)
    assert none.descriptors.shape == (0, width)
    assert (
        none.descriptors.dtype
        == create_descriptor(name).extract(torch.zeros(3, 8, 9)).descriptors.dtype
    )
    assert none.to_opencv()[0] == []


def test_keypoints_a_little_beyond_the_border_are_moved_and_others_refused() -> None:
    vectors = np.zeros((1, 128), np.float32)
    near = LocalFeatures.from_opencv(
        [cv2.KeyPoint(20.0, -0.75, 4)], vectors, (40, 20), descriptor="sift"
    )
    assert near.keypoints.tolist() == [[19.5, -0.5]]
    with pytest.raises(InputError, match=r"inside the 20 x 40 image, got 1"):
        LocalFeatures.from_opencv([cv2.KeyPoint(22, 0, 4)], vectors, (40, 20), descriptor="sift")


def test_vectors_of_another_length_and_unknown_names_are_refused() -> None:
    points = [cv2.KeyPoint(1, 1, 4)]
    with pytest.raises(InputError, match=r"of shape \(N, 128\) for 'sift', got \(0, 64\)"):
        LocalFeatures.from_opencv(points, np.zeros((1, 64)), (40, 20), descriptor="sift")
    with pytest.raises(UnknownNameError, match="Did you mean 'sift'"):
        LocalFeatures.from_opencv(points, np.zeros((1, 128)), (40, 20), descriptor="siftt")


def test_an_adapter_may_be_given_in_place_of_a_name() -> None:
    orb = create_descriptor("orb", levels=4)
    one = LocalFeatures.from_opencv(
        [cv2.KeyPoint(1, 1, 27.0, 90)], np.zeros((1, 32), np.uint8), (40, 20), descriptor=orb
    )
    assert one.descriptor == "orb"
    assert one.scales is not None
    assert one.orientations is not None
    assert one.scales.tolist() == [2.0]
    assert one.orientations.tolist() == pytest.approx([math.pi / 2])


def test_frames_are_as_kornia_reads_them() -> None:
    features = made()
    lafs = features.to_lafs()
    assert lafs.shape == (1, 3, 2, 3)
    torch.testing.assert_close(kornia_feature.get_laf_center(lafs)[0], features.keypoints)
    scale = kornia_feature.get_laf_scale(lafs).flatten()
    torch.testing.assert_close(scale, 6 * features.scales)
    turn = torch.deg2rad(kornia_feature.get_laf_orientation(lafs).flatten())
    assert features.orientations is not None
    torch.testing.assert_close(turn.cos(), features.orientations.cos(), atol=1e-5, rtol=0)
    torch.testing.assert_close(turn.sin(), -features.orientations.sin(), atol=1e-5, rtol=0)
    again = LocalFeatures.from_lafs(
        lafs, features.descriptors[None], (40, 20), descriptor="sift", scores=features.scores[None]
    )
    assert again.orientations is not None
    assert_same(
        again.__class__(**{**vars(again), "orientations": again.orientations % (2 * math.pi)}),
        features,
        tolerance=1e-5,
    )


def test_kornia_describes_converted_frames_as_the_adapter_does(astronaut: Tensor) -> None:
    adapter = create_descriptor("mkd")
    expected = adapter.extract(astronaut)
    gray = to_gray(astronaut, adapter.gray)[None, None]
    lafs = expected.to_lafs()
    patches = kornia_feature.extract_patches_from_pyramid(gray, lafs, PS=32)[0]
    with torch.no_grad():
        found = adapter.network(patches)
    ours = LocalFeatures.from_lafs(lafs, found, (256, 256), descriptor="mkd")
    torch.testing.assert_close(ours.descriptors, expected.descriptors, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.scales, expected.scales)


def test_frames_need_scales_and_stand_upright_without_orientations() -> None:
    with pytest.raises(MissingFieldError, match=r"features\.assume\(scales=\.\.\.\)"):
        made().without("scales").to_lafs()
    upright = made().without("orientations").to_lafs()
    assert torch.equal(upright, made(orientations=torch.zeros(3)).to_lafs())


@pytest.mark.parametrize("shape", [(2, 3, 2, 3), (3, 3, 2), (2, 3)])
def test_frames_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="Expected lafs of"):
        LocalFeatures.from_lafs(torch.ones(shape), torch.ones(3, 128), (9, 9), descriptor="sift")


def test_lightglue_and_back() -> None:
    features = made()
    found = features.to_lightglue()
    assert found["keypoints"].shape == (1, 3, 2)
    assert found["image_size"].tolist() == [[20, 40]]
    assert found["scales"].tolist() == [[2.0, 4.0, 13.0]]
    assert_same(LocalFeatures.from_lightglue(found, descriptor="sift"), features)
    single = {name: field[0] for name, field in found.items()}
    assert_same(LocalFeatures.from_lightglue(single, descriptor="sift"), features)
    only = made().without("scales", "orientations", "scores")
    assert_same(LocalFeatures.from_lightglue(only.to_lightglue(), descriptor="sift"), only)


def test_scales_of_pycolmap_are_sigma_and_positions_corners() -> None:
    features = made()
    found = features.to_lightglue()
    found |= {"keypoints": found["keypoints"] + 0.5, "scales": found["scales"] / 2}
    ours = LocalFeatures.from_lightglue(found, descriptor="sift", backend="pycolmap")
    assert_same(ours, features)


def test_hlocs_arrays_are_transposed() -> None:
    features = made()
    found = {
        "keypoints": features.keypoints.numpy() + 0.5,
        "descriptors": features.descriptors.T.numpy(),
        "scales": features.scales.numpy(),  # type: ignore[union-attr]
        "oris": features.orientations.numpy(),  # type: ignore[union-attr]
        "scores": features.scores.numpy(),  # type: ignore[union-attr]
        "image_size": np.array([20, 40]),
    }
    assert_same(LocalFeatures.from_lightglue(found, descriptor="sift"), features)


def test_a_dictionary_without_its_size_takes_one_and_says_what_it_lacks() -> None:
    found = made().to_lightglue()
    del found["image_size"]
    with pytest.raises(InputError, match=r"Expected image_size=\(H, W\)"):
        LocalFeatures.from_lightglue(found, descriptor="sift")
    assert_same(LocalFeatures.from_lightglue(found, descriptor="sift", image_size=(40, 20)), made())
    del found["descriptors"]
    with pytest.raises(InputError, match="Expected 'descriptors' in the dictionary, got keypoints"):
        LocalFeatures.from_lightglue(found, descriptor="sift", image_size=(40, 20))
    two = {"keypoints": torch.zeros(2, 3, 2), "descriptors": torch.zeros(2, 3, 128)}
    with pytest.raises(InputError, match="Expected keypoints of one image"):
        LocalFeatures.from_lightglue(two, descriptor="sift", image_size=(40, 20))


def test_converted_features_are_reconstructed(astronaut_features: LocalFeatures) -> None:
    found = astronaut_features.to_lightglue()
    ours = LocalFeatures.from_lightglue(found, descriptor="sift")
    tones = {"mean": 0.5, "deviation": 0.1}  # of any gray: the dictionary does not name it
    method = create_method("poisson", **tones)
    one = to_gray(reconstruct(ours, method=method), "luma")
    other = to_gray(reconstruct(astronaut_features, method=method), "gamma")
    assert (one - other).abs().max() < 1e-4
