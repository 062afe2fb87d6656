"""Batches that are gathered from tables of features."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from invertdesc import create_descriptor, extract
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.features.provenance import Provenance
from invertdesc.methods.recipe import Augmentation
from invertdesc.training.data import FeatureData
from invertdesc.training.tables import FeatureTable, Rows


def _some(name: str, pictures: list[Path]) -> list[LocalFeatures]:
    return extract(pictures[:3], descriptor=name)


def _packed(features: list[LocalFeatures]) -> FeatureTable:
    return FeatureTable.pack(Rows.of(one) for one in features)


@pytest.mark.parametrize(("name", "size"), [("sift", 1), ("rootsift", 4), ("orb", 1)])
def test_a_gathered_batch_is_the_collated_one(name: str, size: int, pictures: list[Path]) -> None:
    features = [
        replace(one, image_size=(150, 140), provenance=Provenance(gray=gray))
        for one, gray in zip(_some(name, pictures), ("gamma", "luma", None), strict=True)
    ]
    table = _packed(features)
    assert table.features.descriptors.element_size() == size
    order, kept = [2, 0, 2], [None, torch.tensor([3, 1]), torch.tensor([], dtype=torch.int64)]
    found = table.gather(order, kept)
    parts = [features[2], features[0][torch.tensor([3, 1])], features[2][:0]]
    wanted = FeatureBatch.collate([replace(one, scores=None) for one in parts])
    for field in ("keypoints", "descriptors", "offsets", "scales", "orientations"):
        here, there = getattr(found, field), getattr(wanted, field)
        assert here.dtype == there.dtype
        assert torch.equal(here, there)
    assert found.scores is None
    assert found.descriptor == name
    assert [origin.gray for origin in found.provenances] == [None, "gamma", None]


def test_one_picture_comes_back_with_its_scores(pictures: list[Path]) -> None:
    features = _some("sift", pictures)
    found, wanted = _packed(features).of(1), features[1]
    assert torch.equal(found.descriptors, wanted.descriptors)
    assert wanted.scores is not None
    assert torch.equal(found.scores, wanted.scores)
    assert found.provenance == wanted.provenance


def test_vectors_are_kept_in_8_bits_only_if_all_are_whole() -> None:
    def one(values: list[float]) -> Rows:
        vectors = torch.tensor([values]).repeat(2, 1)
        places = torch.ones(2, 2)
        return Rows.of(
            LocalFeatures(
                keypoints=places, descriptors=vectors, image_size=(9, 9), descriptor="test"
            )
        )

    whole, broken, large = one([0.0, 255.0]), one([1.0, 2.5]), one([1.0, 256.0])
    assert [rows.whole for rows in (whole, broken, large)] == [True, False, False]
    for other in broken, large:
        table = FeatureTable.pack([whole, other])
        assert not table.whole
        assert table.gather([0]).descriptors.tolist() == [[0, 255]] * 2
        assert np.array_equal(table.gather([1]).descriptors.numpy(), other.arrays["descriptors"])


def test_changed_copies_in_memory_are_those_of_the_cache(
    pictures: list[Path], tmp_path: Path
) -> None:
    options = {"crop": 64, "cache": tmp_path, "augmentation": Augmentation(), "workers": 0}
    cached, kept = (
        FeatureData(pictures[:2], ["sift"], variants=2, in_memory=memory, mirrored=True, **options)
        for memory in (False, True)
    )
    for mirrored in False, True:
        for variant in range(2):
            (image, features), (same, stored) = (
                one.item(1, 0, mirrored, variant) for one in (cached, kept)
            )
            assert float((image - same).abs().max()) <= 0.51 / 255  # kept in 8 bits
            assert torch.equal(features.descriptors, stored.descriptors)
            assert torch.equal(features.scores, stored.scores)
    assert kept.bytes > 4 * 2 * 64 * 64 * 3
    with pytest.raises(InputError, match="variants to keep in memory"):
        FeatureData(pictures[:2], ["sift"], in_memory=True, **options)


def test_many_files_are_read_by_several_processes(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = FeatureData(pictures, ["orb"], crop=64, cache=tmp_path, workers=0)
    monkeypatch.setattr("invertdesc.training.data.PARALLEL", 2)
    there = FeatureData(pictures, ["orb"], crop=64, cache=tmp_path, workers=2)
    assert torch.equal(here.pictures[False], there.pictures[False])
    one, other = (data.tables["orb", False].features for data in (here, there))
    assert torch.equal(one.descriptors, other.descriptors)
    assert create_descriptor("orb").encode(one.descriptors).shape[1] == 256
