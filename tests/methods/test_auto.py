from dataclasses import replace
from typing import Any

import pytest
import torch
from skimage import data
from torch import Tensor

from invertdesc import (
    FeatureBatch,
    LocalFeatures,
    create_descriptor,
    create_method,
    extract,
    reconstruct,
)
from invertdesc.descriptors.orb import Orb
from invertdesc.errors import FileError, MissingDependencyError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.methods.auto import SLOW, Auto, coarser


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return to_image(data.astronaut()[40:136, 180:276])


def test_it_is_the_default_and_back_projects_twice(photo: Tensor) -> None:
    features = extract(photo)
    batch = FeatureBatch.collate([features])
    assert torch.equal(reconstruct(features), Auto()(batch)[0])
    assert not torch.equal(Auto()(batch), create_method("unfold")(batch))
    batch = FeatureBatch.collate([extract(photo, descriptor="akaze")])
    wanted = create_method("backprojection", steps=2)(batch)
    torch.testing.assert_close(Auto()(batch), wanted, rtol=0, atol=0)


def test_with_sift_further_steps_use_the_coarser_keypoints(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, seen = extract(photo), []
    scales = features.scales
    assert scales is not None
    look = Auto.look

    def noted(adapter: Any, gray: Tensor, some: LocalFeatures) -> Any:
        seen.append(some)
        return look(adapter, gray, some)

    monkeypatch.setattr(Auto, "look", staticmethod(noted))
    auto = Auto()(FeatureBatch.collate([features]))
    assert [len(one) for one in seen] == [len(features), len(seen[1]), len(seen[1])]
    assert 0 < len(seen[1]) < len(features)
    assert seen[1].scales.min() > 1.9 * scales.min()
    truth = to_gray(photo)
    start, twice = (
        create_method(name)(FeatureBatch.collate([features]))[0]
        for name in ("unfold", "backprojection")
    )
    near = [float(ncc(to_gray(one, "gamma"), truth)) for one in (start, twice, auto[0])]
    assert near[2] > near[0]


@pytest.mark.parametrize("scales", [None, torch.tensor([2.0])])
def test_coarser_keypoints_may_be_none(scales: Tensor | None) -> None:
    features = LocalFeatures(
        keypoints=torch.ones(1, 2),
        descriptors=torch.ones(1, 128),
        image_size=(8, 8),
        scales=scales,
        descriptor="sift",
    )
    assert not len(coarser(features))


def test_it_looks_no_more_often_than_it_steps(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, seen = FeatureBatch.collate([extract(photo)]), []
    look = Auto.look
    monkeypatch.setattr(Auto, "look", staticmethod(lambda *one: seen.append(1) or look(*one)))
    Auto()(batch)
    assert len(seen) == 3
    seen.clear()
    Auto(steps=1)(batch)  # nothing says that the only step comes nearer
    assert len(seen) == 2


def test_after_a_step_that_came_no_nearer_the_last_is_looked_at(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, seen = FeatureBatch.collate([extract(photo)]), []
    look = Auto.look

    def farther(*one: Any) -> Any:
        seen.append(1)
        return replace(look(*one), distance=float(len(seen)))

    monkeypatch.setattr(Auto, "look", staticmethod(farther))
    assert torch.equal(Auto()(batch), create_method("unfold")(batch))
    assert len(seen) == 4


@pytest.mark.parametrize("error", [MissingDependencyError("no library"), FileError("no weights")])
def test_without_the_extractor_it_is_unfold(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    adapter = create_descriptor("orb")
    batch = FeatureBatch.collate([adapter.extract(photo)])
    monkeypatch.setattr(Orb, "describe", refuse)
    assert torch.equal(Auto()(batch), create_method("unfold")(batch))


@pytest.mark.parametrize("name", SLOW)
def test_slow_extractors_are_left_out(photo: Tensor, name: str) -> None:
    batch = FeatureBatch.collate([extract(photo, descriptor=name)])
    assert torch.equal(Auto()(batch), create_method("unfold")(batch))
