"""OpenSfM's features: normalised coordinates, four kinds of vectors, sizes from beside."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from alike import assert_alike
from make_more_stores import write_opensfm
from read_stores import read_all

from invertdesc import LocalFeatures, check, open_store, reconstruct
from invertdesc.errors import FileError, InputError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray

KINDS = pytest.mark.parametrize("kind", ["HAHOG", "DSPSIFT", "SIFT"])


def write_points(folder: Path, points: object, vectors: object, **more: object) -> Path:
    """Write one image `a.jpg` of 200 x 100 pixels."""
    (folder / "exif").mkdir()
    (folder / "features").mkdir()
    (folder / "exif/a.jpg.exif").write_text(json.dumps({"width": 200, "height": 100}))
    path = folder / "features/a.jpg.features.npz"
    np.savez_compressed(path, points=points, descriptors=vectors, **more)
    return folder / "features"


@KINDS
@pytest.mark.parametrize("config", [True, False])
@pytest.mark.parametrize("root", [True, False])
def test_features_come_back(
    kind: str, config: bool, root: bool, tmp_path: Path, astronaut_features: LocalFeatures
) -> None:
    images = {"a.jpg": astronaut_features}
    path = write_opensfm(tmp_path, images, feature_type=kind, config=config, root=root)
    with open_store(path) as store:
        if (kind, config, root) == ("DSPSIFT", False, False):  # numbers like OpenCV's
            assert store.found is not None
            assert not store.found.ok
            return
        features = store.load("a.jpg")
        assert store.description.descriptor == ("rootsift" if root else "sift")
        assert store.found is not None
        assert store.found.ok
    assert features.provenance.producer == "opensfm"
    assert_alike(features, astronaut_features)
    assert check(features).ok


@KINDS
def test_picture_is_that_of_opencvs_vectors(
    kind: str, tmp_path: Path, astronaut: torch.Tensor, astronaut_features: LocalFeatures
) -> None:
    path = write_opensfm(tmp_path, {"a.jpg": astronaut_features}, feature_type=kind)
    truth = to_gray(astronaut, "gamma")
    read, given = (
        ncc(to_gray(reconstruct(one, method="poisson"), "gamma"), truth).item()
        for one in (open_store(path).load("a.jpg"), astronaut_features)
    )
    assert read == pytest.approx(given, abs=0.01)
    assert given > 0.8


def test_hahog_hand_made_case(tmp_path: Path) -> None:
    # In an image of 200 x 100 pixels, a quarter of the longer side to the right of the middle; a
    # region of 2 pixels whose first axis points along x: its vector's frame is a quarter turn on.
    vectors = np.arange(128, dtype=np.uint8)[None]
    path = write_points(tmp_path, np.array([[0.25, -0.1, 0.01, 0]], "f4"), vectors)
    with open_store(path, descriptor="sift") as store:
        features = store.load("a.jpg")
    assert features.image_size == (100, 200)
    assert features.keypoints[0].tolist() == pytest.approx([149.5, 29.5], abs=1e-4)
    assert features.scales is not None
    assert features.scales.tolist() == pytest.approx([2.0])
    assert features.orientations is not None
    assert features.orientations.tolist() == pytest.approx([np.pi / 2])
    shown = features.descriptors[0, :9] / features.descriptors[0, 2] * 6
    assert shown.tolist() == pytest.approx([0, 7, 6, 5, 4, 3, 2, 1, 8], abs=1e-3)


@pytest.mark.parametrize("sizes", ["exif", "cameras"])
def test_sizes_from_beside(sizes: str, tmp_path: Path, some: LocalFeatures) -> None:
    path = write_opensfm(tmp_path, {"a.jpg": some, "b.jpg": some[:9]}, sizes=sizes)
    for place, prefix in ((path, ""), (tmp_path, "features/")):
        with open_store(place) as store:
            assert store.load(f"{prefix}b.jpg").image_size == some.image_size
            assert store.description.image_size == "stored"


def test_without_a_size_it_is_asked_for(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_opensfm(tmp_path, {"a.jpg": some}, sizes="none")
    with open_store(path) as store, pytest.raises(InputError, match=r"a\.jpg\.exif.*image_size="):
        store.load("a.jpg")
    with open_store(path, image_size=some.image_size) as store:
        assert_alike(store.load("a.jpg"), some)


def test_width_and_height_in_the_other_order_are_seen(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_opensfm(tmp_path, {"a.jpg": some})
    height, width = some.image_size
    (tmp_path / "exif/a.jpg.exif").write_text(json.dumps({"width": height, "height": width}))
    with open_store(path) as store:
        assert_alike(store.load("a.jpg"), some)
        assert any("other order" in note for note in store.description.notes)


def test_sizes_of_old_versions_are_pixels(tmp_path: Path) -> None:
    path = write_points(tmp_path, np.array([[0, 0, 3.0, 0]], "f4"), np.ones((1, 128), "u1"))
    features = open_store(path, descriptor="sift").load("a.jpg")
    assert features.scales is not None
    assert features.scales.tolist() == [3.0]


@pytest.mark.parametrize(
    ("width", "dtype", "angle", "name", "scale", "turn"),
    [
        (32, "u1", 90.0, "orb", 2 / 13.5, np.pi / 2),
        (61, "u1", 90.0, "akaze", 2 / 3, np.pi / 2),
        (61, "u1", 1.5, "akaze", 2 / 3, 1.5),
        (64, "f4", 90.0, "kaze", 1.0, np.pi / 2),
    ],
)
def test_other_kinds(
    width: int, dtype: str, angle: float, name: str, scale: float, turn: float, tmp_path: Path
) -> None:
    vectors = np.full((1, width), 0.5, dtype) + np.arange(width, dtype=dtype)
    path = write_points(tmp_path, np.array([[0, 0, 0.01, angle]], "f4"), vectors)
    features = open_store(path).load("a.jpg")
    assert features.descriptor == name
    assert features.scales is not None
    assert features.scales.tolist() == pytest.approx([scale])
    assert features.orientations is not None
    assert features.orientations.tolist() == pytest.approx([turn])
    if name == "kaze":  # square roots, which OpenSfM takes by default, are undone
        expected = torch.from_numpy(vectors.astype("f4") ** 2)
        assert torch.allclose(features.descriptors, expected)


def test_surf_is_refused(tmp_path: Path) -> None:
    path = write_points(tmp_path, np.zeros((1, 4), "f4"), np.ones((1, 64), "f4"))
    (tmp_path / "config.yaml").write_text("feature_type: SURF\n")
    with open_store(path) as store, pytest.raises(InputError, match="OpenSfM's SURF"):
        store.load("a.jpg")


@pytest.mark.parametrize(
    ("points", "vectors"),
    [
        (np.zeros((3, 3), "f4"), np.ones((3, 128), "u1")),
        (np.zeros((3, 4), "f4"), np.ones((2, 128), "u1")),
        (np.zeros(12, "f4"), np.ones((3, 128), "u1")),
        (np.zeros((3, 4), "f4"), np.full((3, 128), "a")),
        (np.full((3, 4), np.nan, "f4"), np.ones((3, 128), "u1")),
        (np.zeros((3, 4), "f4"), np.full((3, 128), np.inf, "f4")),
        (np.array([[{}] * 4] * 3, object), np.ones((3, 128), "u1")),
        (np.full((3, 4), 1e30, "f4"), np.ones((3, 128), "u1")),
    ],
)
def test_arrays_that_make_no_sense(points: object, vectors: object, tmp_path: Path) -> None:
    found, errors = read_all(write_points(tmp_path, points, vectors))
    assert not found
    assert isinstance(errors["a.jpg"], InputError | FileError)


@pytest.mark.parametrize("text", ["[" * 10**5, '{"width": 1e400, "height": 1}', "{", "[]", "\0"])
def test_sizes_that_make_no_sense(text: str, tmp_path: Path) -> None:
    path = write_points(tmp_path, np.zeros((1, 4), "f4"), np.ones((1, 128), "u1"))
    (tmp_path / "exif/a.jpg.exif").write_text(text)
    found, errors = read_all(path)
    assert not found
    assert list(errors) == ["a.jpg"]


def test_size_beyond_the_limits(tmp_path: Path) -> None:
    path = write_points(tmp_path, np.zeros((1, 4), "f4"), np.ones((1, 128), "u1"))
    text = json.dumps({"width": 10**6, "height": 10**6})
    (tmp_path / "exif/a.jpg.exif").write_text(text)
    with open_store(path) as store, pytest.raises(InputError, match="pixels"):
        store.load("a.jpg")


def test_pickles_beside_are_not_read(tmp_path: Path) -> None:
    path = write_points(
        tmp_path, np.full((1, 4), 0.1, "f4"), np.eye(1, 128), instances=np.array(None)
    )
    assert len(open_store(path, descriptor="sift").load("a.jpg")) == 1
