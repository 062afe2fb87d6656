"""Each kind of store, written by hand with its own conventions, gives the same features back."""

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
from alike import assert_alike
from make_stores import (
    SIZES_STORED,
    WRITERS,
    change,
    write_colmap,
    write_hloc,
    write_kapture,
    write_npz,
    write_opencv,
    write_visualsfm,
)

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import BadImageWarning, FileError, InputError, InvertDescError

Images = dict[str, LocalFeatures]
EVERY = pytest.mark.parametrize("kind", WRITERS)


@EVERY
def test_features_come_back(kind: str, tmp_path: Path, images: Images) -> None:
    with open_store(WRITERS[kind](tmp_path, images)) as store:
        found = dict(store)
        assert sorted(found) == sorted(images)
        assert len(store) == 2
        for name, given in images.items():
            assert_alike(found[name], given, turned=kind != "oxford")
            if kind in SIZES_STORED:
                assert found[name].image_size == given.image_size
            else:
                sides = zip(found[name].image_size, given.image_size, strict=True)
                assert all(0.8 * b < a <= b for a, b in sides)


@EVERY
def test_description_tells_what_was_decided(kind: str, tmp_path: Path, images: Images) -> None:
    with open_store(WRITERS[kind](tmp_path, images)) as store:
        told = store.description
    rooted = kind.startswith(("colmap", "hloc", "openmvg", "alicevision", "kapture", "opensfm"))
    assert told.descriptor == ("rootsift" if rooted else "sift")
    assert told.dim == 128
    assert (told.image_size == "stored") == (kind in SIZES_STORED)
    moved = kind.startswith(("colmap", "hloc", "kapture", "siftgpu", "visualsfm", "npy"))
    assert ("moved by half a pixel" in told.positions) == moved
    lacking = ("orientations", "scores") if kind == "oxford" else ("scores",)
    scored = ("hloc", "npz", "opencv", "dump", "flat", "siftgeo", "npy")
    assert told.missing == (() if kind in scored else lacking)


@EVERY
def test_names_have_an_order_and_are_read_one_by_one(
    kind: str, tmp_path: Path, images: Images
) -> None:
    with open_store(WRITERS[kind](tmp_path, images)) as store:
        assert list(store.names()) == list(store.names()) == ["101", "102"]
        assert len(store.load("102")) == 30
        assert [name for name, _ in store.items(["102"])] == ["102"]


@EVERY
def test_missing_image_is_told(kind: str, tmp_path: Path, images: Images) -> None:
    with open_store(WRITERS[kind](tmp_path, images)) as store, pytest.raises(InvertDescError):
        store.load("nobody")


@pytest.mark.parametrize("kind", ["npz", "opencv", "lowe", "vlfeat", "openmvg", "visualsfm"])
def test_single_file_holds_the_image_of_its_name(kind: str, tmp_path: Path, images: Images) -> None:
    WRITERS[kind](tmp_path, images)
    (file,) = (p for p in tmp_path.glob("101.*") if p.suffix != ".desc")
    with open_store(file) as store:
        assert list(store.names()) == ["101"]
        assert_alike(store.load("101"), images["101"])
        with pytest.raises(InputError, match="Expected an image of that name"):
            store.load("102")


@pytest.mark.parametrize(
    "kind",
    ["colmap", "hloc", "npz", "opencv", "lowe", "openmvg", "kapture", "kapture-tar", "visualsfm"],
)
def test_names_in_folders(kind: str, tmp_path: Path, some: LocalFeatures) -> None:
    with open_store(WRITERS[kind](tmp_path, {"a/b/one": some, "a/two": some[:5]})) as store:
        assert sorted(store.names()) == ["a/b/one", "a/two"]
        assert len(store.load("a/two")) == 5


@EVERY
def test_caller_is_believed(kind: str, tmp_path: Path, images: Images) -> None:
    path = WRITERS[kind](tmp_path, images)
    size = (300, 400)
    with open_store(path, descriptor="rootsift", image_size=size) as store:
        features = store.load("101")
    assert features.descriptor == "rootsift"
    assert features.image_size == (size if kind != "npz" else (200, 240))


