"""SiftGPU's, INRIA's, VLFeat's and MATLAB's binary files: by hand, and where they make no sense."""

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from alike import assert_alike
from make_more_stores import write_mat, write_mat73, write_siftgeo, write_vlfeat_pair
from read_stores import little_memory, read_all
from scipy.io import savemat

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import FileError, InputError

VECTOR = bytes(range(128))


def test_siftgpu_by_hand(tmp_path: Path) -> None:
    # Row 4.5, column 3.5 from the corner: the centre of the pixel in column 3, row 4.
    head = struct.pack("<2i4f", 1, 128, 4.5, 3.5, 2.0, 1.5)
    vector = np.eye(1, 128, dtype="<f4").tobytes()
    (tmp_path / "a.sift").write_bytes(head + vector)
    features = open_store(tmp_path, descriptor="sift").load("a")
    assert features.keypoints.tolist() == [[3, 4]]
    assert features.scales is not None
    assert features.scales.tolist() == [2]
    assert features.orientations is not None
    assert features.orientations.tolist() == [1.5]
    assert features.descriptors[0, :2].tolist() == [512, 0]


def test_siftgeo_by_hand(tmp_path: Path) -> None:
    row = struct.pack("<9fi", 3, 4, 2, 1.5, 1, 0, 0, 1, 0.25, 128) + VECTOR
    (tmp_path / "a.siftgeo").write_bytes(row)
    (tmp_path / "b.siftgeo").write_bytes(b"")
    with open_store(tmp_path, descriptor="sift") as store:
        features = store.load("a")
        assert len(store.load("b")) == 0
        assert any("INRIA's format does not tell" in note for note in store.description.notes)
    assert features.keypoints.tolist() == [[3, 4]]
    assert features.scores is not None
    assert features.scores.tolist() == [0.25]
    assert features.descriptors[0, :9].tolist() == [0, 7, 6, 5, 4, 3, 2, 1, 8]


@pytest.mark.parametrize("order", ["OpenCV", "turned"])
def test_siftgeo_of_another_order_is_mended(
    order: str, tmp_path: Path, astronaut_features: LocalFeatures
) -> None:
    write_siftgeo(tmp_path, {"a": astronaut_features})
    file = tmp_path / "a.siftgeo"
    rows = np.frombuffer(file.read_bytes(), "u1").reshape(-1, 168).copy()
    if order == "OpenCV":
        cells = rows[:, 40:].reshape(-1, 4, 4, 8)
        rows[:, 40:] = cells[..., [0, 7, 6, 5, 4, 3, 2, 1]].reshape(-1, 128)
    else:
        rows[:, 12:16] = (-rows[:, 12:16].copy().view("<f4")).view("u1")
    file.write_bytes(rows.tobytes())
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), astronaut_features)
        assert any("Mended" in note for note in store.description.notes)


@pytest.mark.parametrize("mixed", ["frames", "descriptors"])
def test_vlfeat_text_beside_binary(mixed: str, tmp_path: Path, some: LocalFeatures) -> None:
    write_vlfeat_pair(tmp_path, {"a": some}, binary=True)
    kept = (tmp_path / ("a.frame" if mixed == "descriptors" else "a.descr")).read_bytes()
    write_vlfeat_pair(tmp_path, {"a": some})
    (tmp_path / ("a.frame" if mixed == "descriptors" else "a.descr")).write_bytes(kept)
    assert_alike(open_store(tmp_path).load("a"), some)


def test_frames_alone_are_no_store(tmp_path: Path, some: LocalFeatures) -> None:
    write_vlfeat_pair(tmp_path, {"a": some})
    (tmp_path / "a.descr").unlink()
    with pytest.raises(FileError):
        open_store(tmp_path)


