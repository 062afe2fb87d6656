"""OpenMVG's folders: who wrote the vectors decides their order, and files beside them tell."""

import json
from pathlib import Path

import numpy as np
import pytest
from alike import assert_alike
from make_stores import DESCRIBERS, write_openmvg

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import InputError

EVERY = pytest.mark.parametrize("describer", DESCRIBERS)
ROW = "1.00 2.00 3.00 0.50\n"


def write_one(folder: Path, describer: str) -> Path:
    """Write an image of one keypoint with the numbers 0 to 127, each at a place of its own."""
    (folder / "a.feat").write_text(ROW)
    (folder / "a.desc").write_bytes((1).to_bytes(8, "little") + bytes(range(128)))
    told = {"image_describer": {"polymorphic_name": describer}}
    (folder / "image_describer.json").write_text(json.dumps(told))
    return folder


def test_default_describer_by_hand(tmp_path: Path) -> None:
    # VLFeat's order: cells by rows, directions the other way round.
    with open_store(write_one(tmp_path, "SIFT_Image_describer"), descriptor="sift") as store:
        vector = store.load("a").descriptors[0].tolist()
    assert vector[:8] == [0, 7, 6, 5, 4, 3, 2, 1]
    assert vector[8:10] == [8, 15]  # the cell to the right
    assert vector[32:34] == [32, 39]  # the cell below


def test_anatomy_describer_by_hand(tmp_path: Path) -> None:
    # Cells by columns, directions the other way round.
    path = write_one(tmp_path, "SIFT_Anatomy_Image_describer")
    with open_store(path, descriptor="sift") as store:
        vector = store.load("a").descriptors[0].tolist()
    assert vector[:8] == [0, 7, 6, 5, 4, 3, 2, 1]
    assert vector[8:10] == [32, 39]
    assert vector[32:34] == [8, 15]


@EVERY
def test_order_is_seen_where_no_file_tells(
    describer: str, tmp_path: Path, astronaut_features: LocalFeatures
) -> None:
    write_openmvg(tmp_path, {"a": astronaut_features}, describer=describer)
    (tmp_path / "image_describer.json").unlink()
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), astronaut_features)
        assert any("No image_describer.json" in note for note in store.description.notes)


def test_vectors_that_look_like_nothing_are_read_as_the_default(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "a.feat").write_text(ROW * 100)
    vectors = rng.integers(0, 256, (100, 128), np.uint8)
    (tmp_path / "a.desc").write_bytes((100).to_bytes(8, "little") + vectors.tobytes())
    with open_store(tmp_path, descriptor="sift") as store:
        read = store.load("a").descriptors.numpy()
        assert any("those of SIFT_Image_describer" in note for note in store.description.notes)
    assert (read[:, :8] == vectors[:, [0, 7, 6, 5, 4, 3, 2, 1]]).all()


def test_files_beside_the_features_tell_from_a_folder_above(
    tmp_path: Path, some: LocalFeatures
) -> None:
    for place, describer in zip(("one", "two/matches"), DESCRIBERS, strict=True):
        (tmp_path / place).mkdir(parents=True)
        write_openmvg(tmp_path / place, {"a": some}, describer=describer)
    with open_store(tmp_path) as store:
        for name in ("one/a", "two/matches/a"):
            features = store.load(name)
            assert_alike(features, some)
            assert features.image_size == some.image_size
        assert store.description.image_size == "stored"


def test_other_regions_are_named_from_a_folder_above(tmp_path: Path, some: LocalFeatures) -> None:
    (tmp_path / "matches").mkdir()
    write_openmvg(tmp_path / "matches", {"a": some}, regions="AKAZE_Liop_Regions")
    file = tmp_path / "matches" / "a.desc"
    file.write_bytes(file.read_bytes()[:8] + bytes(len(some) * 144))
    with open_store(tmp_path) as store, pytest.raises(InputError, match="AKAZE_Liop_Regions"):
        store.load("matches/a")
