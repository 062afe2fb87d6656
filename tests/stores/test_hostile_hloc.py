"""Damaged and hostile hloc files."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from make_stores import write_hloc
from read_stores import little_memory, read_all

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import FileError

Images = dict[str, LocalFeatures]


def test_hloc_with_claims_of_any_size(tmp_path: Path, images: Images) -> None:
    path = write_hloc(tmp_path, images)
    with h5py.File(path, "a") as file:
        del file["101/keypoints"], file["101/descriptors"]
        file["101"].create_dataset("keypoints", (10**9, 2), "f4", chunks=(1000, 2))
        file["101"].create_dataset("descriptors", (128, 10**9), "f4", chunks=(128, 1000))
    assert path.stat().st_size < 10**6
    with little_memory():
        found, errors = read_all(path)
    assert list(found) == ["102"]
    assert "at most" in str(errors["101"])


def test_hloc_with_claims_that_only_together_are_too_large(
    tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_hloc(tmp_path, {"101": some})
    with h5py.File(path, "a") as file:
        del file["101/keypoints"], file["101/descriptors"]
        file["101"].create_dataset("keypoints", (2**20, 2), "f4", chunks=(1024, 2))
        file["101"].create_dataset("descriptors", (2**14, 2**20), "u1", chunks=(128, 1024))
    with little_memory():
        _, errors = read_all(path)
    assert "at most" in str(errors["101"])


def test_hloc_with_links_to_other_files(tmp_path: Path, images: Images) -> None:
    path = write_hloc(tmp_path, images)
    (tmp_path / "secret").mkdir()
    secret = write_hloc(tmp_path / "secret", images)
    with h5py.File(path, "a") as file:
        del file["101/keypoints"], file["102/descriptors"]
        file["101/keypoints"] = np.zeros((60, 2))
        del file["101/descriptors"]
        file["101/descriptors"] = h5py.ExternalLink(secret, "101/descriptors")
        file["103"] = h5py.ExternalLink(secret, "101")
        layout = h5py.VirtualLayout((128, 30), "f4")
        layout[...] = h5py.VirtualSource(secret, "102/descriptors", (128, 30))
        file["102"].create_virtual_dataset("descriptors", layout)
    found, errors = read_all(path)
    assert not found
    assert sorted(errors) == ["101", "102"]
    assert all("in the file itself" in str(error) for error in errors.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keypoints", np.zeros((60, 3), "f4")),
        ("keypoints", np.full((60, 2), np.nan, "f4")),
        ("keypoints", np.zeros(60, "f4")),
        ("keypoints", np.array([b"words"] * 60)),
        ("descriptors", np.zeros((60, 128), "f4")),
        ("image_size", np.array([-5, 7])),
        ("image_size", np.array([np.nan, 7])),
        ("image_size", np.array([1e18, 1e18])),
        ("scales", np.full(60, -1.0)),
        ("scales", np.ones(59)),
        ("scores", np.full(60, np.inf)),
    ],
)
def test_hloc_with_one_bad_image(
    name: str, value: np.ndarray, tmp_path: Path, images: Images
) -> None:
    path = write_hloc(tmp_path, images)
    with h5py.File(path, "a") as file:
        del file[f"101/{name}"]
        file[f"101/{name}"] = value
    found, errors = read_all(path)
    assert list(found) == ["102"]
    assert "Expected" in str(errors["101"])


@pytest.mark.parametrize("how", ["never written", "compressed", "large chunks"])
def test_hloc_that_unpacks_to_more_than_it_holds(how: str, tmp_path: Path, images: Images) -> None:
    path = write_hloc(tmp_path, images)
    count = 60 if how == "large chunks" else 2**17
    with h5py.File(path, "a") as file:
        del file["101/descriptors"]
        file["101"].create_dataset(
            "descriptors",
            (128, count),
            "f4",
            maxshape=(None, None),
            chunks={"compressed": (128, 1024), "large chunks": (2**13, 2**13)}.get(how),
            compression=None if how == "never written" else "gzip",
        )
        if how == "compressed":
            file["101/descriptors"][:, :1024] = 1
    with little_memory():
        found, errors = read_all(path)
    assert list(found) == ["102"]
    assert "at most 33554432 bytes once unpacked" in str(errors["101"])


def test_hloc_whose_datasets_together_unpack_to_too_much(tmp_path: Path, images: Images) -> None:
    path = write_hloc(tmp_path, images)
    with h5py.File(path, "a") as file:
        del file["101/keypoints"], file["101/descriptors"]
        file["101"].create_dataset("keypoints", (2**20, 2), "f4")
        file["101"].create_dataset("descriptors", (32, 2**20), "u1")
    with little_memory():
        found, errors = read_all(path)
    assert list(found) == ["102"]
    assert "at most 33554432 bytes once unpacked, got 41943040" in str(errors["101"])


def test_hloc_that_is_compressed(tmp_path: Path, images: Images) -> None:
    path = write_hloc(tmp_path, images)
    with h5py.File(path, "a") as file:
        vectors = file["101/descriptors"][()]
        del file["101/descriptors"]
        file["101"].create_dataset("descriptors", data=vectors, compression="gzip")
    found, errors = read_all(path)
    assert list(found) == ["101", "102"]
    assert not errors


def test_hloc_of_global_descriptors(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "global.h5", "w") as file:
        file["a.jpg/global_descriptor"] = np.zeros(4096)
    with pytest.raises(FileError, match="global descriptors, one an image"):
        open_store(tmp_path / "global.h5")


def test_hloc_without_h5py_names_the_extra(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:

    path = write_hloc(tmp_path, images)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'invertdesc\[hloc\]'"):
        open_store(path)
