"""COLMAP databases that others write to, or did until they were stopped."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from make_stores import change, write_colmap
from read_stores import read_all

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import FileError
from invertdesc.stores import _colmap_snapshot

Images = dict[str, LocalFeatures]
Run = Callable[..., tuple[int, str, str]]

WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    database.execute(statement)
print("done", flush=True)
sys.stdin.read()
"""
# Of each image the first vector alone: vectors of nothing but zeros are no descriptors.
BLANK = "UPDATE descriptors SET data = CAST(zeroblob(128) || substr(data, 129) AS BLOB)"
# More than the smallest cache holds, so that pages go into the file before the end.
HALF = ("PRAGMA cache_size = 1", "BEGIN", BLANK, "CREATE TABLE more (data BLOB)") + 9 * (
    "INSERT INTO more VALUES (zeroblob(50000))",
)


@contextmanager
def writer(path: Path, *statements: str) -> Iterator[None]:
    """Let another process run SQL on a database, and kill it in the end."""
    command = [sys.executable, "-c", WRITER, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        try:
            yield
        finally:
            process.kill()


def in_wal_mode(path: Path) -> Path:
    return change(path, "PRAGMA journal_mode = WAL")


def beside(path: Path, end: str) -> Path:
    return path.with_name(f"{path.name}{end}")


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder, but for SQLite's scratch, of which only the name counts."""
    return {
        file.name: b"" if file.name.endswith("-shm") else file.read_bytes()
        for file in folder.iterdir()
    }


def assert_read_without_a_trace(path: Path, images: Images, zeros: bool = False) -> None:
    before = contents(path.parent)
    found, errors = read_all(path)
    assert (list(found), errors) == (list(images), {})
    assert all(bool((one.descriptors[0] == 0).all()) == zeros for one in found.values())
    assert contents(path.parent) == before


@pytest.fixture
def path(tmp_path: Path, images: Images) -> Path:
    folder = tmp_path / "a folder"
    folder.mkdir()
    return write_colmap(folder, images)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_colmap_snapshot, "PATIENCE", 0)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("statements", [("BEGIN EXCLUSIVE",), HALF])
def test_locked(statements: tuple[str, ...], path: Path, run: Run) -> None:
    with writer(path, *statements):
        before = contents(path.parent)
        with pytest.raises(FileError, match=r"without a writer, .* locked. Try again when"):
            open_store(path)
        status, _, error = run("inspect", path)
        assert (status, error.count("\n"), error[:7]) == (2, 1, "error: ")
        assert contents(path.parent) == before


def test_change_that_did_not_reach_the_file_yet(path: Path, images: Images) -> None:
    with writer(path, "BEGIN IMMEDIATE", BLANK):
        assert_read_without_a_trace(path, images)


@pytest.mark.parametrize("head", [b"\1\1", b"\2\2"])
def test_writer_that_was_stopped_half_way(head: bytes, path: Path, images: Images) -> None:
    with writer(path, *HALF):
        pass
    with path.open("r+b") as file:  # 2: stopped on the way to write-ahead mode
        file.seek(18)
        file.write(head)
    before = contents(path.parent)
    with pytest.raises(FileError, match=r"unfinished changes.*: sqlite3 '.*/database.db' .tables"):
        open_store(path)
    (path.parent / "link.db").symlink_to(path)
    with pytest.raises(FileError, match="unfinished changes"):
        open_store(path.parent / "link.db")
    (path.parent / "link.db").unlink()
    assert contents(path.parent) == before
    change(path, "SELECT * FROM images")  # as the message says
    assert_read_without_a_trace(path, images)


@pytest.mark.parametrize("content", [b"", bytes(28)], ids=["empty", "blank"])
@pytest.mark.parametrize("wal", [False, True])
def test_journal_that_is_not_in_use(content: bytes, wal: bool, path: Path, images: Images) -> None:
    if wal:
        in_wal_mode(path)
    beside(path, "-journal").write_bytes(content)
    assert_read_without_a_trace(path, images)


@pytest.mark.parametrize("log", [None, b""])
@pytest.mark.parametrize("name", ["database.db", "a?mode=rwc&x#%41 é.db"])
def test_write_ahead_mode_with_nothing_pending(
    log: bytes | None, name: str, path: Path, images: Images
) -> None:
    path = in_wal_mode(path).rename(path.with_name(name))
    if log is not None:
        beside(path, "-wal").write_bytes(log)
    assert_read_without_a_trace(path, images)


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("log", [None, b"", b"pending"])
def test_folder_that_cannot_be_written_to(
    wal: bool, log: bytes | None, path: Path, images: Images
) -> None:
    if wal:
        in_wal_mode(path)
    if pending := log == b"pending":
        with writer(path, BLANK):
            pass
    elif log is not None:
        beside(path, "-wal").write_bytes(log)
    beside(path, "-shm").unlink(missing_ok=True)
    path.parent.chmod(0o555)
    try:
        if os.access(path.parent, os.W_OK):
            pytest.skip("the superuser can write anywhere")
        assert_read_without_a_trace(path, images, zeros=pending)
    finally:
        path.parent.chmod(0o755)


