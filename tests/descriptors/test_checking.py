from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data

from invertdesc import LocalFeatures, check, extract
from invertdesc.descriptors.checking import fingerprint
from invertdesc.errors import InputError

MIRRORED = [0, 7, 6, 5, 4, 3, 2, 1]
OPENCV = torch.arange(128).view(4, 4, 8)
# How others store OpenCV's numbers: column j of theirs is column WRITTEN[name][j] of OpenCV's.
WRITTEN = {
    "VLFeat's order": OPENCV[..., MIRRORED],
    "a transposed grid": OPENCV.transpose(0, 1),
    "OpenMVG's order": OPENCV[..., MIRRORED].transpose(0, 1),
    "kornia's order": OPENCV[..., MIRRORED].permute(2, 0, 1),
}
PICTURES = ("astronaut", "camera", "chelsea", "coffee")


@pytest.fixture(scope="module", params=PICTURES)
def features(request: pytest.FixtureRequest) -> LocalFeatures:
    return extract(getattr(data, request.param)()[:300, :300])


def as_root(features: LocalFeatures) -> LocalFeatures:
    vectors = torch.nn.functional.normalize(features.descriptors, p=1, dim=1).sqrt()
    return replace(features, descriptors=vectors, descriptor="rootsift")


def test_in_order(features: LocalFeatures) -> None:
    for one in (features, as_root(features)):
        found = check(one)
        assert found.ok
        assert found.looks_like == found.expected == one.descriptor
        assert found.confidence > 0.7
        assert found.order is None


@pytest.mark.parametrize("name", WRITTEN)
def test_other_order(name: str, features: LocalFeatures) -> None:
    wrong = replace(features, descriptors=features.descriptors[:, WRITTEN[name].flatten()])
    found = check(wrong)
    assert not found.ok
    assert found.looks_like == f"sift, {name}"
    assert found.confidence > 0.7
    assert name in found.advice
    assert torch.equal(wrong.descriptors[:, found.order], features.descriptors)


def test_root_and_plain_are_told_apart(features: LocalFeatures) -> None:
    found = check(replace(as_root(features), descriptor="sift"))
    assert found.looks_like == "rootsift"
    assert "descriptor='rootsift'" in found.advice
    found = check(replace(features, descriptor="rootsift"))
    assert found.looks_like == "sift"
    swapped = as_root(features).descriptors[:, WRITTEN["VLFeat's order"].flatten()]
    assert check(replace(features, descriptors=swapped)).looks_like == "rootsift, VLFeat's order"


def test_unit_does_not_matter(features: LocalFeatures) -> None:
    assert check(replace(features, descriptors=features.descriptors / 512)).ok


def test_strangers(features: LocalFeatures) -> None:
    random = torch.rand(300, 128, generator=torch.Generator().manual_seed(0))
    shuffled = features.descriptors[:, torch.randperm(128, generator=torch.Generator())]
    for vectors in (random[: len(features)], shuffled, -features.descriptors):
        found = check(replace(features[: len(vectors)], descriptors=vectors))
        assert found.looks_like == "unknown"
        assert "do not look like 'sift'" in found.advice


def test_few_keypoints(astronaut_features: LocalFeatures) -> None:
    for count in (0, 1, 3):
        found = check(astronaut_features[:count])
        assert found.ok or "are few" in found.advice


@pytest.mark.parametrize("name", ["orb", "brief", "brisk", "latch", "akaze"])
def test_bits(name: str, astronaut: torch.Tensor) -> None:
    right = extract(astronaut, descriptor=name)
    assert check(right).ok
    raw = right.descriptors
    turned = torch.from_numpy(
        np.packbits(np.unpackbits(raw.numpy(), axis=1, bitorder="little"), axis=1)
    )
    cases = {
        f"{name}, bits of each byte turned round": turned,
        f"{name}, bytes turned round": raw.flip(1),
        f"{name}, all bits turned round": turned.flip(1),
        "unknown": raw[:, torch.randperm(raw.shape[1], generator=torch.Generator())],
    }
    for looks_like, vectors in cases.items():
        found = check(replace(right, descriptors=vectors))
        assert found.looks_like == looks_like
        if found.order is not None:
            assert torch.equal(vectors[:, found.order], raw)


@pytest.mark.parametrize("name", ["daisy", "kaze", "hog", "hog-opencv", "mkd", "sift-kornia"])
def test_numbers(name: str, astronaut: torch.Tensor) -> None:
    right = extract(astronaut, descriptor=name)
    assert check(right).ok
    mixed = right.descriptors[:, torch.randperm(right.descriptors.shape[1])]
    assert check(replace(right, descriptors=mixed)).looks_like == "unknown"


def test_opencv_order_for_kornia(astronaut: torch.Tensor) -> None:
    right = extract(astronaut, descriptor="sift-kornia")
    inverse = WRITTEN["kornia's order"].flatten().argsort()
    found = check(replace(right, descriptors=right.descriptors[:, inverse]))
    assert found.looks_like == "sift-kornia, OpenCV's order"


def test_what_cannot_be_checked(astronaut_features: LocalFeatures) -> None:
    with pytest.raises(InputError, match="shape"):
        check(replace(astronaut_features, descriptors=astronaut_features.descriptors[:, :64]))
    with pytest.raises(InputError, match=r"with statistics to check by .*'hardnet'"):
        check(astronaut_features, descriptor="hardnet")


def test_fingerprint() -> None:
    vectors = torch.tensor([[1.0, 2.0, 5.0], [3.0, 0.0, 5.0]])
    found = fingerprint(vectors)
    assert found.shape == (8, 3)
    torch.testing.assert_close(found[0], torch.tensor([2.0, 1.0, 5.0]))
    torch.testing.assert_close(found[1], torch.tensor([-1.0, 0.0, 0.0]))  # a flat column tells none
    assert not found[3:].any()
    with pytest.raises(InputError, match="found none"):
        fingerprint(torch.zeros(0, 128))
