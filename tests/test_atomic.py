from pathlib import Path

import pytest

from invertdesc._atomic import atomic_write
from invertdesc.errors import FileError


def test_file_appears_with_what_was_written(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "new.bin") as file:
        file.write(b"whole")
    assert (tmp_path / "new.bin").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["new.bin"]


def test_old_file_stands_until_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    with atomic_write(str(target)) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")

    def write() -> None:
        with atomic_write(target) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_failure_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_write(tmp_path / "file.bin"):
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_told_as_a_file_error(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_write(tmp_path / "file.bin"):
            raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match=r"Cannot write .*file\.bin: No space left on device\."):
        write()
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_are_made(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file.bin"
    with atomic_write(target) as file:
        file.write(b"1")
    assert target.read_bytes() == b"1"


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    with atomic_write(target) as first:
        first.write(b"first")
        with atomic_write(target) as second:
            second.write(b"second")
        assert target.read_bytes() == b"second"
    assert target.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def open_and_close(path: Path | str) -> None:
    with atomic_write(path):
        pass


def test_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(FileError, match=r"Cannot write .*Choose another place"):
        open_and_close(tmp_path / "file" / "below.bin")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_target_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match="Is a directory"):
        open_and_close(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_name_too_long_for_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"Cannot write .*too long"):
        open_and_close(tmp_path / ("a" * 300))


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_path_without_a_name(path: str) -> None:
    with pytest.raises(FileError, match=f"Expected the name of a file to write, got '{path}'"):
        open_and_close(path)
