"""Damaged and hostile stores end in an error of ours, for the image concerned and for it alone."""

import errno
import gzip
import os
import re
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_stores import FILES, WRITERS, write_colmap, write_kapture, write_lowe
from read_stores import little_memory, read_all

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import FileError, InputError
from invertdesc.limits import Limits, use_limits

Images = dict[str, LocalFeatures]

EVERY = pytest.mark.parametrize("kind", WRITERS)
ANY = pytest.mark.parametrize(
    ("kind", "file"), [(kind, file) for kind, files in FILES.items() for file in files]
)


FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@ANY
def test_file_cut_anywhere(kind: str, file: str, tmp_path: Path, images: Images) -> None:
    path = WRITERS[kind](tmp_path, images)
    whole = (tmp_path / file).read_bytes()
    for end in np.linspace(0, len(whole) - 1, 12).astype(int):
        (tmp_path / file).write_bytes(whole[:end])
        found, _ = read_all(path)
        assert set(found) <= set(images)


@ANY
def test_file_of_zeros_or_of_none(kind: str, file: str, tmp_path: Path, images: Images) -> None:
    path = WRITERS[kind](tmp_path, images)
    for content in (b"", bytes(5000), b"\xff" * 5000, b"[" * 100_000, b"{" * 100_000):
        (tmp_path / file).write_bytes(content)
        read_all(path)


@EVERY
@FUZZ
@given(data=st.data())
def test_changed_bytes(kind: str, tmp_path: Path, images: Images, data: st.DataObject) -> None:
    folder = tmp_path / "store"
    if not folder.exists():
        folder.mkdir()
        WRITERS[kind](folder, images)
    file = folder / data.draw(st.sampled_from(FILES[kind]))
    whole = file.read_bytes()
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        file.write_bytes(changed)
        read_all(folder)
    finally:
        file.write_bytes(whole)


@FUZZ
@given(content=st.binary(max_size=300), head=st.sampled_from(range(9)))
def test_any_bytes_behind_a_good_head(tmp_path: Path, content: bytes, head: int) -> None:
    heads = [
        b"",
        b"SQLite format 3\0",
        b"\x89HDF\r\n\x1a\n",
        b"%YAML:1.0\n---\nkeypoints: ",
        b'{"descriptors": {"type_id": "opencv-matrix", ',
        b'<?xml version="1.0"?><opencv_storage><keypoints>',
        b"3 128\n",
        b"128\n3\n",
        b"SIFTV4.0" + np.array([3, 5, 128], "<i4").tobytes(),
    ]
    path = tmp_path / "store"
    path.write_bytes(heads[head] + content)
    read_all(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"some words\n", b"\x89PNG\r\n\x1a\n"])
def test_file_of_no_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(FileError, match="Expected a store of a known kind"):
        open_store(path)


def test_no_file_an_empty_folder_a_pipe_and_an_impossible_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="found none at"):
        open_store(tmp_path / "none.db")
    with pytest.raises(FileError, match="found none"):
        open_store(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="of a known kind"):
        open_store(tmp_path / "pipe")
    with pytest.raises(FileError, match="found none"):
        open_store("a\0b")


def test_image_size_that_is_none(tmp_path: Path, images: Images) -> None:
    with pytest.raises(InputError, match="image_size"):
        open_store(write_colmap(tmp_path, images), image_size=(0, 5))


