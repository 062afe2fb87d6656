"""Values that other programs write by mistake or by habit are told, and not turned into noise."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from make_stores import write_hloc

from invertdesc import LocalFeatures, extract, open_store
from invertdesc.errors import InputError

Run = Callable[..., tuple[int, str, str]]


def moved(path: Path, image: str, rows: slice, value: tuple[float, float]) -> Path:
    with h5py.File(path, "a") as file:
        file[f"{image}/keypoints"][rows] = value
    return path


def test_few_keypoints_outside_are_left_out_and_counted(
    run: Run, tmp_path: Path, some: LocalFeatures
) -> None:
    path = moved(write_hloc(tmp_path, {"a": some, "b": some}), "a", slice(3), (243.0, 5.0))
    with open_store(path) as store:
        features = store.load("a")
        (told,) = store.description.left_out
    assert told.startswith("3 of 120 keypoints of the first 2 images are outside their")
    assert torch.equal(features.descriptors, load(path, "b").descriptors[3:])
    assert features.scales is not None
    assert len(features) == len(features.scales) == 57
    status, _, err = run("reconstruct", path, "-o", "out", "-m", "poisson")
    assert (status, err) == (0, f"warning: {told}\n")


def load(path: Path, name: str) -> LocalFeatures:
    with open_store(path) as store:
        return store.load(name)


def test_many_keypoints_outside_are_a_wrong_size(tmp_path: Path, some: LocalFeatures) -> None:
    path = moved(write_hloc(tmp_path, {"a": some}), "a", slice(7), (243.0, 5.0))
    with open_store(path) as store, pytest.raises(InputError, match="7 outside"):
        store.load("a")


def test_keypoints_outside_and_too_few_scales(tmp_path: Path, some: LocalFeatures) -> None:
    path = moved(write_hloc(tmp_path, {"a": some}), "a", slice(1), (243.0, 5.0))
    with h5py.File(path, "a") as file:
        del file["a/scales"]
        file["a/scales"] = np.ones(9, np.float32)
    with open_store(path) as store, pytest.raises(InputError, match="scales of shape"):
        store.load("a")


@pytest.mark.parametrize("shift", [0.0, -0.5])
@pytest.mark.parametrize("sized", [True, False])
def test_positions_in_parts_of_the_image_are_told(
    sized: bool, shift: float, tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_hloc(tmp_path, {"a": some})
    with h5py.File(path, "a") as file:
        file["a/keypoints"][...] = some.keypoints.numpy() / 240 + shift
        if not sized:
            del file["a/image_size"]
    with open_store(path) as store, pytest.raises(InputError, match="Expected keypoints in pixels"):
        store.load("a")


def test_transposed_descriptors_are_told(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_hloc(tmp_path, {"a": some})
    with h5py.File(path, "a") as file:
        vectors = file["a/descriptors"][()]
        del file["a/descriptors"]
        file["a/descriptors"] = vectors.T
    with open_store(path) as store, pytest.raises(InputError, match="Are they transposed"):
        store.load("a")


def with_vectors(path: Path, vectors: np.ndarray, keypoints: torch.Tensor) -> Path:
    """Write an hloc file of other vectors."""
    with h5py.File(path, "w") as file:
        file["a/descriptors"] = vectors.T
        file["a/keypoints"] = keypoints.numpy()
    return path


def test_kaze_is_known_by_its_vectors(tmp_path: Path) -> None:
    from skimage.data import camera

    features = extract(camera()[::2, ::2], descriptor="kaze")
    path = with_vectors(tmp_path / "a.h5", features.descriptors.numpy(), features.keypoints)
    with open_store(path) as store:
        assert store.description.descriptor == "kaze"
        assert "SURF has as many" in store.description.notes[0]


def test_surf_is_not_taken_for_kaze(
    run: Run, tmp_path: Path, astronaut_features: LocalFeatures
) -> None:
    # A cell of SURF sums what it sees along and across, and the same without signs.
    angles = torch.arange(8) * torch.pi / 4
    sums = [w(angles) for w in (torch.cos, torch.sin)]
    weights = torch.stack([*sums, *(part.abs() for part in sums)], 1)  # (8, 4)
    vectors = (astronaut_features.descriptors.view(-1, 16, 8) @ weights).flatten(1).numpy()
    path = with_vectors(tmp_path / "a.h5", vectors, astronaut_features.keypoints)
    with open_store(path) as store:
        assert store.description.descriptor == "unknown"
    with open_store(path, descriptor="kaze") as store:
        assert store.load("a").descriptor == "kaze"
    status, _, err = run("reconstruct", path, "-o", "out", "-m", "poisson")
    assert status == 2
    assert "64 numbers are KAZE's, SURF's" in err


@pytest.mark.parametrize(("width", "name"), [(256, "superpoint"), (512, "d2-net")])
def test_learned_vectors_are_called_by_their_names(
    width: int, name: str, tmp_path: Path, some: LocalFeatures
) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(some), width)).astype(np.float32)
    with open_store(with_vectors(tmp_path / "a.h5", vectors, some.keypoints)) as store:
        assert name in store.description.notes[0]


def test_positions_near_the_first_pixel_alone_are_no_parts(tmp_path: Path) -> None:
    vector = " ".join(["1"] * 128)
    (tmp_path / "a.key").write_text(f"2 128\n0.5 0.5 2 -1\n{vector}\n1 0.5 2 -1\n{vector}\n")
    with open_store(tmp_path, descriptor="sift", image_size=(200, 200)) as store:
        assert len(store.load("a")) == 2
