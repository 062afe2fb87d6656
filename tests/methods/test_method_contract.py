"""What holds for every registered method."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from skimage import data

from invertdesc import FeatureBatch, LocalFeatures, create_method, extract, list_methods
from invertdesc.errors import MissingFieldError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.methods import Method, Needs, methods
from invertdesc.methods.database import Collector

DESCRIPTOR = {  # of methods that do not serve SIFT
    "biht": "brisk",
    "bovw": "sift-dense",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "backprojection": {"steps": 2},
    "gradient": {"steps": 5},
    "unfold+gradient": {"steps": 5},
    "maxent": {"steps": 8, "samples": 4},
    "tv": {"steps": 30},
}


def _create(name: str, database: Callable[[str], Path]) -> Method:
    options = OPTIONS.get(name, {})
    if isinstance(methods.get(name), Collector):
        options = options | {"database": database(name)}
    return create_method(name, **options)


@pytest.fixture(scope="module", params=list_methods())
def method(request: pytest.FixtureRequest, database: Callable[[str], Path]) -> Method:
    return _create(request.param, database)


@pytest.fixture(scope="module")
def images() -> list[torch.Tensor]:
    return [to_image(picture[40:168, 90:250]) for picture in (data.astronaut(), data.coffee())]


@pytest.fixture(scope="module")
def features(method: Method, images: list[torch.Tensor]) -> list[LocalFeatures]:
    return extract(images, descriptor=DESCRIPTOR.get(method.name, "sift"))


def test_it_carries_its_registry_name(method: Method) -> None:
    assert method.name in list_methods()
    assert isinstance(method, Method)
    assert str(method.needs)
    assert method.serves(DESCRIPTOR.get(method.name, "sift"))


def test_it_is_a_module(method: Method) -> None:
    assert not method.training
    weights = list(method.parameters())
    assert all(weight.dtype == torch.float32 for weight in weights)
    assert method.to("cpu") is method


def test_nothing_is_drawn_from_the_global_generator(
    method: Method, features: list[LocalFeatures], database: Callable[[str], Path]
) -> None:
    before = torch.get_rng_state()
    _create(method.name, database)(FeatureBatch.collate(features[:1]))
    assert torch.equal(torch.get_rng_state(), before)


def test_pictures_have_the_size_range_and_likeness_of_the_image(
    method: Method, features: list[LocalFeatures], images: list[torch.Tensor]
) -> None:
    pictures = method(FeatureBatch.collate(features))
    assert pictures.shape == (2, 3, 128, 160)
    assert pictures.dtype == torch.float32
    assert 0 <= float(pictures.min()) < float(pictures.max()) <= 1
    likeness = ncc(to_gray(pictures, "luma"), to_gray(torch.stack(images), "luma"))
    if "grid" in method.needs.abilities:
        return  # a bag without places is compared with a random arrangement, in its own test
    # What sees neither scale nor orientation, and was trained on faces, comes less far.
    assert likeness.min() > (0.5 if "unfolding" in method.needs.abilities else 0.1)


def test_a_picture_does_not_depend_on_its_batch(
    method: Method, features: list[LocalFeatures]
) -> None:
    together = method(FeatureBatch.collate(features))
    alone = torch.cat([method(FeatureBatch.collate([one])) for one in features])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0)
    assert torch.equal(together, method(FeatureBatch.collate(features)))


@pytest.mark.parametrize("size", [(1, 1), (5, 37), (33, 64)])
def test_any_image_size_and_no_keypoints(
    method: Method, features: list[LocalFeatures], size: tuple[int, int]
) -> None:
    empty = LocalFeatures(
        keypoints=torch.zeros(0, 2),
        descriptors=features[0].descriptors[:0],
        image_size=size,
        descriptor=DESCRIPTOR.get(method.name, "sift"),
        scales=torch.zeros(0),
        orientations=torch.zeros(0),
    )
    picture = method(FeatureBatch.collate([empty]))
    assert picture.shape == (1, 3, *size)
    assert picture.isfinite().all()


def test_what_is_missing_is_named(method: Method, features: list[LocalFeatures]) -> None:
    lacking = FeatureBatch.collate([replace(one, orientations=None) for one in features])
    if method.needs != Needs() and features[0].orientations is not None:
        with pytest.raises(MissingFieldError, match="orientations"):
            method(lacking)
    else:
        whole = method(FeatureBatch.collate(features))
        torch.testing.assert_close(method(lacking), whole)
