"""Archives of R2D2, D2-Net, SuperPoint, LightGlue and hloc, written as their programs do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from read_stores import little_memory, read_all

from invertdesc import open_store
from invertdesc.errors import FileError, InputError
from invertdesc.stores.dumps import by_keypoint

POINTS = np.array([[3, 4, 9], [20, 30.5, 9], [39, 29, 18]], "f4")


def unit(count: int, width: int) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(count, width))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype("f4")


def write(path: Path, **arrays: object) -> Path:
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def test_r2d2(tmp_path: Path) -> None:
    vectors = unit(3, 128)
    write(
        tmp_path / "a.jpg.r2d2",
        imsize=(60, 50),
        keypoints=POINTS,
        descriptors=vectors,
        scores=np.array([0.9, 0.5, 0.7], "f4"),
    )
    for place in (tmp_path, tmp_path / "a.jpg.r2d2"):
        with open_store(place) as store:
            features = store.load("a.jpg")
            assert store.description.descriptor == "r2d2"
    assert features.image_size == (50, 60)
    assert features.keypoints.tolist() == POINTS[:, :2].tolist()
    assert features.scales is not None
    assert features.scales.tolist() == [9, 9, 18]
    assert features.scores is not None
    assert torch.equal(features.descriptors, torch.from_numpy(vectors))


def test_d2_net(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg.d2-net", keypoints=POINTS, scores=np.ones(3), descriptors=unit(3, 512))
    with open_store(tmp_path) as store:
        features = store.load("a.jpg")
    assert features.descriptor == "d2-net"
    assert features.descriptors.shape == (3, 512)


def test_superpoints_vectors_are_columns(tmp_path: Path) -> None:
    vectors = unit(3, 256)
    write(
        tmp_path / "a_superpoint.npz",
        keypoints=POINTS[:, :2].astype("f2"),
        descriptors=vectors.T,
        scores=np.ones(3, "f4"),
    )
    with open_store(tmp_path) as store:
        features = store.load("a_superpoint")
        assert any("float16" in note for note in store.description.notes)
    assert features.descriptor == "superpoint"
    assert torch.equal(features.descriptors, torch.from_numpy(vectors))


def test_as_many_keypoints_as_numbers() -> None:
    vectors = 3 * unit(64, 64)
    vectors[:, 0] *= 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (by_keypoint(vectors, 64) == vectors).all()
    assert (by_keypoint(vectors.T.copy(), 64) == vectors).all()


def test_degrees_of_hloc(tmp_path: Path) -> None:
    vectors = np.abs(unit(3, 128))
    arrays = {"keypoints": POINTS[:, :2], "descriptors": vectors.T, "scales": np.ones(3)}
    write(tmp_path / "a.npz", **arrays, oris=np.array([0.0, 90, -45]))
    turns = open_store(tmp_path).load("a").orientations
    assert turns is not None
    assert turns.tolist() == pytest.approx([0, np.pi / 2, -np.pi / 4])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"keypoints": POINTS, "descriptors": unit(2, 64)}, "Expected a descriptor for each of 3"),
        ({"keypoints": POINTS[:, :1], "descriptors": unit(3, 64)}, "keypoints of shape"),
        ({"keypoints": POINTS, "descriptors": unit(3, 64)[0]}, "descriptors of shape"),
        ({"keypoints": POINTS, "descriptors": np.full((3, 64), "x")}, "descriptors of shape"),
        ({"keypoints": POINTS * np.nan, "descriptors": unit(3, 64)}, "finite"),
        ({"keypoints": POINTS, "descriptors": unit(3, 64) * np.inf}, "finite"),
        ({"keypoints": POINTS, "descriptors": unit(3, 64), "scores": np.ones(2)}, "'scores'"),
        ({"keypoints": POINTS, "descriptors": unit(3, 64), "imsize": (0, 5)}, "image_size"),
        ({"keypoints": POINTS, "descriptors": unit(3, 64), "imsize": (9, np.inf)}, "image_size"),
        ({"keypoints": POINTS, "descriptors": unit(3, 64), "imsize": (10**6,) * 2}, "pixels"),
    ],
)
def test_arrays_that_make_no_sense(arrays: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        open_store(write(tmp_path / "a.npz", **arrays)).load("a")


def test_pickled_objects_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", keypoints=np.array([{}]), descriptors=unit(3, 64))
    with pytest.raises(FileError, match="whole"):
        open_store(path).load("a")


def test_small_archive_of_huge_arrays(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.savez_compressed(
            file, keypoints=np.zeros((2, 2)), descriptors=np.zeros((2, 2**23), "u1")
        )
    with little_memory():
        found, errors = read_all(tmp_path)
    assert not found
    assert list(errors) == ["a"]
