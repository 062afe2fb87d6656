import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from invertdesc._files import atomic_write, open_tensors, save_tensors
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


@pytest.mark.parametrize("length", [100, 241, 255])
def test_any_name_that_the_file_system_takes(tmp_path: Path, length: int) -> None:
    target = tmp_path / ("a" * length)
    with atomic_write(target) as file:
        file.write(b"1")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


KILLED = """
import os, signal
from invertdesc._files import atomic_write
with atomic_write({target!r}) as file:
    file.write(b"half")
    file.flush()
    {inside}
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_while_writing(target: Path, inside: str = "pass") -> None:
    script = KILLED.format(target=str(target), inside=inside)
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL


def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    twice = f"second = atomic_write({str(target)!r}); second.__enter__()"
    kill_while_writing(target, inside=twice)
    kill_while_writing(tmp_path / "other.bin")
    assert len(list(tmp_path.glob(".*.part"))) == 3
    assert target.read_bytes() == b"old"
    with atomic_write(target) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    assert len(list(tmp_path.glob(".*.part"))) == 1  # of the other file, which nobody has written


def test_what_a_living_process_writes_stays(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    with atomic_write(target) as first:
        first.write(b"first")
        script = (
            "from invertdesc._files import atomic_write\n"
            f"with atomic_write({str(target)!r}) as file:\n    file.write(b'second')\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True)
        assert target.read_bytes() == b"second"
    assert target.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_a_link_in_the_place_of_a_part_is_not_followed(tmp_path: Path) -> None:
    target, precious = tmp_path / "file.bin", tmp_path / "precious"
    precious.write_bytes(b"precious")
    with atomic_write(target) as file:
        part = Path(file.name)
    part.symlink_to(precious)
    with atomic_write(target) as file:
        file.write(b"new")
    assert (target.read_bytes(), precious.read_bytes()) == (b"new", b"precious")
    assert not target.is_symlink()


def test_disk_that_fills_up_while_it_is_written(
    tmp_path: Path, little_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    with little_disk(4096), pytest.raises(FileError, match=r"Cannot write .*file\.bin: "):
        write_all(target, bytes(10_000))
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def write_all(target: Path, content: bytes) -> None:
    with atomic_write(target) as file:
        file.write(content)


def test_file_is_on_the_disk_before_it_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file.bin"
    order = []
    sync, replace = os.fsync, Path.replace

    def note_sync(number: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        sync(number)

    def note_move(self: Path, to: Path) -> Path:
        order.append(f"move {self.stat().st_size}")
        return replace(self, to)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_move)
    write_all(target, b"1234")
    assert order == ["file", "move 4", "folder"]


def test_error_of_the_disk_when_it_is_told_to_keep_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FileError, match=r"Cannot write .*: Input/output error"):
        write_all(tmp_path / "file.bin", b"1")
    assert list(tmp_path.iterdir()) == []


def write_tensors(path: Path, version: int = 1) -> Path:
    tensors = {"a": torch.eye(3).T, "b": torch.arange(2)}
    save_tensors(path, tensors, format="some", version=version, header={"x": [1, None]})
    return path


def test_tensors_and_header_survive_their_file(tmp_path: Path) -> None:
    path = write_tensors(tmp_path / "new" / "a.safetensors")
    with open_tensors(path, what="a thing", format="some") as (header, tensors):
        assert (header["x"], header["version"]) == ([1, None], 1)
        assert header["library"].startswith("invertdesc ")
        assert tensors["a"].equal(torch.eye(3))
        assert tensors["b"].equal(torch.arange(2))
    with open_tensors(path, what="a thing") as (header, tensors):  # none is asked for
        assert (header, set(tensors)) == ({}, {"a", "b"})


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (None, "its header is not that of an invertdesc file"),
        ({"other": "{}"}, "its header is not that of an invertdesc file"),
        ({"format": "some"}, "its header is not that of an invertdesc file"),
        ({"some": "[]"}, "its header is not that of an invertdesc file"),
        ({"some": "{"}, "Expecting property name"),
        ({"some": "[" * 100_000}, "maximum recursion depth"),
        ({"some": json.dumps({"version": "2"})}, "'>' not supported"),
        ({"some": json.dumps({"version": 3})}, "it has no 'library'"),
        (
            {"some": json.dumps({"version": 3, "library": "invertdesc 9"})},
            r"it was written by invertdesc 9, later than this one\. Make one\.$",
        ),
    ],
)
def test_headers_of_others_are_refused(
    tmp_path: Path, header: dict[str, str] | None, words: str
) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, header)
    told = rf"Expected a thing, got .*a\.safetensors: .*{words}"
    reading = open_tensors(path, what="a thing", format="some", newest=2, advice=" Make one.")
    with pytest.raises(FileError, match=told), reading:
        pass


def test_what_a_block_finds_wrong_is_refused_as_a_broken_file(tmp_path: Path) -> None:
    path = write_tensors(tmp_path / "a.safetensors")
    told = r"Expected a thing, got .*: it has no 'c'\."
    with pytest.raises(FileError, match=told), open_tensors(path, what="a thing") as (_, tensors):
        tensors["c"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FileError, match="Expected a thing"), open_tensors(path, what="a thing"):
        pass
