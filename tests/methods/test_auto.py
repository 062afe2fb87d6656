from dataclasses import replace
from typing import Any

import pytest
import torch
from skimage import data
from torch import Tensor

from invertdesc import FeatureBatch, create_descriptor, create_method, extract, reconstruct
from invertdesc.descriptors.orb import Orb
from invertdesc.errors import FileError, MissingDependencyError
from invertdesc.image import to_image
from invertdesc.methods.auto import SLOW, Auto


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return to_image(data.astronaut()[40:136, 180:276])


def test_it_is_the_default_and_back_projects_twice(photo: Tensor) -> None:
    features = extract(photo)
    batch = FeatureBatch.collate([features])
    wanted = create_method("backprojection", steps=2)(batch)[0]
    assert torch.equal(reconstruct(features), wanted)
    assert not torch.equal(wanted, create_method("unfold")(batch)[0])


def test_it_looks_no_more_often_than_it_steps(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, seen = FeatureBatch.collate([extract(photo)]), []
    look = Auto._look
    monkeypatch.setattr(Auto, "_look", staticmethod(lambda *one: seen.append(1) or look(*one)))
    Auto()(batch)
    assert len(seen) == 2
    seen.clear()
    Auto(steps=1)(batch)  # nothing says that the only step comes nearer
    assert len(seen) == 2


def test_after_a_step_that_came_no_nearer_the_last_is_looked_at(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, seen = FeatureBatch.collate([extract(photo)]), []
    look = Auto._look

    def farther(*one: Any) -> Any:
        seen.append(1)
        return replace(look(*one), distance=float(len(seen)))

    monkeypatch.setattr(Auto, "_look", staticmethod(farther))
    assert torch.equal(Auto()(batch), create_method("unfold")(batch))
    assert len(seen) == 3


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
