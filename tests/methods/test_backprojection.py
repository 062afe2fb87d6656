from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from skimage import data
from torch import Tensor

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor, create_method, extract
from invertdesc.descriptors.describing import Described, describe_gray
from invertdesc.descriptors.orb import Orb
from invertdesc.errors import InputError, MissingFieldError, UnknownNameError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.methods.backprojection import BackProjection
from invertdesc.methods.unfold import Unfold

NAMES = ["sift", "orb", "brisk", "freak", "daisy", "mkd", "signed"]


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return to_image(data.astronaut()[40:168, 150:310])


def adapter_of(name: str) -> Any:
    if name == "signed":
        return create_descriptor("hog-opencv", signed=True, orientations=18)
    return create_descriptor(name)


def distance(name: str, features: LocalFeatures, picture: Tensor) -> float:
    adapter = adapter_of(name)
    own = describe_gray(adapter, to_gray(picture, features.provenance.gray_mode), features)
    made, given = (
        adapter.encode(part) for part in (own.features.descriptors, features.descriptors[own.rows])
    )
    return float((made - given).square().mean())


@pytest.mark.parametrize("name", NAMES)
def test_descriptors_come_nearer_and_so_does_the_picture(photo: Tensor, name: str) -> None:
    photo = to_image(data.astronaut()[::2, ::2]) if name == "orb" else photo  # for its wide border
    adapter = adapter_of(name)
    features = extract(photo, descriptor=adapter)
    batch = FeatureBatch.collate([features])
    start, end = (
        create_method(one, descriptor=adapter)(batch)[0] for one in ("unfold", "backprojection")
    )
    assert distance(name, features, end) < 0.9 * distance(name, features, start)
    truth = to_gray(photo)
    if name == "signed":
        return  # on some pictures it comes nearer, on this it does not
    assert float(ncc(to_gray(end, "gamma"), truth)) > float(ncc(to_gray(start, "gamma"), truth))


def test_colours_are_those_of_the_start(photo: Tensor) -> None:
    batch = FeatureBatch.collate([extract(photo)])
    start, end = (create_method(name)(batch)[0] for name in ("unfold", "backprojection"))
    hues = [one.pow(1 / 2.2) - to_gray(one) for one in (start, end)]
    inside = (end > 0.01).all(0) & (end < 0.99).all(0) & (start > 0.01).all(0)
    torch.testing.assert_close(hues[0][:, inside], hues[1][:, inside], atol=1e-4, rtol=0)
    assert float(hues[0].abs().max()) > 0.05
    gray = BackProjection(start="poisson")(batch)[0]
    assert float(gray.std(0).max()) == 0.0


@pytest.mark.parametrize("gray", ["gamma", "luma"])
def test_either_gray_is_met(photo: Tensor, gray: Any) -> None:
    """An adapter of the other mode is given what it takes for the same gray."""
    features = extract(photo, descriptor=create_descriptor("sift", gray=gray))
    batch = FeatureBatch.collate([features])
    pictures = [
        BackProjection(create_descriptor("sift", gray=mode), start="poisson")(batch)
        for mode in ("gamma", "luma")
    ]
    torch.testing.assert_close(*pictures, atol=0.02, rtol=0)


def test_the_picture_with_the_nearest_descriptors_is_kept(photo: Tensor) -> None:
    features = extract(photo)
    batch = FeatureBatch.collate([features])
    found = [
        distance("sift", features, BackProjection(start="poisson", steps=n, step=8.0)(batch)[0])
        for n in range(4)
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[0]


@pytest.mark.parametrize("name", ["hog", "hog-opencv"])
def test_signs_that_nobody_knows_are_left_alone(photo: Tensor, name: str) -> None:
    batch = FeatureBatch.collate([extract(photo, descriptor=name)])
    assert torch.equal(*(create_method(one)(batch) for one in ("unfold", "backprojection")))


def test_a_start_may_be_any_method(photo: Tensor) -> None:
    batch = FeatureBatch.collate([extract(photo)])
    truth = to_gray(photo)

    def half(batch: FeatureBatch) -> Tensor:
        noise = torch.rand(1, 1, *batch.image_size, generator=torch.Generator().manual_seed(0))
        return (0.45 + 0.1 * noise).expand(-1, 3, -1, -1)

    end = BackProjection(start=half, steps=8)(batch)[0]
    assert float(ncc(to_gray(end, "gamma"), truth)) > 0.7
    none = BackProjection(start=half, steps=0)(batch)
    assert torch.equal(none, half(batch))


def test_tones_of_a_start_by_unfold_are_corrected(photo: Tensor) -> None:
    batch = FeatureBatch.collate([extract(photo)])
    ours = Unfold()
    others = Unfold(network=ours.network)  # of which nobody knows what its tones lack
    gray = to_gray(ours(batch)[0])
    assert torch.equal(others.correct_tones(gray, "gamma"), gray)
    wanted = ours.correct_tones(gray, "gamma")
    assert float((wanted.mean() - gray.mean()).abs()) > 0.008
    for start, level in ((ours, wanted.mean()), (others, gray.mean())):
        end = to_gray(BackProjection(start=start)(batch)[0])
        assert float((end.mean() - level).abs()) < 0.003


@dataclass(frozen=True, kw_only=True)
class HalfOrb(Orb):
    """ORB that can be computed at every other keypoint alone."""

    name: ClassVar[str] = "orb"

    def describe(self, image: Tensor, features: LocalFeatures) -> Described:
        rows = torch.arange(1, len(features), 2)
        return Described(super().describe(image, features[rows]).features, rows)


def test_keypoints_that_cannot_be_described_are_left_alone(photo: Tensor) -> None:
    features = extract(photo, descriptor="orb")
    spoilt = features.descriptors.clone()
    spoilt[::2] = 255 - spoilt[::2]  # of rows that are never looked at
    others = replace(features, descriptors=spoilt)
    start = create_method("poisson")(FeatureBatch.collate([features]))
    pictures = [
        BackProjection(HalfOrb(), start=lambda _: start)(FeatureBatch.collate([one]))
        for one in (features, others)
    ]
    assert torch.equal(*pictures)
    assert not torch.equal(pictures[0], start)


def test_whole_numbers_are_compared_with_whole_numbers(photo: Tensor) -> None:
    adapter = create_descriptor("rootsift")
    features = extract(photo, descriptor=adapter)
    stored = replace(features, descriptors=(features.descriptors * 512).round().clamp(0, 255))
    own = describe_gray(adapter, to_gray(photo), stored).features.descriptors
    assert torch.equal(own, own.round())
    assert float((own - stored.descriptors).abs().mean()) < 0.5


def test_what_it_cannot_do_is_told(photo: Tensor) -> None:
    lacking = extract(photo).without("orientations")
    with pytest.raises(MissingFieldError, match=r"orientations.*'backprojection'"):
        BackProjection(start="coarse")(FeatureBatch.collate([lacking]))
    with pytest.raises(UnknownNameError, match="'unfold'"):
        BackProjection(start="unfolt")
    with pytest.raises(InputError, match=r"Expected steps >= 0, got -1"):
        BackProjection(steps=-1)
    with pytest.raises(InputError, match=r"Expected step > 0, got 0"):
        BackProjection(step=0.0)

    class Stranger:
        name, dim, frame = "stranger", 3, create_descriptor("sift").frame

        def encode(self, raw: Tensor) -> Tensor:
            return raw

    with pytest.raises(InputError, match=r"given keypoints.*'stranger'.*describe\(\)"):
        BackProjection(Stranger())  # type: ignore[arg-type]
