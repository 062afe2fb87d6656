"""When features are equal, and which names of descriptors they may have."""

import pickle
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from invertdesc import LocalFeatures, Provenance, open_store
from invertdesc.errors import UnknownNameError


def make(**changes: Any) -> LocalFeatures:
    fields: dict[str, Any] = {
        "keypoints": torch.tensor([[1.0, 2.0], [30.0, 4.0]]),
        "descriptors": torch.arange(16.0).view(2, 8),
        "image_size": (48, 64),
        "descriptor": "mine",
        "scales": torch.tensor([1.0, 2.0]),
        "provenance": Provenance("luma", "by hand", {"count": 2}),
    }
    return LocalFeatures(**fields | changes)


def test_copies_are_equal() -> None:
    features = make()
    for copy in (make(), pickle.loads(pickle.dumps(features)), deepcopy(features)):
        assert copy == features
        assert hash(copy) == hash(features)
        assert len({copy, features}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"keypoints": torch.tensor([[1.0, 2.0], [30.0, 5.0]])},
        {"descriptors": torch.arange(16, dtype=torch.uint8).view(2, 8)},
        {"image_size": (64, 64)},
        {"descriptor": "yours"},
        {"scales": None},
        {"scores": torch.zeros(2)},
        {"colors": torch.zeros(2, 3)},
        {"provenance": Provenance()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_field_counts(changes: dict[str, Any]) -> None:
    assert make(**changes) != make()


def test_other_numbers_of_keypoints_and_other_things_differ() -> None:
    features = make()
    assert features[:1] != features
    assert features != "features"
    assert [features[:1], features].index(make()) == 1


def test_the_hash_stays_when_values_are_changed_in_place() -> None:
    features = make()
    kept = {features}
    features.descriptors[0, 0] = 99.0
    assert features in kept


def test_a_misspelt_descriptor_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"got 'sitf'\. Did you mean 'sift'\? Register"):
        make(descriptor="sitf")
    with pytest.raises(UnknownNameError, match="'rootsift'"):
        replace(make(), descriptor="RootSIFT")


@pytest.mark.parametrize("name", ["mine", "csift", "sift2", "/a/mine.safetensors"])
def test_a_descriptor_of_ones_own_needs_no_adapter(name: str) -> None:
    assert make(descriptor=name).descriptor == name


@pytest.mark.parametrize(("stored", "read"), [("SIFT", "sift"), ("theirs", "theirs")])
def test_a_file_of_any_name_can_be_read(stored: str, read: str, tmp_path: Path) -> None:
    features = make(descriptors=torch.rand(2, 128), descriptor="plain")
    object.__setattr__(features, "descriptor", stored)  # as before such names were refused
    features.save(tmp_path / "a.npz")
    assert LocalFeatures.load(tmp_path / "a.npz").descriptor == read
    with open_store(tmp_path) as store:
        assert [one.descriptor for _, one in store] == [read]
        assert store.description.descriptor == read
