"""Learned descriptors are named by files, by COLMAP's column and by what vectors look like."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from make_stores import change, write_colmap, write_hloc

from invertdesc import Frame, LocalFeatures, Unfolding, open_store, reconstruct_store
from invertdesc.errors import FileError, InputError
from invertdesc.stores._learned import guess, name_in_file

RNG = np.random.default_rng(0)


def around(mean: np.ndarray, count: int = 200) -> np.ndarray:
    drawn = mean + RNG.normal(size=(count, len(mean))) / np.sqrt(len(mean))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype("f4")


@pytest.mark.parametrize(
    ("file", "width", "name"),
    [
        ("feats-superpoint-n4096-r1024.h5", 256, "superpoint"),
        ("feats-superpoint-n4096-rmax1600.h5", 256, "superpoint"),
        ("feats-r2d2-n5000-r1024.h5", 128, "r2d2"),
        ("feats-d2net-ss.h5", 512, "d2-net"),
        ("feats-disk.h5", 128, "disk"),
        ("feats-aliked-n16.h5", 128, "aliked-n16"),
        ("feats-aliked-n16rot.h5", 128, "aliked-n16rot"),
        ("feats-xfeat-n5000-r1600.h5", 64, "xfeat"),
        ("feats-sosnet.h5", 128, "sosnet"),
        ("feats-sift.h5", 128, None),
        ("feats-disk.h5", 64, None),
        ("diskette.h5", 128, None),
    ],
)
def test_names_of_hlocs_configurations(file: str, width: int, name: str | None) -> None:
    assert name_in_file(file, np.zeros((1, width), "f4")) == name


def test_file_of_hloc_is_called_by_its_configuration(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_hloc(tmp_path, {"a": some}).rename(tmp_path / "feats-d2net-ss.h5")
    with h5py.File(path, "a") as file:
        del file["a/descriptors"], file["a/scales"], file["a/oris"]
        file["a/descriptors"] = around(np.zeros(512), len(some)).T
    with open_store(path) as store:
        assert store.description.descriptor == "d2-net"
        with pytest.raises(InputError, match=r"'d2-net' of 512 numbers.*fit_program"):
            reconstruct_store(store, tmp_path / "out")


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Means of three extractors, two of them near each other, as their unfoldings would have."""
    means = {name: around(np.zeros(128), 1)[0] for name in ("disk", "aliked-n16")}
    means["aliked-n16rot"] = means["aliked-n16"] + 0.02

    def load(name: str) -> Unfolding:
        if name not in means:
            raise FileError("none")
        mean = torch.from_numpy(means[name])
        return Unfolding(torch.zeros(128, 32), torch.zeros(32), mean, Frame(8.0, scaled=False))

    monkeypatch.setattr(Unfolding, "shipped", load)
    return means


def test_mean_of_vectors_tells_the_extractor(shipped: dict[str, np.ndarray]) -> None:
    found = guess(around(0.5 * shipped["disk"]))
    assert found.name == "disk"
    assert "cosine of 0." in found.note
    near = guess(around(0.5 * shipped["aliked-n16"]))
    assert "'aliked-n16'" in near.note
    assert "'aliked-n16rot'" in near.note
    assert guess(around(np.zeros(128))).name is None
    assert guess(np.full((3, 128), np.nan, "f4")).name is None


def test_store_is_called_by_the_mean(
    shipped: dict[str, np.ndarray], tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_hloc(tmp_path, {"a": some})
    with h5py.File(path, "a") as file:
        del file["a/descriptors"]
        file["a/descriptors"] = around(0.5 * shipped["disk"], len(some)).T
    with open_store(path) as store:
        assert store.description.descriptor == "disk"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "aliked-n16rot"),
        (2, "aliked-n32"),
        (3, "loma-b"),
        (4, "loma-b128"),
        (9, "colmap-type-9"),
    ],
)
def test_types_of_colmap(number: int, name: str, tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {"a": some})
    vectors = around(np.zeros(128), len(some))
    sql = f"UPDATE descriptors SET type = {number}, cols = 512, data = x'{vectors.tobytes().hex()}'"
    with open_store(change(path, sql)) as store:
        assert store.description.descriptor == name
        assert torch.equal(store.load("a").descriptors, torch.from_numpy(vectors))


def test_type_without_an_adapter_is_refused_with_advice(
    tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_colmap(tmp_path, {"a": some})
    vectors = around(np.zeros(128), len(some)).tobytes().hex()
    change(path, f"UPDATE descriptors SET type = 3, cols = 512, data = x'{vectors}'")
    with pytest.raises(InputError, match=r"'loma-b' of 128 numbers.*fit_program"):
        reconstruct_store(path, tmp_path / "out")


@pytest.mark.parametrize("typed", [True, False])
def test_floats_in_colmaps_table_of_bytes(typed: bool, tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {"a": some}, typed=typed)
    vectors = around(np.zeros(256), len(some))
    change(path, f"UPDATE descriptors SET cols = 1024, data = x'{vectors.tobytes().hex()}'")
    with open_store(path) as store:
        assert torch.equal(store.load("a").descriptors, torch.from_numpy(vectors))
    longer = (3 * vectors).tobytes().hex()
    change(path, f"UPDATE descriptors SET data = x'{longer}'")
    with open_store(path) as store:
        assert store.load("a").descriptors.shape == (len(some), 1024)
