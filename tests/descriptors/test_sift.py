import math
import re
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc import LocalFeatures, create_descriptor, extract
from invertdesc.errors import InputError
from invertdesc.image import to_gray, to_uint8


def wrapped(angle: Tensor) -> Tensor:
    """Angles brought to -pi to pi."""
    return torch.atan2(angle.sin(), angle.cos())


def matched(
    one: LocalFeatures, points: Tensor, other: LocalFeatures, *, within: float
) -> tuple[LocalFeatures, LocalFeatures]:
    """Pair features of two images by where `points` says that those of the first one went."""
    distance, nearest = torch.cdist(points, other.keypoints).min(1)
    good = distance < within
    return one[good], other[nearest[good]]


@pytest.mark.parametrize("gray", ["gamma", "luma"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"contrast_threshold": 0.02, "edge_threshold": 15.0, "octave_layers": 4, "sigma": 1.4},
    ],
)
def test_sift_is_that_of_opencv(astronaut: Tensor, options: dict[str, Any], gray: str) -> None:
    ours = extract(astronaut, descriptor=create_descriptor("sift", gray=gray, **options))
    theirs = cv2.SIFT.create(
        nOctaveLayers=options.get("octave_layers", 3),
        contrastThreshold=options.get("contrast_threshold", 0.04),
        edgeThreshold=options.get("edge_threshold", 10),
        sigma=options.get("sigma", 1.6),
        enable_precise_upscale=True,
    )
    keypoints, vectors = theirs.detectAndCompute(to_uint8(to_gray(astronaut, gray)), None)
    assert len(ours) == len(keypoints) > 200
    assert ours.image_size == (256, 256)
    assert np.array_equal(ours.descriptors.numpy(), vectors)
    assert np.allclose(ours.keypoints, [k.pt for k in keypoints], atol=1e-4)
    assert np.allclose(ours.scales, [k.size / 2 for k in keypoints], rtol=1e-6)
    assert np.allclose(ours.orientations, [math.radians(k.angle) for k in keypoints], atol=1e-5)
    assert np.allclose(ours.scores, [k.response for k in keypoints], rtol=1e-6)


def test_options_change_what_is_found(astronaut: Tensor, astronaut_features: LocalFeatures) -> None:
    def count(**options: Any) -> int:
        return len(extract(astronaut, descriptor=create_descriptor("sift", **options)))

    assert count(contrast_threshold=0.02) > len(astronaut_features)
    assert count(edge_threshold=20.0) > len(astronaut_features)
    assert count(sigma=3.0) < len(astronaut_features)


def test_emitted_values_are_whole_numbers_of_a_byte(astronaut_features: LocalFeatures) -> None:
    vectors = astronaut_features.descriptors
    assert vectors.dtype == torch.float32
    assert vectors.shape[1] == 128
    assert torch.equal(vectors, vectors.round())
    assert 0 <= vectors.min() <= vectors.max() <= 255


def test_turned_image_has_turned_keypoints(
    astronaut: Tensor, astronaut_features: LocalFeatures
) -> None:
    turned = extract(astronaut.rot90(-1, (1, 2)))  # a quarter turn clockwise on the screen
    x, y = astronaut_features.keypoints.unbind(1)
    expected = torch.stack([255 - y, x], 1)
    before, after = matched(astronaut_features, expected, turned, within=0.3)
    assert len(before) > 0.8 * len(astronaut_features)
    turn = wrapped(after.orientations - before.orientations)
    assert turn.median().item() == pytest.approx(math.pi / 2, abs=0.01)
    assert ((turn - math.pi / 2).abs() < 0.05).float().mean() > 0.6
    assert (after.scales / before.scales).median().item() == pytest.approx(1, abs=0.01)


def test_doubled_image_has_doubled_scales(
    astronaut: Tensor, astronaut_features: LocalFeatures
) -> None:
    large = F.interpolate(astronaut[None], scale_factor=2, mode="bilinear", align_corners=False)
    doubled = extract(large[0].clamp(0, 1))
    expected = 2 * astronaut_features.keypoints + 0.5
    before, after = matched(astronaut_features, expected, doubled, within=1.0)
    assert len(before) > 0.5 * len(astronaut_features)
    assert (after.scales / before.scales).median().item() == pytest.approx(2, abs=0.1)
    offset = after.keypoints - (2 * before.keypoints + 0.5)
    assert offset.median(0).values.abs().max() < 0.1
    turn = wrapped(after.orientations - before.orientations)
    assert turn.median().item() == pytest.approx(0, abs=0.02)


def test_rootsift_is_the_root_of_normalised_sift(
    astronaut: Tensor, astronaut_features: LocalFeatures
) -> None:
    root = extract(astronaut, descriptor="rootsift")
    vectors = astronaut_features.descriptors
    expected = (vectors / vectors.sum(1, keepdim=True)).sqrt()
    assert root.descriptor == "rootsift"
    assert torch.equal(root.keypoints, astronaut_features.keypoints)
    assert (root.descriptors - expected).abs().max() < 1e-6
    assert (root.descriptors.norm(dim=1) - 1).abs().max() < 1e-5


