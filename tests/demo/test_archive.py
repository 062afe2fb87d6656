"""The tabs of the demo for a store and for a map, without a page."""

from pathlib import Path

import numpy as np
import pytest

from invertdesc import Camera, LocalFeatures, Pose
from invertdesc.demo.answers import Answers
from invertdesc.demo.archive import STEPS, Archive, gather, look, open_archive, open_examples
from invertdesc.errors import FileError


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    for name in ("results", "uploads"):
        (tmp_path / name).mkdir()
    return Answers(tmp_path / "results", tmp_path / "uploads", side=96)


@pytest.fixture
def sent(answers: Answers, astronaut_features: LocalFeatures) -> str:
    """A store as an upload, in a folder of its own."""
    path = answers.uploads / "a1" / "portrait.npz"
    astronaut_features.save(path)
    return str(path)


def opened(found: tuple[Archive | None, str, bool]) -> tuple[Archive, str]:
    archive, words, bad = found
    assert archive is not None, words
    assert not bad
    return archive, words


def test_a_store_is_described_and_shown(answers: Answers, sent: str) -> None:
    archive, words = opened(open_archive(answers, [sent], "store"))
    assert archive.names == ("portrait",)
    assert "1 images, described by sift. Missing: nothing." in words
    sight = look(answers, archive, "portrait", method="poisson")
    assert not sight.bad, sight.words
    assert sight.picture is not None
    assert sight.keypoints is not None
    assert sight.picture.shape == sight.keypoints.shape == (512, 512, 3)
    assert sight.picture.std() > 20
    assert np.median(sight.keypoints) == 0  # on black


def test_the_examples_are_a_store_without_pictures(answers: Answers) -> None:
    archive = open_examples(answers)
    assert len(archive.names) == 5
    assert "5 images" in archive.words
    assert {file.suffix for file in archive.path.iterdir()} == {".npz"}


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0 and no more", b"PK\x03\x04"])
def test_what_is_no_store_is_refused_without_folders(content: bytes, answers: Answers) -> None:
    path = answers.uploads / "bad.db"
    path.write_bytes(content)
    archive, words, bad = open_archive(answers, [str(path)], "store")
    assert archive is None
    assert bad
    assert str(answers.folder.parent) not in words
    assert "bad.db" in words


def test_only_uploads_are_opened(
    answers: Answers, astronaut_features: LocalFeatures, tmp_path: Path
) -> None:
    path = tmp_path / "mine.npz"
    astronaut_features.save(path)
    archive, words, bad = open_archive(answers, [str(path)], "store")
    assert (archive, bad) == (None, True)
    assert "got another file" in words


def test_an_image_that_is_gone_is_said(answers: Answers, sent: str) -> None:
    archive, _ = opened(open_archive(answers, [sent], "store"))
    sight = look(answers, archive, "another")
    assert sight.bad
    assert str(answers.folder) not in sight.words


def test_files_of_one_name_do_not_overwrite_each_other(answers: Answers, sent: str) -> None:
    other = answers.uploads / "b2" / "portrait.npz"
    other.parent.mkdir()
    other.write_bytes(b"")
    with pytest.raises(FileError, match=r"two named portrait\.npz"):
        gather([sent, str(other)], answers.folder)


def test_a_camera_moves_through_a_map(answers: Answers, astronaut_features: LocalFeatures) -> None:
    archive, words = opened(
        open_archive(answers, _map_files(answers.uploads, astronaut_features), "map")
    )
    assert archive.names == ("a.jpg", "b.jpg", "c.jpg")
    assert words.startswith("A map of 3 images and ")
    sights = [
        look(answers, archive, "a.jpg", until="c.jpg", step=step, method="poisson")
        for step in (0, STEPS // 2, STEPS)
    ]
    assert [sight.words for sight in sights if sight.bad] == []
    pictures = [sight.picture for sight in sights]
    assert all(picture is not None and picture.std() > 10 for picture in pictures)
    assert not np.array_equal(pictures[0], pictures[1])


def test_a_map_without_features_is_refused(
    answers: Answers, astronaut_features: LocalFeatures
) -> None:
    files = _map_files(answers.uploads, astronaut_features)
    archive, words, bad = open_archive(answers, files[:3], "map")
    assert (archive, bad) == (None, True)
    assert "database.db" in words


def _map_files(folder: Path, features: LocalFeatures) -> list[str]:
    """Write a flat scene that three cameras saw, as COLMAP's text, and a store as hloc's."""
    h5py = pytest.importorskip("h5py")
    camera = Camera.pinhole((256, 256), 300.0)
    poses = {
        f"{name}.jpg": Pose(np.eye(3), np.array([x, 0, 0]))
        for name, x in (("a", -0.02), ("b", 0.0), ("c", 0.02))
    }
    pixels = features.keypoints.double().numpy()
    places = np.c_[camera.unproject(pixels), np.ones(len(pixels))] * 4
    texts = {"cameras.txt": "1 SIMPLE_PINHOLE 256 256 300 128 128\n", "images.txt": ""}
    with h5py.File(folder / "features.h5", "w") as file:
        for number, (name, pose) in enumerate(poses.items(), 1):
            shown = camera.project(pose.apply(places))
            group = file.create_group(name)
            group["keypoints"] = shown
            group["descriptors"] = features.descriptors.numpy().T
            group["scales"] = features.scales.numpy()  # type: ignore[union-attr]
            group["oris"] = features.orientations.numpy()  # type: ignore[union-attr]
            group["image_size"] = [256, 256]
            words = [number, *pose.quaternion, *pose.translation, 1, name]
            points = " ".join(f"{x} {y} {n}" for n, (x, y) in enumerate(shown + 0.5))
            texts["images.txt"] += f"{' '.join(map(str, words))}\n{points}\n"
    seen = " ".join(f"{image} {{0}}" for image in (1, 2, 3))
    texts["points3D.txt"] = "".join(
        f"{n} {x} {y} {z} 90 90 90 0.5 {seen.format(n)}\n" for n, (x, y, z) in enumerate(places)
    )
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [str(folder / name) for name in (*texts, "features.h5")]
