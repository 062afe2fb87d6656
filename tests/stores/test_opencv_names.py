"""FileStorage whose nodes are called otherwise, or lie one level deeper."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from invertdesc import open_store
from invertdesc.errors import FileError, InputError

SUFFIXES = pytest.mark.parametrize("suffix", [".yml", ".xml", ".json"])
POINTS = np.array([[1, 2, 27, 90], [3, 4, 27, 0]], np.float32)
VECTORS = np.full((2, 32), 7, np.uint8)


def write(path: Path, *names: tuple[str, str], inside: str | None = None) -> Path:
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    file.write("width", 640)
    if inside:
        file.startWriteStruct(inside, cv2.FileNode_MAP)
    for points, vectors in names:
        file.write(points, POINTS)
        file.write(vectors, VECTORS)
    if inside:
        file.endWriteStruct()
    file.write("scale", 1.5)
    file.release()
    return path


@SUFFIXES
@pytest.mark.parametrize(
    "names",
    [
        ("Keypoints", "Descriptors"),
        ("key_points", "descriptor"),
        ("KeyPoint", "DESCRIPTORS"),
        ("kp", "desc"),
        ("kps", "des"),
        ("kpts", "descs"),
        ("kp1", "desc1"),
        ("image_keypoints", "image_descriptors"),
        ("keypoints", "des"),
    ],
)
def test_other_names(names: tuple[str, str], suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", names)
    for place in (path, tmp_path):
        with open_store(place) as store:
            (name,) = store.names()
            features = store.load(name)
            assert name == "a"
    assert features.keypoints.tolist() == [[1, 2], [3, 4]]
    assert features.descriptor == "orb"


@SUFFIXES
def test_several_of_other_names(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"a{suffix}", ("kp1", "desc1"), ("kp2", "desc2"), ("left_kps", "left_desc"))
    with open_store(tmp_path) as store:
        assert sorted(store.names()) == ["a_1", "a_2", "a_left"]
        assert len(store.load("a_left")) == 2


@SUFFIXES
def test_inside_of_a_map(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"a{suffix}", ("keypoints", "descriptors"), inside="features")
    with open_store(tmp_path) as store:
        assert list(store.names()) == ["a"]
        assert len(store.load("a")) == 2


def test_words_that_contain_a_short_name_are_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yml", ("keypoints", "descriptors"))
    text = path.read_text().replace("keypoints:", "backpacks:").replace("descriptors:", "desks:")
    path.write_text(text)
    with pytest.raises(FileError):
        open_store(path)


def test_descriptors_of_another_image(tmp_path: Path) -> None:
    write(tmp_path / "a.yml", ("kp1", "desc1"), ("kp2", "desc3"))
    with open_store(tmp_path) as store:
        assert len(store.load("a_1")) == 2
        with pytest.raises(InputError, match="Expected 'descriptors_2'"):
            store.load("a_2")