def test_write_ahead_mode_while_another_writes(path: Path, images: Images) -> None:
    in_wal_mode(path)
    with writer(path, BLANK, "BEGIN", "DELETE FROM images"):
        names = set(contents(path.parent))
        with open_store(path) as store:
            assert all((one.descriptors[0] == 0).all() for _, one in store)
            assert len(store) == len(images)
        link = path.parent.parent / "link.db"
        link.symlink_to(path)
        assert all((one.descriptors[0] == 0).all() for one in read_all(link)[0].values())
        assert set(contents(path.parent)) == names


def test_write_ahead_mode_shows_one_moment(path: Path, images: Images) -> None:
    in_wal_mode(path)
    with (
        writer(path, "UPDATE cameras SET model = 1"),
        open_store(path) as store,
        writer(path, BLANK, "DELETE FROM images", "PRAGMA wal_checkpoint"),
    ):
        found = dict(store)
        assert list(found) == list(images)
        assert all(one.descriptors.any() for one in found.values())


def test_others_wait_without_write_ahead_mode(path: Path, images: Images) -> None:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        with open_store(path) as store:
            store.load("101")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute(BLANK)
            assert len(dict(store)) == len(images)
        other.execute(BLANK)


def test_full_log_without_its_index(
    path: Path, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    in_wal_mode(path)
    with writer(path, BLANK):
        pass
    beside(path, "-shm").unlink()
    assert_read_without_a_trace(path, images, zeros=True)
    assert not list(temporary.iterdir())

    monkeypatch.setattr(_colmap_snapshot, "MOST_COPIED", path.stat().st_size)
    with pytest.raises(FileError, match=r"Expected at most .* first: sqlite3 '.*' .tables"):
        open_store(path)
    assert not list(temporary.iterdir())


def test_log_for_whose_copy_there_is_no_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_wal_mode(path)
    with writer(path, BLANK):
        pass
    beside(path, "-shm").unlink()

    def copy(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", copy)
    with pytest.raises(FileError, match=r"Cannot copy .* No space left"):
        open_store(path)


def test_log_that_changes_while_it_is_copied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_wal_mode(path)
    with writer(path, BLANK):
        pass
    beside(path, "-shm").unlink()

    def copy(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())
        os.utime(path, ns=(0, 0))

    monkeypatch.setattr(shutil, "copyfile", copy)
    with pytest.raises(FileError, match="another program has changed them"):
        open_store(path)


def test_working_folder_that_changes_while_it_is_read(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    with open_store(path.name) as store:
        monkeypatch.chdir(tmp_path)
        assert len(store.load("101")) == 60


@pytest.mark.parametrize("remove", [False, True])
def test_database_that_changes_while_it_is_read(remove: bool, path: Path) -> None:
    in_wal_mode(path)
    os.utime(path, ns=(0, 0))  # clocks of files are coarse
    with open_store(path) as store:
        store.load("101")
        if remove:
            path.unlink()
        else:
            change(path, BLANK)
        with pytest.raises(FileError, match="another program has changed it"):
            store.load("102")


@pytest.mark.parametrize("old", [False, True])
def test_database_cut_off_within_a_page(old: bool, path: Path) -> None:
    whole = bytearray(path.read_bytes())
    if old:  # SQLite before 3.7 does not say how many pages there are, and leaves this stale
        whole[92:96] = bytes(4)
    for lost in (1, 100, 4095):
        path.write_bytes(whole[:-lost])
        with pytest.raises(FileError, match="Was it cut off"):
            open_store(path)


def test_database_cut_off_beside_a_full_log(path: Path, images: Images) -> None:
    in_wal_mode(path)
    with writer(path, "UPDATE keypoints SET data = data WHERE image_id = 2"):
        whole = path.read_bytes()
        for index in (True, False):
            folder = path.parent.parent / str(index)
            shutil.copytree(path.parent, folder)
            copy = folder / path.name
            if not index:
                beside(copy, "-shm").unlink()
            for end in range(4096, len(whole), 2048):
                copy.write_bytes(whole[:end])
                with pytest.raises(FileError, match=r"Was it cut off|malformed"):
                    open_store(copy)
            copy.write_bytes(whole)
            assert list(read_all(copy)[0]) == list(images)


def test_pages_that_are_in_the_log_alone(path: Path, images: Images) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript("CREATE TABLE more (data BLOB)")
        for _ in range(9):
            database.execute("INSERT INTO more VALUES (zeroblob(50000))")
        database.commit()
        assert beside(path, "-wal").stat().st_size > path.stat().st_size
        assert_read_without_a_trace(path, images)
