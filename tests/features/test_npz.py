import io
import json
import pickle
import re
import struct
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from invertdesc import LocalFeatures, Provenance
from invertdesc.errors import FileError, InputError, InvertDescError
from invertdesc.limits import Limits, use_limits

ROWS = ("keypoints", "descriptors", "scales", "orientations", "scores")


def features(count: int = 3) -> LocalFeatures:
    draw = torch.Generator().manual_seed(0)
    return LocalFeatures(
        keypoints=torch.rand(count, 2, generator=draw) * 10,
        descriptors=torch.rand(count, 8, generator=draw),
        image_size=(12, 34),
        descriptor="sift",
        scales=1 + torch.rand(count, generator=draw),
        orientations=torch.rand(count, generator=draw),
        scores=torch.rand(count, generator=draw),
        provenance=Provenance(
            "luma",
            "opencv 5.0.0",
            {"sigma": 1.6, "most": None, "name": "größer", "layers": [1, 2], "upright": True},
        ),
    )


def assert_same(one: LocalFeatures, other: LocalFeatures) -> None:
    for name in ROWS:
        a, b = getattr(one, name), getattr(other, name)
        if a is None or b is None:
            assert a is b, name
        else:
            assert a.dtype == b.dtype, name
            assert torch.equal(a, b), name
    assert one.image_size == other.image_size
    assert one.descriptor == other.descriptor
    assert one.provenance == other.provenance


def arrays(**changes: Any) -> dict[str, np.ndarray]:
    stored = {
        "keypoints": np.ones((2, 2), np.float32),
        "descriptors": np.zeros((2, 8), np.float32),
        "scales": np.ones(2, np.float32),
    }
    return {name: value for name, value in {**stored, **changes}.items() if value is not None}


def meta(**changes: Any) -> dict[str, Any]:
    told = {
        "format": "invertdesc-features",
        "version": 1,
        "library": "invertdesc 0.1",
        "descriptor": "sift",
        "image_size": [12, 34],
        "provenance": {"gray": None, "producer": None, "parameters": {}},
    }
    return {name: value for name, value in {**told, **changes}.items() if value is not ...}


def forge(path: Path, told: Any = None, stored: dict[str, np.ndarray] | None = None) -> Path:
    """Write a file as `LocalFeatures.save` would, but with whatever meta and arrays."""
    text = told if isinstance(told, str) else json.dumps(meta() if told is None else told)
    with path.open("wb") as file:
        np.savez(file, meta=np.array(text), **(arrays() if stored is None else stored))
    return path


