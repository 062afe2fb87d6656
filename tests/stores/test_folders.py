"""A folder is what it holds features in, and what else there is in it is told."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from alike import assert_alike
from make_stores import (
    write_alicevision,
    write_colmap,
    write_hloc,
    write_kapture,
    write_lowe,
    write_npz,
)

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import FileError, InvertDescError

Run = Callable[..., tuple[int, str, str]]
Images = dict[str, LocalFeatures]


def add_calibration(folder: Path) -> None:
    file = cv2.FileStorage(str(folder / "camera.yml"), cv2.FILE_STORAGE_WRITE)
    file.write("camera_matrix", np.eye(3))
    file.release()


def add_annotations(folder: Path) -> None:
    """As COCO's: names of keypoints, deep inside."""
    parts = {"info": {}, "annotations": [{"keypoints": [1, 2, 2]}]}
    (folder / "annotations.json").write_text(json.dumps(parts))


def add_archives(folder: Path) -> None:
    for name in ("all_images.zip", "checkpoint.pth"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("archive/data.pkl", b"")


def add_log(folder: Path) -> None:
    """As `invertdesc reconstruct STORE` writes it: numbers of keypoints."""
    line = json.dumps({"image": "a.png", "keypoints": 3665, "status": "made"})
    (folder / "metrics.jsonl").write_text(f"{line}\n{line}\n")


STRANGERS = [add_calibration, add_annotations, add_archives, add_log]


@pytest.mark.parametrize("add", STRANGERS)
@pytest.mark.parametrize("write", [write_colmap, write_lowe])
def test_what_holds_no_features_is_passed_over(
    add: Callable[[Path], None],
    write: Callable[[Path, Images], Path],
    tmp_path: Path,
    images: Images,
) -> None:
    write(tmp_path, images)
    add(tmp_path)
    with open_store(tmp_path) as store:
        assert_alike(store.load("101"), images["101"])
        assert store.also_found == ()
        assert store.description.left_out == ()


@pytest.mark.parametrize("add", STRANGERS)
def test_folder_of_such_alone_holds_nothing(add: Callable[[Path], None], tmp_path: Path) -> None:
    add(tmp_path)
    with pytest.raises(FileError, match="found none"):
        open_store(tmp_path)


def test_whole_store_comes_before_loose_files_and_near_before_far(
    tmp_path: Path, images: Images
) -> None:
    write_lowe(tmp_path, images)
    write_colmap(tmp_path, images)
    (tmp_path / "deep").mkdir()
    write_hloc(tmp_path / "deep", images)
    with open_store(tmp_path) as store:
        assert store.kind == "COLMAP database"
        assert store.also_found == (
            "*.key (Lowe's .key, SiftGPU's or COLMAP's text)",
            "deep/features.h5 (hloc features)",
        )
    (tmp_path / "database.db").unlink()
    with open_store(tmp_path) as store:
        assert store.kind.startswith("Lowe's")


def test_database_without_descriptors_gives_way(tmp_path: Path, images: Images) -> None:
    write_colmap(tmp_path, images, descriptors=False)  # as hloc leaves it
    write_hloc(tmp_path, images)
    with open_store(tmp_path) as store:
        assert store.kind == "hloc features"
        assert store.also_found == ("database.db (COLMAP database)",)


@pytest.mark.parametrize("part", ["matches0", "global_descriptor"])
def test_second_file_of_hloc_where_the_first_has_no_features(
    part: str, tmp_path: Path, images: Images
) -> None:
    write_hloc(tmp_path, images)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[f"101/{part}"] = np.zeros(5)
    with open_store(tmp_path) as store:
        assert_alike(store.load("101"), images["101"])
        assert store.also_found == ("a.h5 (hloc features)",)


def test_first_error_is_told_where_nothing_opens(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["pair/matches0"] = np.zeros(5)
    with pytest.raises(FileError, match=r"'keypoints'.*a\.h5"):
        open_store(tmp_path)


def test_database_of_another_program_gives_way(tmp_path: Path, images: Images) -> None:
    write_lowe(tmp_path, images)
    (tmp_path / "photos.db").write_bytes(b"SQLite format 3\0" + bytes(84))
    with open_store(tmp_path) as store:
        assert list(store.names()) == ["101", "102"]


def test_describer_that_can_be_read_is_taken(tmp_path: Path, images: Images) -> None:
    write_alicevision(tmp_path, images)
    (tmp_path / "101.akaze.feat").write_text("1 2 3 0.5\n")
    (tmp_path / "101.akaze.desc").write_bytes((1).to_bytes(8, "little") + bytes(64 * 4))
    with open_store(tmp_path) as store:
        assert_alike(store.load("101"), images["101"])
        assert store.also_found == ("*.akaze.feat (AliceVision .feat and .desc)",)


def test_what_lies_beside_kaptures_folders_is_told(tmp_path: Path, images: Images) -> None:
    write_kapture(tmp_path, images)
    write_colmap(tmp_path, images)
    with open_store(tmp_path) as store:
        assert store.kind == "kapture"
        assert store.also_found == ("database.db (COLMAP database)",)


def test_second_database_is_told_by_inspect_and_reconstruct(
    run: Run, tmp_path: Path, images: Images
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    write_colmap(folder, images).rename(folder / "backup.db")
    write_colmap(folder, images)
    told = "Also found, not read: database.db (COLMAP database)."
    status, out, _ = run("inspect", folder)
    assert (status, told in out) == (0, True)
    status, _, err = run("reconstruct", folder, "-o", "out", "-m", "poisson")
    assert (status, err) == (0, f"warning: {told}\n")


def test_second_database_is_told_by_audit(run: Run, tmp_path: Path, some: LocalFeatures) -> None:
    write_colmap(tmp_path, {"a": some[:2]}).rename(tmp_path / "backup.db")
    write_colmap(tmp_path, {"a": some[:2]})
    few = ("--threat", "random=0.5", "--defence", "quantise", "--no-faces")
    status, _, err = run("audit", tmp_path, "-m", "poisson", *few)
    assert status == 0
    assert err.count("Also found, not read: database.db") == 1


def test_database_beside_photographs_is_told(run: Run, tmp_path: Path, images: Images) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(
        str(folder / "a.png"), np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    )
    path = write_colmap(folder, images)
    status, _, err = run("reconstruct", folder, "-o", "out", "-m", "poisson")
    assert status == 0
    assert err == f"warning: Also found, not read: {path}. Pass it by itself.\n"


def test_scene_file_in_another_folder_of_the_cache(tmp_path: Path, images: Images) -> None:
    features, scene = tmp_path / "FeatureExtraction", tmp_path / "CameraInit"
    features.mkdir()
    scene.mkdir()
    write_alicevision(features, images)
    (features / "cameraInit.sfm").rename(scene / "cameraInit.sfm")
    with open_store(tmp_path) as store:
        assert store.load("FeatureExtraction/101").image_size == images["101"].image_size


def test_only_some_of_many_others_are_named(tmp_path: Path, images: Images) -> None:
    database = write_colmap(tmp_path, images)
    for number in range(9):
        (tmp_path / f"{number}.db").write_bytes(database.read_bytes())
    with open_store(tmp_path) as store:
        (told,) = store.description.left_out
    assert told.endswith("5.db (COLMAP database); and 4 more.")


FOREIGN = {
    "OpenSfM's vocabulary": ("words", "frequencies"),
    "other arrays": ("a", "b"),
}


@pytest.mark.parametrize(("words", "arrays"), FOREIGN.items())
def test_archives_of_other_programs_are_called_by_their_names(
    words: str, arrays: tuple[str, ...], run: Run, tmp_path: Path, some: LocalFeatures
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{name: np.zeros((3, 4)) for name in arrays})
    for place in (path, tmp_path):
        with pytest.raises(FileError, match=words):
            open_store(place)
    for command in (("inspect", path), ("reconstruct", path, "-o", "out.png")):
        status, _, err = run(*command)
        assert status == 2
        assert words in err
        assert "invertdesc .npz:" not in err
    write_npz(tmp_path, {"b": some})
    with open_store(tmp_path) as store:
        assert words in store.also_found[0]
        with pytest.raises(InvertDescError, match=words):
            store.load("a")


def test_pointer_of_git_lfs_is_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "database.db"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 134\n")
    for place in (path, tmp_path):
        with pytest.raises(FileError, match="git lfs pull"):
            open_store(place)
        status, _, err = run("reconstruct", place, "-o", "out")
        assert status == 2
        assert "git lfs pull" in err


def test_regions_with_vectors_are_read(tmp_path: Path) -> None:
    region = "10.5 20.5 0.01 0 0.01 " + " ".join(map(str, range(128)))
    (tmp_path / "img1.haraff").write_text("1.0\n1\n10.5 20.5 0.01 0 0.01\n")
    (tmp_path / "img1.haraff.sift").write_text(f"128\n1\n{region}\n")
    with open_store(tmp_path, descriptor="sift") as store:
        assert list(store.names()) == ["img1"]
        assert store.load("img1").keypoints.tolist() == [[10.5, 20.5]]


def test_regions_without_vectors_are_told(tmp_path: Path) -> None:
    (tmp_path / "img1.haraff").write_text("1.0\n2\n10.5 20.5 0.01 0 0.01\n30 40 0.01 0 0.01\n")
    with pytest.raises(FileError, match="without vectors"):
        open_store(tmp_path)