@pytest.mark.parametrize(
    "text",
    [
        "1000000000 128\n1 2 3 4\n",
        "99999999999999999999 128\n",
        "-1 128\n",
        "1 128\n1 2 3 4\n" + "nan " * 128,
        "1 128\nnan 2 3 4\n" + "1 " * 128,
        "1 128\n1e300 2 3 4\n" + "1 " * 128,
        "1 128\n1e999 2 3 4\n" + "1 " * 128,
        "1 128\n1 2 -3 4\n" + "1 " * 128,
        "1 128\n-50 2 3 4\n" + "1 " * 128,
        "1 128\n1 2 3 four\n" + "1 " * 128,
        "1 128\n1 2 3 4\n" + "1 " * 127,
        "2 128\n1 2 3 4\n" + "1 " * 128,
    ],
)
def test_lowe_with_one_bad_file(text: str, tmp_path: Path, images: Images) -> None:
    write_lowe(tmp_path, images)
    (tmp_path / "103.key").write_text(text)
    with little_memory():
        found, errors = read_all(tmp_path)
    assert list(found) == ["101", "102"]
    assert "Expected" in str(errors["103"])


@pytest.mark.parametrize("kind", ["openmvg", "alicevision"])
@pytest.mark.parametrize("count", [10**9, 2**63, 2**64 - 1, 59])
def test_count_that_is_not_what_follows(
    kind: str, count: int, tmp_path: Path, images: Images
) -> None:
    WRITERS[kind](tmp_path, images)
    (file,) = tmp_path.glob("101*.desc")
    file.write_bytes(count.to_bytes(8, "little") + file.read_bytes()[8:])
    with little_memory():
        found, errors = read_all(tmp_path)
    assert list(found) == ["102"]
    assert "Expected" in str(errors["101"])


OPENCV = """%YAML:1.0
---
keypoints: !!opencv-matrix
   rows: {rows}
   cols: {columns}
   dt: {kind}
   data: [ {data} ]
descriptors: !!opencv-matrix
   rows: 1
   cols: 32
   dt: u
   data: [ {bits} ]
"""


GOOD = {"rows": 1, "columns": 4, "kind": "f", "data": "1., 2., 3., 4.", "bits": "7, " * 31 + "7"}


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 10**9},
        {"rows": -1, "columns": -4},
        {"rows": "many"},
        {"columns": 9},
        {"kind": "x"},
        {"kind": '"1000000000f"'},
        {"data": ".Nan, 2., 3., 4."},
        {"data": "1., 2., .Inf, 4."},
        {"data": "1., 2., -3., 4."},
        {"data": "one, 2., 3., 4."},
        {"bits": "7, " * 31 + "256"},
        {"bits": "7, " * 31 + "-1"},
        {"bits": "7"},
    ],
    ids=str,
)
def test_opencv_with_one_bad_file(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(OPENCV.format(**GOOD))
    (tmp_path / "b.yml").write_text(OPENCV.format(**{**GOOD, **change}))
    with little_memory():
        found, errors = read_all(tmp_path)
    assert list(found) == ["a"]
    assert "Expected" in str(errors["b"])


def test_opencv_xml_that_unfolds_to_any_size(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "keypoints">]>'
        "<opencv_storage><keypoints>&a;</keypoints></opencv_storage>"
    )
    _, errors = read_all(tmp_path)
    assert "entities" in str(errors["a"])


def test_gzip_that_unfolds_to_any_size(tmp_path: Path) -> None:
    content = b"%YAML:1.0\n---\nkeypoints: [" + b"1, " * 2**22
    (tmp_path / "a.yml.gz").write_bytes(gzip.compress(content))
    with little_memory(), use_limits(Limits(unpacked=2**20)):
        _, errors = read_all(tmp_path)
    assert "at most 1048576 bytes once unpacked" in str(errors["a"])
    assert "raise the limit unpacked" in str(errors["a"])


def test_gzip_that_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a.yml.gz").write_bytes(gzip.compress(OPENCV.format(**GOOD).encode())[:-20])
    _, errors = read_all(tmp_path)
    assert "Expected a whole gzip file" in str(errors["a"])


@EVERY
def test_every_reader_minds_the_pixels_and_the_keypoints(
    kind: str, tmp_path: Path, images: Images
) -> None:
    path = WRITERS[kind](tmp_path, images)
    with use_limits(Limits(pixels=1000)):
        found, errors = read_all(path)
    assert not found
    assert all("at most 1000 pixels, got" in str(error) for error in errors.values())
    with use_limits(Limits(keypoints=40)):
        found, errors = read_all(path)
    assert list(found) == ["102"]
    assert "at most 40 keypoints, got 60" in str(errors["101"])


