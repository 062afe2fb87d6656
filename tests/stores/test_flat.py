"""Flat HDF5 files of the Image Matching Benchmark and of Kaggle."""

from pathlib import Path

import h5py
import kornia
import numpy as np
import pytest
import torch
from alike import assert_alike
from make_more_stores import write_flat
from make_stores import write_hloc

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import FileError, InputError


def change(path: Path, name: str, value: object) -> None:
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        file[name] = value


def test_each_file_and_the_folder_lead_to_all(tmp_path: Path, some: LocalFeatures) -> None:
    write_flat(tmp_path, {"a/1.jpg": some, "b": some[:5]})
    for place in (tmp_path, *tmp_path.iterdir()):
        with open_store(place) as store:
            assert list(store.names()) == ["a/1.jpg", "b"]
            assert_alike(store.load("a/1.jpg"), some)
            assert store.also_found == ()


def test_keypoints_alone_are_no_such_store(tmp_path: Path, some: LocalFeatures) -> None:
    write_flat(tmp_path, {"a": some})
    (tmp_path / "descriptors.h5").unlink()
    with pytest.raises(FileError, match="'keypoints', as hloc"):
        open_store(tmp_path / "keypoints.h5")


def test_hlocs_own_file_may_be_called_so(tmp_path: Path, some: LocalFeatures) -> None:
    write_hloc(tmp_path, {"a": some}).rename(tmp_path / "descriptors.h5")
    with open_store(tmp_path) as store:
        assert store.kind == "hloc features"


def test_frames_of_kornia(tmp_path: Path, some: LocalFeatures) -> None:
    write_flat(tmp_path, {"a": some})
    for part in ("scales", "angles", "scores"):
        (tmp_path / f"{part}.h5").unlink()
    lafs = some.to_lafs()
    assert kornia.feature.get_laf_center(lafs).shape == (1, len(some), 2)
    change(tmp_path / "lafs.h5", "a", lafs.numpy())
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), some)
        assert store.description.missing == ("scores",)


def test_folder_names_the_descriptor(tmp_path: Path, some: LocalFeatures) -> None:
    folder = tmp_path / "superpoint"
    folder.mkdir()
    write_flat(folder, {"a": some})
    vectors = np.random.default_rng(0).normal(size=(len(some), 256)).astype("f4")
    change(folder / "descriptors.h5", "a", vectors)
    with open_store(folder) as store:
        assert store.load("a").descriptor == "superpoint"
        assert torch.equal(store.load("a").descriptors, torch.from_numpy(vectors))


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("keypoints", np.zeros((60, 1)), "keypoints of shape"),
        ("keypoints", np.zeros(60), "keypoints of shape"),
        ("keypoints", np.full((60, 2), np.nan), "finite"),
        ("descriptors", np.zeros((3, 128)), "a descriptor for each"),
        ("scales", np.ones(3), r"scales\.h5"),
        ("angles", np.full(60, np.inf), "finite"),
        ("descriptors", h5py.SoftLink("/b"), "link to elsewhere"),
        ("descriptors", h5py.ExternalLink("/etc/passwd", "/b"), "link to elsewhere"),
    ],
)
def test_what_makes_no_sense(
    part: str, value: object, words: str, tmp_path: Path, some: LocalFeatures
) -> None:
    write_flat(tmp_path, {"a": some, "b": some})
    change(tmp_path / f"{part}.h5", "a", value)
    with open_store(tmp_path, descriptor="sift") as store:
        assert len(store.load("b")) == 60
        with pytest.raises(InputError, match=words):
            store.load("a")


def test_image_without_descriptors(tmp_path: Path, some: LocalFeatures) -> None:
    write_flat(tmp_path, {"a": some})
    change(tmp_path / "keypoints.h5", "b", np.zeros((2, 2)))
    with open_store(tmp_path) as store, pytest.raises(InputError, match=r"in descriptors\.h5"):
        store.load("b")
