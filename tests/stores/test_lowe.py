"""Texts that begin with `N 128`, of Lowe's program and of SiftGPU, which mean other things."""

from pathlib import Path

import pytest
from alike import assert_alike
from make_stores import write_lowe, write_siftgpu

from invertdesc import LocalFeatures, open_store

VECTOR = [" ".join(["1"] * 20)] * 6 + [" ".join(["1"] * 8)]


def write(folder: Path, angle: float, name: str = "a", start: str = " ", end: str = "") -> None:
    lines = ["1 128", f"4.50 3.50 2.00 {angle:.3f}", *(f"{start}{part}{end}" for part in VECTOR)]
    (folder / f"{name}.sift").write_text("\n".join(lines) + "\n")


def load(folder: Path) -> tuple[list[float], float, str | None]:
    """Return position and orientation of the one keypoint of `a`, and who wrote it."""
    with open_store(folder, descriptor="sift", image_size=(10, 10)) as store:
        features = store.load("a")
    assert features.orientations is not None
    (keypoint,) = features.keypoints.tolist()
    return keypoint, features.orientations.item(), features.provenance.producer


LOWE, SIFTGPU = ([3.5, 4.5], "lowe"), ([3.0, 4.0], "siftgpu")


@pytest.mark.parametrize(
    ("angle", "expected", "turn"), [(-2.0, LOWE, 2.0), (3.5, SIFTGPU, 3.5)], ids=str
)
def test_angles_of_a_file_tell(
    angle: float, expected: tuple[list[float], str], turn: float, tmp_path: Path
) -> None:
    write(tmp_path, angle)
    xy, orientation, producer = load(tmp_path)
    assert (xy, producer) == expected
    assert orientation == pytest.approx(turn)


@pytest.mark.parametrize(("other", "expected"), [(-2.0, LOWE), (3.5, SIFTGPU)], ids=str)
def test_angles_of_other_files_tell(
    other: float, expected: tuple[list[float], str], tmp_path: Path
) -> None:
    write(tmp_path, 1.0)
    write(tmp_path, other, name="b")
    xy, _, producer = load(tmp_path)
    assert (xy, producer) == expected


def test_texts_for_colmap_tell_nothing_of_others(tmp_path: Path) -> None:
    write(tmp_path, 1.0)
    (tmp_path / "0.sift").write_text("1 128\n4.5 3.5 2 1 " + "1 " * 128)
    xy, _, producer = load(tmp_path)
    assert (xy, producer) == LOWE


@pytest.mark.parametrize(("start", "end", "expected"), [(" ", "", LOWE), ("", " ", SIFTGPU)])
def test_lines_tell_where_no_angle_does(
    start: str, end: str, expected: tuple[list[float], str], tmp_path: Path
) -> None:
    write(tmp_path, 0.0, start=start, end=end)
    xy, _, producer = load(tmp_path)
    assert (xy, producer) == expected


def test_what_was_taken_for_whose_is_told(tmp_path: Path, some: LocalFeatures) -> None:
    write_siftgpu(tmp_path, {"a": some})
    with open_store(tmp_path) as store:
        assert_alike(store.load("a"), some)
        notes = store.description.notes
    assert "Taken for SiftGPU's: angles go beyond pi." in notes
    write_lowe(tmp_path, {"a": some})
    with open_store(tmp_path / "a.key") as store:
        assert store.description.notes == ()