@pytest.mark.parametrize(
    "line",
    ["SIFT, object, 6", "SIFT, float32, -6", "SIFT, float32, 1000000000", "SIFT", "", "a, O8, 6"],
)
def test_kapture_of_no_numbers(line: str, tmp_path: Path, images: Images) -> None:
    write_kapture(tmp_path, images)
    (tmp_path / "reconstruction/keypoints/SIFT/keypoints.txt").write_text(f"{line}\n")
    found, errors = read_all(tmp_path)
    assert not found
    assert "Expected" in str(errors[""])


def test_links_in_a_folder_are_not_followed_in_circles(tmp_path: Path, images: Images) -> None:
    write_lowe(tmp_path, images)
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "gone.key").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.key").symlink_to(tmp_path / "loop.key")
    os.mkfifo(tmp_path / "pipe.key")
    found, errors = read_all(tmp_path)
    assert list(found) == ["101", "102"]
    assert sorted(errors) == ["gone", "loop", "pipe"]


def test_npz_header_that_does_not_end(tmp_path: Path, images: Images) -> None:
    WRITERS["npz"](tmp_path, images)
    file = tmp_path / "101.npz"
    file.write_bytes(file.read_bytes().replace(b", }   ", b", }  {"))
    found, errors = read_all(tmp_path)
    assert list(found) == ["102"]
    assert "Expected an .npz file" in str(errors["101"])


@pytest.mark.parametrize("kind", ["hloc", "kapture"])
def test_signalling_nan_is_refused_without_a_warning(
    kind: str, tmp_path: Path, images: Images
) -> None:
    path = WRITERS[kind](tmp_path, images)
    nan = np.frombuffer(b"\x01\x00\x80\x7f" * 2, "<f4")
    if kind == "hloc":
        with h5py.File(path, "a") as file:
            file["101/descriptors"][:2, 0] = nan
    else:
        points = path / "reconstruction/keypoints/SIFT/101.kpt"
        points.write_bytes(nan.tobytes() + points.read_bytes()[8:])
    found, errors = read_all(path)
    assert list(found) == ["102"]
    assert "NaN" in str(errors["101"])


def test_openmvg_regions_of_another_kind(tmp_path: Path, images: Images) -> None:
    WRITERS["openmvg"](tmp_path, images)
    told = '{"regions_type": {"polymorphic_name": "AKAZE_Liop_Regions"}}'
    (tmp_path / "image_describer.json").write_text(told)
    found, errors = read_all(tmp_path)
    assert not found
    assert all("got 'AKAZE_Liop_Regions'" in str(error) for error in errors.values())


def test_hidden_files_are_left_out(tmp_path: Path, images: Images) -> None:
    write_lowe(tmp_path, images)
    (tmp_path / ".103.key").write_text("half written")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "104.key").write_text("0 128\n")
    found, errors = read_all(tmp_path)
    assert (list(found), errors) == (["101", "102"], {})


@pytest.mark.parametrize(
    "shape",
    ["0 0 1", "1 1 1", "1 2 1", "-1 0 -1", "nan 0 1", "1 nan 1", "1e200 0 1e200", "inf 0 1"],
)
def test_oxford_regions_that_are_no_ellipses(shape: str, tmp_path: Path, images: Images) -> None:
    WRITERS["oxford"](tmp_path, images)
    vector = "1 " * 128
    (tmp_path / "103.hesaff.sift").write_text(f"128\n1\n5 5 {shape} {vector}\n")
    found, errors = read_all(tmp_path)
    assert list(found) == ["101", "102"]
    assert "Expected" in str(errors["103"])


