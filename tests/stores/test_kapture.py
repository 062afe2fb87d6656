"""kapture's types: which descriptors belong to which keypoints, and what their names mean."""

from pathlib import Path

import numpy as np
import pytest
from alike import assert_alike
from forms import to_vlfeat
from make_stores import write_kapture

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import FileError


def test_fourth_column_pairs_descriptors_with_keypoints(
    tmp_path: Path, some: LocalFeatures
) -> None:
    write_kapture(tmp_path, {"a": some}, types=("HessianAffine", "HOG"), name="HOG")
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), some)
        assert store.description.descriptor == "rootsift"  # and not scikit-image's HOG


def test_descriptors_of_keypoints_that_are_not_there(tmp_path: Path, some: LocalFeatures) -> None:
    write_kapture(tmp_path, {"a": some}, types=("one", "two"))
    (tmp_path / "reconstruction/keypoints/one").rename(tmp_path / "reconstruction/keypoints/other")
    with (
        open_store(tmp_path) as store,
        pytest.raises(FileError, match="Expected descriptors for the keypoints other"),
    ):
        list(store.names())


def test_version_without_types(tmp_path: Path, some: LocalFeatures) -> None:
    write_kapture(tmp_path, {"a": some}, types=(".", "."))
    text = tmp_path / "reconstruction/descriptors/descriptors.txt"
    text.write_text("SIFT, uint8, 128\n")
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), some)


def test_keypoints_of_pythons_own_float(tmp_path: Path, some: LocalFeatures) -> None:
    write_kapture(tmp_path, {"a": some}, columns=4, dtype="float")  # NumPy takes it for float64
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), some)


def test_vectors_in_another_order_are_brought_into_ours(
    tmp_path: Path, astronaut_features: LocalFeatures
) -> None:
    write_kapture(tmp_path, {"a": astronaut_features}, order=to_vlfeat)
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), astronaut_features)
        assert any("VLFeat's order" in note for note in store.description.notes)


def test_type_that_can_be_read_is_taken_and_the_other_named(
    tmp_path: Path, some: LocalFeatures
) -> None:
    write_kapture(tmp_path, {"a": some})
    other = tmp_path / "reconstruction/descriptors/A_first"
    other.mkdir()
    (other / "descriptors.txt").write_text("d2net, float32, 128, SIFT, L2\n")
    (other / "a.desc").write_bytes(np.zeros((len(some), 128), "<f4").tobytes())
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), some)
        (told,) = store.description.left_out
    assert told == "Also found, not read: descriptors of the types d2net."


@pytest.mark.parametrize("first", ["r2d2", "superpoint"])
def test_type_that_can_be_reconstructed_is_taken_before_one_that_cannot(
    first: str, tmp_path: Path, some: LocalFeatures
) -> None:
    """The network's folder comes first, and has an adapter, but no unfolding ships for it."""
    write_kapture(tmp_path, {"a": some})
    width = {"r2d2": 128, "superpoint": 256}[first]
    other = tmp_path / "reconstruction/descriptors/A_first"
    other.mkdir()
    (other / "descriptors.txt").write_text(f"{first}, float32, {width}, SIFT, L2\n")
    (other / "a.desc").write_bytes(np.ones((len(some), width), "<f4").tobytes())
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), some)
        (found,) = store.description.left_out
    assert found == f"Also found, not read: descriptors of the types {first}."


@pytest.mark.parametrize(("name", "expected"), [("orb", "orb"), ("kaze", "unknown")])
def test_name_of_a_type_is_taken_where_the_width_fits(
    name: str, expected: str, tmp_path: Path, some: LocalFeatures
) -> None:
    write_kapture(tmp_path, {"a": some})
    place = tmp_path / "reconstruction/descriptors/SIFT"
    width = {"orb": 32, "kaze": 77}[name]
    (place / "descriptors.txt").write_text(f"{name}, uint8, {width}, SIFT, L2\n")
    vectors = np.random.default_rng(0).integers(0, 256, (len(some), width), np.uint8)
    (place / "a.desc").write_bytes(vectors.tobytes())
    with open_store(tmp_path) as store:
        assert store.description.descriptor == expected