@pytest.mark.parametrize(
    ("frames", "vectors"),
    [
        (b"1 2 3 4 \n", b"1 2 3 \n"),
        (b"1 2 3 4 \n1 2 3 4 \n", VECTOR),
        (b"1 2 3 4 ", VECTOR),
        (struct.pack(">4d", 1, 2, float("nan"), 0), VECTOR),
        (struct.pack("<4d", 1, 2, 3, 0), VECTOR),
        (b"\xff" * 31, VECTOR),
        (b"1e999 2 3 4\n", VECTOR),
    ],
)
def test_pairs_that_make_no_sense(frames: bytes, vectors: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.frame").write_bytes(frames)
    (tmp_path / "a.descr").write_bytes(vectors)
    found, errors = read_all(tmp_path)
    assert not found
    assert list(errors) == ["a"]


@pytest.mark.parametrize("packed", [True, False])
def test_mat_by_hand(packed: bool, tmp_path: Path) -> None:
    # MATLAB's first pixel is (1, 1).
    frame = np.array([[4, 5, 2, 1.5]]).T
    parts = {"D": np.frombuffer(VECTOR, "u1")[:, None], "Frames": frame, "x": "text", "c": 1j}
    savemat(tmp_path / "a.mat", parts, do_compression=packed)
    with open_store(tmp_path, descriptor="sift") as store:
        features = store.load("a")
        assert "moved by a pixel" in store.description.positions
    assert features.keypoints.tolist() == [[3, 4]]
    assert features.orientations is not None
    assert features.orientations.tolist() == [1.5]
    assert features.descriptors[0, :3].tolist() == [0, 7, 6]


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8", "i4"])
@pytest.mark.parametrize("turned", [True, False])
def test_mat_of_other_types_and_axes(dtype: str, turned: bool, tmp_path: Path) -> None:
    vectors = np.arange(256, dtype=dtype).reshape(128, 2) % 100
    frames = np.ones((3, 2), "f4")
    parts = {"frames": frames.T if turned else frames, "descrs": vectors.T if turned else vectors}
    savemat(tmp_path / "a.mat", parts)
    features = open_store(tmp_path, descriptor="sift").load("a")
    assert features.descriptors[:, 0].tolist() == [0, 1]
    assert features.orientations is None


def test_mat_of_ellipses(tmp_path: Path) -> None:
    # A circle of 3 pixels, turned by a quarter.
    frames = np.array([[4, 5, 0, 3, -3, 0]], float).T
    savemat(tmp_path / "a.mat", {"f": frames, "d": np.frombuffer(VECTOR, "u1")[:, None]})
    with open_store(tmp_path, descriptor="sift") as store:
        features = store.load("a")
        assert any("Ellipses" in note for note in store.description.notes)
    assert features.scales is not None
    assert features.scales.tolist() == pytest.approx([3])
    assert features.orientations is not None
    assert features.orientations.tolist() == pytest.approx([np.pi / 2])


@pytest.mark.parametrize(
    "parts",
    [
        {"f": np.ones((4, 2))},
        {"d": np.ones((128, 2))},
        {"f": np.ones((5, 2)), "d": np.ones((128, 2))},
        {"f": np.ones((4, 3)), "d": np.ones((128, 2))},
        {"f": np.ones((4, 2)), "d": np.ones((127, 2))},
        {"f": np.full((4, 2), np.nan), "d": np.ones((128, 2))},
        {"f": "text", "d": np.ones((128, 2))},
        {"f": np.array([{}]), "d": np.ones((128, 2))},
    ],
)
def test_mat_that_makes_no_sense(parts: dict[str, object], tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", parts)
    found, errors = read_all(tmp_path)
    assert not found
    assert isinstance(errors["a"], InputError | FileError)


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<2I", kind, len(data)) + data + bytes(-len(data) % 8)


def array(rows: int, columns: int, data: bytes, name: bytes = b"d") -> bytes:
    head = element(6, struct.pack("<2I", 9, 0)) + element(5, struct.pack("<2i", rows, columns))
    return element(14, head + element(1, name) + element(2, data))


HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"


def test_mat_of_huge_claims(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    bomb = zlib.compress(array(128, 2**20, bytes(2**27)))
    for body in (
        array(2**31 - 1, 2**31 - 1, b""),
        array(128, 2**20, b""),
        array(-1, 5, b""),
        element(15, bomb),
        struct.pack("<2I", 15, 2**32 - 1) + b"x",
        struct.pack("<2I", 14, 2**32 - 1),
        element(15, zlib.compress(b"")),
        element(15, zlib.compress(element(15, zlib.compress(array(1, 1, b"x"))))),
        element(14, element(14, b"") * 4),
        struct.pack("<I", 9 << 16 | 1) + b"abcd",
    ):
        path.write_bytes(HEAD + body)
        with little_memory(100 * 2**20):
            found, errors = read_all(path)
        assert not found
        assert errors
    path.write_bytes(HEAD + element(15, bomb))
    with pytest.raises(InputError, match="bytes once unpacked"):
        open_store(path).load("a")


def test_mat_of_version_73_with_a_link(tmp_path: Path, some: LocalFeatures) -> None:
    write_mat73(tmp_path, {"a": some})
    path = tmp_path / "a.mat"
    head = path.read_bytes()[:512]
    with h5py.File(path, "a") as file:
        del file["d"]
        file["d"] = h5py.ExternalLink("/etc/passwd", "/d")
    with path.open("r+b") as block:
        block.write(head)
    with open_store(path) as store, pytest.raises(InputError, match="link to elsewhere"):
        store.load("a")


def test_big_endian_mat(tmp_path: Path, some: LocalFeatures) -> None:
    # Written by hand: SciPy writes the machine's own order.
    def swapped(kind: int, data: bytes) -> bytes:
        return struct.pack(">2I", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(name: bytes, rows: int, kind: int, cls: int, data: bytes) -> bytes:
        head = swapped(6, struct.pack(">2I", cls, 0)) + swapped(5, struct.pack(">2i", rows, 1))
        return swapped(14, head + swapped(1, name) + swapped(kind, data))

    frame = matrix(b"f", 4, 9, 6, struct.pack(">4d", 4, 5, 2, 0))
    (tmp_path / "a.mat").write_bytes(
        b"MATLAB 5.0 MAT-file".ljust(124) + b"\1\0MI" + frame + matrix(b"d", 128, 2, 9, VECTOR)
    )
    assert open_store(tmp_path, descriptor="sift").load("a").keypoints.tolist() == [[3, 4]]


def test_folder_of_packed_and_plain_mat(tmp_path: Path, some: LocalFeatures) -> None:
    write_mat(tmp_path, {"a": some})
    write_mat(tmp_path, {"b": some[:5]}, packed=True)
    with open_store(tmp_path) as store:
        assert [len(one) for _, one in store] == [60, 5]