@pytest.mark.parametrize(
    "head",
    [
        b"SIFTV4.0" + bytes(12),
        b"SIFTV4.0" + np.array([10**9, 5, 128], "<i4").tobytes(),
        b"SIFTV4.0" + np.array([-1, 5, 128], "<i4").tobytes(),
        b"SIFTV4.0" + np.array([1, 6, 128], "<i4").tobytes() + bytes(24 + 128),
        b"SIFTV4.0" + np.array([1, 5, 128], "<i4").tobytes() + bytes(20 + 128 + 5),
        b"SIFTV4.0" + np.array([1, 5, 128], "<i4").tobytes() + b"\xff" * (20 + 128),
        b"SIFTV9.9" + np.array([1, 5, 128], "<i4").tobytes() + bytes(20 + 128),
        b"SIFT",
    ],
)
def test_visualsfm_with_one_bad_file(head: bytes, tmp_path: Path, images: Images) -> None:
    WRITERS["visualsfm"](tmp_path, images)
    (tmp_path / "103.sift").write_bytes(head)
    with little_memory():
        found, errors = read_all(tmp_path)
    assert list(found) == ["101", "102"]
    assert "Expected" in str(errors["103"])


def test_tar_of_links_holes_and_other_things(tmp_path: Path, images: Images) -> None:
    path = WRITERS["kapture-tar"](tmp_path, images)
    (tmp_path / "secret.kpt").write_bytes(bytes(24))
    with tarfile.open(path / "reconstruction/keypoints/SIFT/keypoints.tar", "a") as archive:
        for name, kind in (("103.kpt", tarfile.SYMTYPE), ("104.kpt", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, str(tmp_path / "secret.kpt")
            archive.addfile(link)
        for name, kind in (("105.kpt", tarfile.FIFOTYPE), ("106.kpt", tarfile.GNUTYPE_SPARSE)):
            other = tarfile.TarInfo(name)
            other.type = kind
            archive.addfile(other)
        archive.addfile(tarfile.TarInfo("../107.kpt"))
    found, errors = read_all(path)
    assert list(found) == ["101", "102"]
    assert list(errors) == ["../107"]


@pytest.mark.parametrize("size", [2**27, 2**33])
def test_tar_that_claims_more_than_it_has(size: int, tmp_path: Path, images: Images) -> None:
    path = WRITERS["kapture-tar"](tmp_path, images)
    file = path / "reconstruction/descriptors/SIFT/descriptors.tar"
    with tarfile.open(file, "r:") as archive:
        end = max(one.offset_data + 512 * (one.size // 512 + 1) for one in archive)
    large = tarfile.TarInfo("101.desc")
    large.size = size
    file.write_bytes(file.read_bytes()[:end] + large.tobuf())
    with little_memory():
        found, errors = read_all(path)
    assert not found
    assert all("Expected a whole .tar file" in str(error) for error in errors.values())


@pytest.mark.parametrize("kind", ["colmap-text", "lowe", "vlfeat", "openmvg", "oxford"])
def test_only_plain_numbers_are_numbers(kind: str, tmp_path: Path, images: Images) -> None:
    path = WRITERS[kind](tmp_path, images)
    file = tmp_path / FILES[kind][0]
    words = re.split(rb"(\s+)", file.read_bytes())
    last = max(n for n, word in enumerate(words) if word.strip())
    words[last] = b"1_0"
    file.write_bytes(b"".join(words))
    found, errors = read_all(path)
    assert set(found) == {"102"}
    assert "Expected numbers for " in str(errors["101"])


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, some: LocalFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1", "b/2", "c/3"):
        some.save(tmp_path / f"{name}.npz")
    usual = os.scandir

    def scandir(folder: str) -> object:  # since to the superuser nothing is forbidden
        if str(folder).endswith("b"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return usual(folder)

    with open_store(tmp_path) as store:
        monkeypatch.setattr(os, "scandir", scandir)
        with pytest.raises(FileError, match=f"Cannot read the folder {tmp_path}/b: Permission"):
            list(store.names())