@EVERY
def test_image_without_keypoints_is_empty(kind: str, tmp_path: Path, some: LocalFeatures) -> None:
    with open_store(WRITERS[kind](tmp_path, {"101": some, "102": some[:0]})) as store:
        assert len(store.load("102")) == 0
        assert store.description.dim == 128


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("columns", [2, 4, 6])
def test_colmap_in_all_forms(
    columns: int, root: bool, typed: bool, tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_colmap(tmp_path, {"a": some}, typed=typed, columns=columns, root=root)
    with open_store(path) as store:
        features = store.load("a")
        assert store.description.descriptor == ("rootsift" if root else "sift")
    if columns == 2:
        assert features.scales is features.orientations is None
        features = LocalFeatures(**{**vars(features), "scales": some.scales})
        features = LocalFeatures(**{**vars(features), "orientations": some.orientations})
    assert_alike(features, some)
    assert features.provenance.producer == "colmap 4.2.1"


def test_colmap_hand_made_case(tmp_path: Path) -> None:
    # Keypoint at the centre of the pixel in column 3, row 4; twice as large as its unit, turned by
    # 90 degrees clockwise on the screen.
    empty = LocalFeatures(
        keypoints=torch.zeros(0, 2),
        descriptors=torch.zeros(0, 128),
        image_size=(20, 10),
        descriptor="sift",
        scales=torch.zeros(0),
        orientations=torch.zeros(0),
    )
    path = write_colmap(tmp_path, {"a": empty})
    row = np.array([3.5, 4.5, 0, -2, 2, 0], "<f4").tobytes().hex()
    vector = bytes([64] * 64 + [0] * 64).hex()
    change(path, f"UPDATE keypoints SET rows = 1, data = x'{row}'")
    change(path, f"UPDATE descriptors SET rows = 1, data = x'{vector}'")
    with open_store(path, descriptor="rootsift") as store:
        features = store.load("a")
    assert features.keypoints.tolist() == [[3.0, 4.0]]
    assert features.scales is not None
    assert features.scales.tolist() == [2.0]
    assert features.orientations is not None
    assert features.orientations.tolist() == pytest.approx([np.pi / 2])
    assert features.descriptors[0, [0, 127]].tolist() == [0.125, 0.0]
    assert features.image_size == (20, 10)


def test_hloc_in_half_precision_is_told(tmp_path: Path, some: LocalFeatures) -> None:
    with open_store(write_hloc(tmp_path, {"a/b.jpg": some}, half=True)) as store:
        assert_alike(store.load("a/b.jpg"), some, pixels=0.13)
        assert any("float16" in note for note in store.description.notes)


def test_hloc_without_scales_keeps_positions(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_hloc(tmp_path, {"a": some})
    with h5py.File(path, "a") as file:
        del file["a/scales"], file["a/oris"], file["a/scores"]
        file["a/keypoints"][...] -= 0.5
    with open_store(path) as store:
        features = store.load("a")
        assert store.description.missing == ("scales", "orientations", "scores")
    assert (features.keypoints - some.keypoints).abs().max() < 0.01
    assert features.image_size == some.image_size


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", [".yml", ".xml", ".json", ".yml.gz", ".xml.gz", ".json.gz"])
def test_opencv_in_all_forms(
    suffix: str, packed: bool, tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_opencv(tmp_path, {"a": some}, suffix=suffix, packed=packed)
    assert_alike(open_store(path).load("a"), some)
    assert_alike(open_store(tmp_path / f"a{suffix}").load("a"), some)


@pytest.mark.parametrize("suffix", [".yml", ".xml", ".json"])
def test_opencv_keypoints_of_old(suffix: str, tmp_path: Path, some: LocalFeatures) -> None:
    path = write_opencv(tmp_path, {"a": some}, suffix=suffix, flat=True)
    assert_alike(open_store(path).load("a"), some)


def test_opencv_with_several_images_in_a_file(tmp_path: Path) -> None:
    file = cv2.FileStorage(str(tmp_path / "two.yml"), cv2.FILE_STORAGE_WRITE)
    for end in ("_left", "_right"):
        file.write(f"keypoints{end}", np.array([[1, 2, 27, 90]], np.float32))
        file.write(f"descriptors{end}", np.full((1, 32), 7, np.uint8))
    file.release()
    for place in (tmp_path, tmp_path / "two.yml"):
        store = open_store(place)
        assert list(store.names()) == ["two_left", "two_right"]
        features = store.load("two_right")
        assert features.descriptor == "orb"
        assert features.descriptors.dtype == torch.uint8
        assert features.scales is not None
        assert features.scales.item() == 2.0  # ORB's diameter is 13.5 sigma
        assert features.orientations is not None
        assert features.orientations.item() == pytest.approx(np.pi / 2)
        assert features.scores is None
        assert any("'orb' is a guess" in note for note in store.description.notes)


def test_kapture_with_four_columns(tmp_path: Path, some: LocalFeatures) -> None:
    store = open_store(write_kapture(tmp_path, {"a/b.jpg": some}, columns=4))
    assert_alike(store.load("a/b.jpg"), some)
    assert "pixel centres" in store.description.positions


def test_folder_with_a_database_in_it(tmp_path: Path, images: Images) -> None:
    write_colmap(tmp_path, images)
    (tmp_path / "images").mkdir()
    (tmp_path / "notes.txt").write_text("some words\n")
    with open_store(tmp_path) as store:
        assert store.kind == "COLMAP database"


def test_learned_descriptors_of_colmap_are_named(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {"a": some[:2]})
    vectors = np.arange(256, dtype="<f4").reshape(2, 128)
    change(
        path, f"UPDATE descriptors SET type = 2, cols = 512, data = x'{vectors.tobytes().hex()}'"
    )
    with open_store(path) as store:
        features = store.load("a")
        assert store.description.descriptor == "aliked-n32"
    assert torch.equal(features.descriptors, torch.from_numpy(vectors))


def test_float_vectors_of_no_known_length(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_hloc(tmp_path, {"a": some})
    with h5py.File(path, "a") as file:
        del file["a/descriptors"]
        file["a/descriptors"] = np.eye(256, len(some), dtype=np.float32)
    with open_store(path) as store:
        assert store.description.descriptor == "unknown"
        assert store.load("a").descriptors.shape == (60, 256)


def test_signed_vectors_are_not_called_sift(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_hloc(tmp_path, {"a": some})
    with h5py.File(path, "a") as file:
        file["a/descriptors"][0, 0] = -0.1
    with open_store(path) as store:
        assert store.description.descriptor == "unknown"


def test_bad_image_warns_and_the_others_follow(tmp_path: Path, some: LocalFeatures) -> None:
    write_npz(tmp_path, {"a": some, "b": some, "c": some})
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 and no more")
    store = open_store(tmp_path)
    with pytest.warns(BadImageWarning, match=r"b\.npz"):
        assert [name for name, _ in store] == ["a", "c"]
    errors: dict[str, InvertDescError] = {}
    assert [name for name, _ in store.items(on_error=errors.__setitem__)] == ["a", "c"]
    assert list(errors) == ["b"]
    assert isinstance(errors["b"], FileError)


def test_only_what_is_asked_for_is_read(
    tmp_path: Path, some: LocalFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = LocalFeatures.load
    monkeypatch.setattr(
        LocalFeatures, "load", lambda path: read.append(path.name) or original(path)
    )
    path = write_npz(tmp_path, {"a": some, "b": some, "c": some})
    images = iter(open_store(path, mend=False))
    assert read == []
    next(images)
    assert read == ["a.npz"]


def test_caller_overrules_what_a_store_calls_its_vectors(
    tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_colmap(tmp_path, {"a": some[:2]})
    vectors = np.ones((2, 128), "<f4").tobytes().hex()
    change(path, f"UPDATE descriptors SET type = 1, cols = 512, data = x'{vectors}'")
    with open_store(path, descriptor="hardnet") as store:
        assert store.load("a").descriptor == "hardnet"


def test_keypoints_that_rounding_moved_over_the_border_are_moved_back(
    tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_hloc(tmp_path, {"near": some})
    with h5py.File(path, "a") as file:  # pixels 0 to 239; hloc's `sift` counts from half a pixel
        file["near/keypoints"][0] = (240.9, -0.9)
    with open_store(path) as store:
        assert store.load("near").keypoints[0].tolist() == [239.5, -0.5]
        assert store.description.left_out == ()


def test_opencv_keypoints_that_were_not_oriented(tmp_path: Path) -> None:
    file = cv2.FileStorage(str(tmp_path / "a.yml"), cv2.FILE_STORAGE_WRITE)
    file.write("keypoints", np.array([[1, 2, 8, -1], [3, 4, 8, -1]], np.float32))
    file.write("descriptors", np.full((2, 32), 7, np.uint8))
    file.release()
    with open_store(tmp_path, descriptor="brief") as store:
        assert store.load("a").orientations is None
        assert store.description.missing == ("orientations", "scores")


def test_visualsfm_of_programs_that_know_positions_only(
    tmp_path: Path, some: LocalFeatures
) -> None:
    write_visualsfm(tmp_path, {"a": some})
    data = bytearray((tmp_path / "a.sift").read_bytes())
    table = np.frombuffer(data, "<f4", 5 * len(some), offset=20).reshape(-1, 5).copy()
    table[:, 3:] = 0
    data[4:8] = b"V5.0"
    data[20 : 20 + table.nbytes] = table.tobytes()
    (tmp_path / "a.sift").write_bytes(data[:-4])  # without the mark at its end
    with open_store(tmp_path) as store:
        features = store.load("a")
    assert features.scales is features.orientations is None
    assert (features.keypoints - some.keypoints).abs().max() < 0.01
    assert len(features) == len(some)


def test_oxford_hand_made_case(tmp_path: Path) -> None:
    # An ellipse of 30 by 7.5 pixels, as large as a circle of 15, which is twice 7.5 sigma.
    shape = f"{30**-2:.9g} 0 {7.5**-2:.9g}"
    vector = " ".join(map(str, range(128)))
    (tmp_path / "a.ppm.hesaff.sift").write_text(f"128\n1\n12.5 9 {shape} {vector}\n")
    (tmp_path / "b.ppm.hesaff.sift").write_text("128 0\n")
    with open_store(tmp_path, descriptor="sift", image_size=(20, 30)) as store:
        assert list(store.names()) == ["a.ppm", "b.ppm"]
        features = store.load("a.ppm")
        assert any("orientations=0 is right" in note for note in store.description.notes)
        assert len(store.load("b.ppm")) == 0
    assert features.keypoints.tolist() == [[12.5, 9.0]]
    assert features.scales is not None
    assert features.scales.tolist() == pytest.approx([2.0])
    assert features.orientations is None
    assert features.descriptors[0, :10].tolist() == [0, 7, 6, 5, 4, 3, 2, 1, 8, 15]