def test_rootsift_and_sift_are_encoded_alike(
    astronaut: Tensor, astronaut_features: LocalFeatures
) -> None:
    root = extract(astronaut, descriptor="rootsift")
    one = create_descriptor("sift").encode(astronaut_features.descriptors)
    other = create_descriptor("rootsift").encode(root.descriptors)
    assert one.shape == other.shape == (len(root), 128)
    assert (F.cosine_similarity(one, other) - 1).abs().max() < 1e-3
    assert (one - other).abs().max() < 1e-3


@pytest.mark.parametrize("name", ["sift", "rootsift"])
def test_encoded_vectors_have_length_one_in_whatever_unit(
    name: str, astronaut_features: LocalFeatures
) -> None:
    encode = create_descriptor(name).encode
    vectors = astronaut_features.descriptors
    encoded = encode(vectors)
    assert encoded.dtype == torch.float32
    assert (encoded.norm(dim=1) - 1).abs().max() < 1e-5
    assert torch.allclose(encode(vectors / 512), encoded, atol=1e-5)
    assert torch.allclose(encode(vectors.to(torch.uint8)), encoded, atol=1e-6)


def test_encoded_zeros_stay_zero() -> None:
    assert create_descriptor("sift").encode(torch.zeros(2, 128)).abs().max() == 0


@pytest.mark.parametrize("name", ["sift", "rootsift"])
@pytest.mark.parametrize("shape", [(3, 64), (128,), (3, 128, 1), (0, 127), ()])
def test_vectors_of_another_shape_are_named(name: str, shape: tuple[int, ...]) -> None:
    message = f"Expected descriptors of shape (N, 128) for '{name}', got {shape}."
    with pytest.raises(InputError, match=re.escape(message)):
        create_descriptor(name).encode(torch.zeros(shape))


def test_no_vectors_are_encoded_to_none() -> None:
    assert create_descriptor("sift").encode(torch.zeros(0, 128)).shape == (0, 128)


def test_strongest_keypoints_are_kept_in_their_order(
    astronaut: Tensor, astronaut_features: LocalFeatures
) -> None:
    few = extract(astronaut, descriptor=create_descriptor("sift", max_num_keypoints=50))
    scores = astronaut_features.scores
    assert sorted(few.scores.tolist()) == sorted(scores.tolist())[-50:]
    rows = scores.argsort(descending=True, stable=True)[:50].sort().values
    assert torch.equal(few.keypoints, astronaut_features.keypoints[rows])
    assert torch.equal(few.descriptors, astronaut_features.descriptors[rows])


def test_more_keypoints_than_there_are_may_be_asked_for(
    astronaut: Tensor, astronaut_features: LocalFeatures
) -> None:
    adapter = create_descriptor("sift", max_num_keypoints=10**6)
    assert torch.equal(
        extract(astronaut, descriptor=adapter).keypoints, astronaut_features.keypoints
    )


@pytest.mark.parametrize("count", [0, -5])
def test_max_num_keypoints_below_one_is_refused(count: int) -> None:
    with pytest.raises(InputError, match=f"max_num_keypoints >= 1 or None, got {count}"):
        create_descriptor("sift", max_num_keypoints=count)


@pytest.mark.parametrize("name", ["sift", "rootsift"])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_image_has_no_keypoints(name: str, value: float) -> None:
    features = extract(torch.full((3, 64, 48), value), descriptor=name)
    assert len(features) == 0
    assert features.descriptors.shape == (0, 128)
    assert features.image_size == (64, 48)
    assert features.scales is not None


@pytest.mark.parametrize("name", ["sift", "rootsift"])
def test_provenance_tells_how_to_compute_it_again(astronaut: Tensor, name: str) -> None:
    adapter = create_descriptor(name, contrast_threshold=0.06, gray="luma")
    features = extract(astronaut, descriptor=adapter)
    told = features.provenance
    assert features.descriptor == adapter.name == name
    assert told.gray == "luma"
    assert told.producer == f"opencv {cv2.__version__}"
    assert told.parameters["contrast_threshold"] == 0.06
    again = extract(astronaut, descriptor=create_descriptor(name, **told.parameters))
    assert torch.equal(again.keypoints, features.keypoints)
    assert torch.equal(again.descriptors, features.descriptors)
    assert again.provenance == told


def test_unknown_gray_mode_is_named(astronaut: Tensor) -> None:
    with pytest.raises(InputError, match="gray mode among gamma, luma; got 'green'"):
        extract(astronaut, descriptor=create_descriptor("sift", gray="green"))


def test_adapters_are_frozen_and_compare_by_their_options() -> None:
    assert create_descriptor("sift", sigma=2.0) == create_descriptor("sift", sigma=2.0)
    assert create_descriptor("sift") != create_descriptor("sift", sigma=2.0)
    assert create_descriptor("sift") != create_descriptor("rootsift")
    with pytest.raises(AttributeError):
        create_descriptor("sift").sigma = 2.0


@pytest.mark.parametrize(("name", "bad"), [("octave_layers", 0), ("sigma", -1.0)])
def test_options_that_opencv_cannot_work_with_are_told(name, bad):
    with pytest.raises(InputError, match=rf"Expected {name} >=? [01], got {bad}\."):
        create_descriptor("sift", **{name: bad})
