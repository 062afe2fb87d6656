"""Pairs of .npy files by a layout, and what is said of arrays and pickles without one."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from alike import assert_alike
from make_more_stores import write_npy
from read_stores import little_memory, read_all

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import FileError, InputError


def layout(folder: Path, **changes: object) -> Path:
    told = json.loads((folder / "layout.json").read_text()) | changes
    (folder / "layout.json").write_text(json.dumps(told))
    return folder


def test_by_hand(tmp_path: Path) -> None:
    np.save(tmp_path / "a.kp.npy", [[4, 3, 1.5]])
    np.save(tmp_path / "a.d.npy", np.arange(128.0)[:, None])
    told = {
        "keypoints": "{}.kp.npy",
        "descriptors": "{}.d.npy",
        "columns": ["y", "x", "radians"],
        "descriptor": "sift",
        "transposed": True,
    }
    (tmp_path / "layout.json").write_text(json.dumps(told))
    for place in (tmp_path, tmp_path / "layout.json"):
        with open_store(place) as store:
            features = store.load("a")
            assert store.description.missing == ("scales", "scores")
    assert features.descriptor == "sift"
    assert features.keypoints.tolist() == [[3, 4]]
    assert features.orientations is not None
    assert features.orientations.tolist() == [1.5]
    assert features.descriptors[0].tolist() == list(range(128))


def test_names_in_folders(tmp_path: Path, some: LocalFeatures) -> None:
    write_npy(tmp_path, {"a/b/one": some, "two": some[:5]})
    with open_store(tmp_path) as store:
        assert list(store.names()) == ["two", "a/b/one"]
        assert_alike(store.load("a/b/one"), some)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"columns": ["x", "y"]}, "of 2 columns"),
        ({"columns": ["x", "x", "y", "-", "-", "-"]}, "each of the others once"),
        ({"columns": ["x", "z"]}, "columns among"),
        ({"columns": "xy"}, "columns among"),
        ({"columns": ["x", "y", "sigma", "diameter"]}, "each of the others once"),
        ({"keypoints": "kp.npy"}, "as a path such as"),
        ({"keypoints": "../{}.npy"}, "as a path such as"),
        ({"descriptors": "/etc/{}.npy"}, "as a path such as"),
        ({"descriptors": 5}, "as a path such as"),
        ({"origin": "middle"}, "centre or corner"),
        ({"image_size": "large"}, "image_size"),
        ({"image_size": [10**6, 10**6]}, "image_size"),
        ({"image_size": [4000, 10000]}, "pixels"),
        ({"descriptor": 5}, "a text for 'descriptor'"),
        ({"colums": []}, "'colums'"),
        ({"transposed": True}, "a descriptor for each"),
    ],
)
def test_layouts_that_make_no_sense(
    changes: dict[str, object], words: str, tmp_path: Path, some: LocalFeatures
) -> None:
    layout(write_npy(tmp_path, {"a": some}), **changes)
    with pytest.raises(InputError, match=words):
        open_store(tmp_path).load("a")


def test_names_that_lead_out(tmp_path: Path, some: LocalFeatures) -> None:
    (tmp_path / "in").mkdir()
    write_npy(tmp_path / "in", {"a": some})
    with open_store(tmp_path / "in") as store:
        for name in ("../in/a", "/etc/passwd", "nobody"):
            with pytest.raises((InputError, FileError)):
                store.load(name)


def test_arrays_that_make_no_sense(tmp_path: Path, some: LocalFeatures) -> None:
    write_npy(tmp_path, {"a": some})
    path = tmp_path / "deep" / "a.npy"
    huge = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    head = b"\x93NUMPY\1\0" + (len(huge) + 1).to_bytes(2, "little") + huge + b"\n"
    whole = path.read_bytes()
    for content in (head, head + bytes(64), whole[:-1], whole + b"x", whole[:20], b""):
        path.write_bytes(content)
        with little_memory():
            found, errors = read_all(tmp_path)
        assert not found
        assert list(errors) == ["a"]
    for array in (np.full((60, 128), np.nan), np.ones(60), np.array([{}] * 60), np.ones((9, 128))):
        np.save(path, array, allow_pickle=True)
        found, errors = read_all(tmp_path)
        assert not found
        assert list(errors) == ["a"]


def test_array_without_a_layout_asks_for_one(tmp_path: Path) -> None:
    np.save(tmp_path / "kp.npy", np.ones((3, 2)))
    for place in (tmp_path, tmp_path / "kp.npy"):
        with pytest.raises(FileError, match=r"layout\.json"):
            open_store(place)


class Loud:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


def test_pickles_are_refused_with_the_line_that_converts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "features.pkl"
    path.write_bytes(pickle.dumps(Loud()))
    for place in (path, tmp_path):
        with pytest.raises(FileError, match=r"Python pickle.*numpy\.savez"):
            open_store(place)
    assert not Path("ran").exists()


def test_line_for_files_of_torch_converts_them(tmp_path: Path, some: LocalFeatures) -> None:
    torch.save(
        {"keypoints": some.keypoints[None], "descriptors": some.descriptors[None]},
        tmp_path / "a.pt",
    )
    with pytest.raises(FileError, match=r'python -c "(.*)"\.') as error:
        open_store(tmp_path / "a.pt")
    line = str(error.value).split('python -c "')[1].rstrip('".')
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        exec(line, {})
    finally:
        os.chdir(here)
    read = open_store(tmp_path / "a.npz").load("a")
    assert torch.equal(read.descriptors, some.descriptors)