class Booby:
    """What makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_forged_file_is_a_good_one_unless_changed(tmp_path: Path) -> None:
    loaded = LocalFeatures.load(forge(tmp_path / "a.npz"))
    assert len(loaded) == 2
    assert loaded.image_size == (12, 34)
    assert loaded.orientations is None


@pytest.mark.parametrize("missing", [(), ("scales",), ("scales", "orientations", "scores")])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_round_trip(tmp_path: Path, count: int, missing: tuple[str, ...]) -> None:
    saved = features(count).without(*missing)
    saved.save(tmp_path / "a.npz")
    assert_same(LocalFeatures.load(tmp_path / "a.npz"), saved)


def test_round_trip_of_packed_bits(tmp_path: Path) -> None:
    packed = torch.arange(3 * 32).view(3, 32).to(torch.uint8)
    saved = replace(features(), descriptors=packed, descriptor="orb")
    saved.save(tmp_path / "a.npz")
    assert_same(LocalFeatures.load(tmp_path / "a.npz"), saved)


def test_round_trip_of_unknown_provenance(tmp_path: Path) -> None:
    saved = replace(features(), provenance=Provenance())
    saved.save(tmp_path / "a.npz")
    assert LocalFeatures.load(tmp_path / "a.npz").provenance == Provenance(None, None, {})


def test_round_trip_of_real_features(tmp_path: Path, astronaut_features: LocalFeatures) -> None:
    astronaut_features.save(tmp_path / "a.npz")
    assert_same(LocalFeatures.load(tmp_path / "a.npz"), astronaut_features)


def test_round_trip_of_views_and_of_autograd(tmp_path: Path) -> None:
    whole = features(6)
    view = whole[::2]
    learnt = replace(view, descriptors=whole.descriptors.clone().requires_grad_()[::2])
    learnt.save(tmp_path / "a.npz")
    assert_same(LocalFeatures.load(tmp_path / "a.npz"), view)


@pytest.mark.parametrize("name", ["features", "features.npz", "features.dat", "a.b.c"])
def test_file_gets_the_very_name_that_was_given(tmp_path: Path, name: str) -> None:
    features().save(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert_same(LocalFeatures.load(str(tmp_path / name)), features())


def test_file_is_plain_numpy(tmp_path: Path) -> None:
    features().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == sorted((*ROWS, "meta"))
        told = json.loads(str(archive["meta"]))
        assert archive["keypoints"].dtype == np.float32
    assert told["format"] == "invertdesc-features"
    assert told["version"] == 1
    assert told["library"].startswith("invertdesc ")


def test_loaded_arrays_may_be_written_to(tmp_path: Path) -> None:
    features().save(tmp_path / "a.npz")
    loaded = LocalFeatures.load(tmp_path / "a.npz")
    loaded.keypoints.zero_()
    assert loaded.keypoints.max() == 0


def test_compressed_archive_is_read_too(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", meta=np.array(json.dumps(meta())), **arrays())
    assert len(LocalFeatures.load(tmp_path / "a.npz")) == 2


def test_other_arrays_are_passed_over(tmp_path: Path) -> None:
    assert len(LocalFeatures.load(forge(tmp_path / "a.npz", stored=arrays(more=np.zeros(9))))) == 2


@pytest.mark.parametrize(
    "parameters", [{"size": np.float32(2)}, {"where": Path("a")}, {"which": {1, 2}}]
)
def test_parameters_that_json_cannot_hold(tmp_path: Path, parameters: dict[str, Any]) -> None:
    odd = replace(features(), provenance=Provenance(parameters=parameters))
    with pytest.raises(InputError, match=r"provenance of plain numbers.*not JSON serializable"):
        odd.save(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no.npz", "."])
def test_missing_file_or_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="Expected a file of features, found none at") as caught:
        LocalFeatures.load(tmp_path / name)
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, InvertDescError)


def bare_array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"P", b"some text\n", np.random.default_rng(0).bytes(1000), bare_array()],
    ids=["empty", "one byte", "text", "random", "npy"],
)
def test_file_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    expected = (
        f"Expected an .npz file that invertdesc wrote, got {path}: it is no zip archive. "
        "Make one with extract_folder or LocalFeatures.save."
    )
    with pytest.raises(FileError, match=f"^{re.escape(expected)}$"):
        LocalFeatures.load(path)


@pytest.mark.parametrize("content", [b"PK", b"PK\x03\x04", b"PK\x03\x04" + bytes(500)])
def test_file_that_looks_like_an_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"Expected an \.npz file that invertdesc wrote"):
        LocalFeatures.load(path)


def test_zip_of_other_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with pytest.raises(FileError, match=r"other arrays \(readme\.txt\)"):
        LocalFeatures.load(tmp_path / "a.npz")


def test_archive_of_somebody_else(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", keypoints=np.zeros((2, 2)), other=np.zeros(3))
    with pytest.raises(FileError, match=r"other arrays \(keypoints, other\)"):
        LocalFeatures.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz")
    with pytest.raises(FileError, match=r"other arrays \(none\)"):
        LocalFeatures.load(tmp_path / "b.npz")


@pytest.mark.parametrize("compressed", [False, True])
def test_archive_cut_anywhere_is_refused(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.npz"
    (np.savez_compressed if compressed else np.savez)(
        path, meta=np.array(json.dumps(meta())), **arrays()
    )
    whole = path.read_bytes()
    for end in range(0, len(whole), 23):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError):
            LocalFeatures.load(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_archive_with_a_broken_byte_gives_an_error_of_ours_or_features(
    tmp_path: Path, compressed: bool
) -> None:
    path = tmp_path / "a.npz"
    (np.savez_compressed if compressed else np.savez)(
        path, meta=np.array(json.dumps(meta())), **arrays()
    )
    whole = path.read_bytes()
    directory = whole.index(b"PK\x01\x02")  # where the archive says how its parts are packed
    places = [*range(0, directory, 11), *range(directory, len(whole), 2)]
    refused = 0
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= (0xFF, 0x01, 0x41)[place % 3]
        path.write_bytes(broken)
        try:
            LocalFeatures.load(path)
        except (FileError, InputError):
            refused += 1
    assert refused > len(places) / 3


def test_pickles_inside_are_never_opened(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    odd = np.array([Booby(trace), Booby(trace)], object)
    for name, content in (("meta", {"meta": odd}), ("keypoints", arrays(keypoints=odd))):
        path = tmp_path / f"{name}.npz"
        np.savez(path, **{"meta": np.array(json.dumps(meta())), **content})
        with pytest.raises(FileError, match="Object arrays cannot be loaded"):
            LocalFeatures.load(path)
    bare = tmp_path / "bare.npz"
    bare.write_bytes(pickle.dumps(Booby(trace)))
    with pytest.raises(FileError, match="it is not a zip archive"):
        LocalFeatures.load(bare)
    assert not trace.exists()
    np.load(tmp_path / "keypoints.npz", allow_pickle=True)["keypoints"]
    assert trace.exists()


@pytest.mark.parametrize("version", [0, 2, 99, None, "one", ...])
def test_other_versions_are_named(tmp_path: Path, version: Any) -> None:
    path = forge(tmp_path / "a.npz", meta(version=version))
    told = None if version is ... else version
    with pytest.raises(FileError, match=rf"it has version {told} of the format, this is 1\."):
        LocalFeatures.load(path)


@pytest.mark.parametrize(
    "told", [[], "x", 3, None, {"format": "other"}, {}, meta(format="invertdesc-unfolding")]
)
def test_meta_of_another_format(tmp_path: Path, told: Any) -> None:
    with pytest.raises(FileError, match="its 'meta' is not that of invertdesc"):
        LocalFeatures.load(forge(tmp_path / "a.npz", json.dumps(told)))


@pytest.mark.parametrize("told", ["", "{", "not json", "[" * 100_000])
def test_meta_that_is_no_json(tmp_path: Path, told: str) -> None:
    with pytest.raises(FileError, match=r"Expected an \.npz file that invertdesc wrote"):
        LocalFeatures.load(forge(tmp_path / "a.npz", told))


def test_meta_that_is_no_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", meta=np.arange(4), **arrays())
    with pytest.raises(FileError, match=r"Expected an \.npz file that invertdesc wrote"):
        LocalFeatures.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("image_size", v) for v in [None, ..., 3, "12", {}, [], [1], [1, 2, 3], ["12", "34"]]),
        *(("image_size", v) for v in [[None, 3], [12.5, 34], [float("inf"), 3], [0, 3], [-1, -1]]),
        *(("descriptor", v) for v in [None, ..., 3, [], {}]),
        *(("provenance", v) for v in [None, ..., 3, "x", [], {"colour": 1}]),
        *(("provenance", v) for v in [{"gray": 1}, {"producer": []}, {"parameters": None}]),
        ("provenance", {"parameters": [1]}),
    ],
)
def test_meta_of_wrong_types_is_named(tmp_path: Path, key: str, value: Any) -> None:
    path = forge(tmp_path / "a.npz", meta(**{key: value}))
    message = f"^Expected valid features in {re.escape(str(path))}, got: .*{key}"
    with pytest.raises(InputError, match=re.compile(message, re.IGNORECASE)):
        LocalFeatures.load(path)


@pytest.mark.parametrize("name", ["keypoints", "descriptors"])
def test_missing_array_is_named(tmp_path: Path, name: str) -> None:
    path = forge(tmp_path / "a.npz", stored=arrays(**{name: None}))
    with pytest.raises(InputError, match=f"Expected an array of {name}, got none"):
        LocalFeatures.load(path)


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("keypoints", np.ones((2, 3), np.float32), r"keypoints of shape \(N, 2\), got \(2, 3\)"),
        ("keypoints", np.float32(1), r"keypoints of shape \(N, 2\), got \(\)"),
        ("keypoints", np.ones((2, 2)), "keypoints of dtype torch.float32, got torch.float64"),
        ("keypoints", np.ones((2, 2), "U3"), "can't convert np.ndarray of type numpy.str_"),
        ("keypoints", np.ones((2, 2), ">f4"), "byte order"),
        ("keypoints", np.full((2, 2), np.nan, np.float32), "finite keypoints, got NaN"),
        ("keypoints", np.full((2, 2), 99, np.float32), "inside the 34 x 12 image"),
        ("descriptors", np.ones((3, 8), np.float32), r"\(N, D\) with N = 2 keypoints"),
        ("descriptors", np.ones((2, 8), np.int64), "descriptors of dtype"),
        ("descriptors", np.full((2, 8), np.inf, np.float32), "finite descriptors"),
        ("scales", np.zeros(2, np.float32), "scales above 0"),
        ("scales", np.ones((2, 1), np.float32), "scales of shape"),
        ("scores", np.ones(2, np.complex64), "scores of dtype"),
        ("orientations", np.full(2, np.nan, np.float32), "finite orientations"),
    ],
)
def test_arrays_that_make_no_sense_are_named(
    tmp_path: Path, name: str, array: np.ndarray, reason: str
) -> None:
    path = forge(tmp_path / "a.npz", stored=arrays(**{name: array}))
    message = f"^Expected valid features in {re.escape(str(path))}, got: .*{reason}"
    with pytest.raises(InputError, match=message):
        LocalFeatures.load(path)


def test_array_that_claims_more_than_memory(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2), }\n"
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    path = tmp_path / "a.npz"
    forge(path, stored=arrays(keypoints=None))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("keypoints.npy", npy)
    with pytest.raises(FileError, match=r"Expected an \.npz file that invertdesc wrote"):
        LocalFeatures.load(path)


@pytest.mark.parametrize("name", ["meta", "keypoints", "descriptors"])
def test_array_that_unpacks_to_more_than_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.npz"
    many = np.zeros((), "U10000000") if name == "meta" else np.zeros((2**23, 2), "f4")
    told = {"meta": np.array(json.dumps(meta()))}
    with path.open("wb") as file:
        np.savez_compressed(file, **(told | arrays() | {name: many}))
    assert path.stat().st_size < 2**17
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="at most 33554432 bytes once unpacked, got"):
            LocalFeatures.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_array_that_claims_more_than_its_member_holds(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000, 2), }\n"
    path = forge(tmp_path / "a.npz", stored=arrays(keypoints=None))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(
            "keypoints.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
        )
    with pytest.raises(FileError, match=r"'keypoints\.npy' claims more values than it has"):
        LocalFeatures.load(path)


def test_members_that_are_no_arrays_are_not_read(tmp_path: Path) -> None:
    path = forge(tmp_path / "a.npz", stored=arrays(scales=None))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("scales", b"raw")
    assert LocalFeatures.load(path).scales is None


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(pixels=407), "at most 407 pixels, got 408"),
        (Limits(keypoints=1), "at most 1 keypoints, got 2"),
        (Limits(values=3), "at most 3 values, got"),
    ],
)
def test_limits_are_named_and_can_be_raised(tmp_path: Path, limits: Limits, told: str) -> None:
    path = forge(tmp_path / "a.npz")
    with use_limits(limits), pytest.raises(InputError, match=told):
        LocalFeatures.load(path)
    assert len(LocalFeatures.load(path)) == 2


def test_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    features().save(path)

    def breaks(file: io.BufferedWriter, **_arrays: Any) -> None:
        file.write(b"half an archive")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", breaks)
    with pytest.raises(FileError, match=f"Cannot write {re.escape(str(path))}: No space left"):
        features(1).save(path)
    monkeypatch.undo()
    assert_same(LocalFeatures.load(path), features())
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_interrupted_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    features().save(path)

    def interrupted(file: io.BufferedWriter, **_arrays: Any) -> None:
        file.write(b"half an archive")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        features(1).save(path)
    monkeypatch.undo()
    assert_same(LocalFeatures.load(path), features())
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(FileError, match="Cannot write"):
        features().save(tmp_path / "file" / "a.npz")
    with pytest.raises(FileError, match="Cannot write"):
        features().save(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
