"""Read a COLMAP database in its state at opening, without writing to it or its folder.

SQLite stores changes in files next to a database. A `-journal` has the data replaced by a change.
In write-ahead mode, a `-wal` has changes that are not in the database yet, and a `-shm` has their
index. COLMAP leaves this mode on, and in it SQLite creates both files if they are missing.
Therefore:

- Without this mode it is read in place. Others cannot write to it until it is closed.
- With `-wal` and `-shm` it is also read in place. Others may continue to write; these changes are
  not seen. SQLite may write to `-shm`.
- With an empty `-wal` it is opened as a file that does not change. After each query it is checked
  whether it did change.
- With data in `-wal` and no `-shm`, both are first copied to a temporary folder. From a truncated
  `-wal` SQLite reads everything up to the last complete change; the missing part cannot be
  detected.

A database that is locked, truncated, or incompletely changed by a killed program is refused.

Source: sqlite.org, "Write-Ahead Logging", "Database File Format", "File Locking And Concurrency".
"""

from __future__ import annotations

import shlex
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from invertdesc.errors import FileError

T = TypeVar("T")
# SQLite's messages quote content of the file, which Python decodes as UTF-8.
BROKEN = (sqlite3.Error, OverflowError, UnicodeDecodeError)
STEPS = 20  # steps of SQLite's machine per byte of a database: ten times those of reading all of it
PAUSE = 50_000  # steps between two checks
PATIENCE = 5.0  # seconds to wait for a lock
MOST_COPIED = 2**31  # bytes
WAL_HEAD, FRAME_HEAD = 32, 24  # bytes before the pages of a -wal, and before each page
LOCK_BYTE = 2**30  # SQLite never uses the page with this byte


class Snapshot:
    """An open database, which is read in one transaction."""

    def __init__(self, path: Path) -> None:
        """Open a database.

        Raises:
            FileError: It is unreadable, in use, incompletely changed or truncated.
        """
        self._path, self._main = path, path.resolve()
        self._looks = self._most_looks = 0
        self._stamp: tuple[int, ...] | None = None  # set if the file must not change
        try:
            with ExitStack() as stack:
                self._database = self._open(self._main, stack)
                self._stack = stack.pop_all()
        except FileError:
            raise
        except OSError as error:
            raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
        except BROKEN as error:
            raise FileError(_explain(error, path)) from error

    def execute(self, query: str, *values: object) -> sqlite3.Cursor:
        """Run a query; call this inside `read`."""
        return self._database.execute(query, values)

    def read(self, work: Callable[[], T]) -> T:
        """Return the result of a query.

        Raises:
            FileError: The database is damaged, or was changed since it was opened.
        """
        self._looks = 0
        try:
            return work()
        except BROKEN as error:
            raise FileError(
                f"Expected a whole COLMAP database at {self._path}: {error}."
            ) from error
        finally:
            if self._stamp not in (None, _stamp(self._main)):
                raise FileError(
                    f"Expected {self._path} not to change while it is read, but another program "
                    "has changed it. Try again when that program has ended."
                )

    def close(self) -> None:
        """Close the database."""
        self._stack.close()

    def _open(self, main: Path, stack: ExitStack) -> sqlite3.Connection:
        log, before = _beside(main, "-wal"), _stamp(main)
        if not _in_write_ahead_mode(main) or _is_half_changed(main):
            database = self._connect(main, "mode=ro", stack)
            self._stamp = _stamp(main)
        elif log.exists() and _beside(main, "-shm").exists():
            database = self._connect(main, "mode=ro", stack)
        elif _length(log):
            main = _copy(main, Path(stack.enter_context(_temporary_folder())))
            database = self._connect(main, "mode=ro", stack)
        else:
            database = self._connect(main, "mode=ro&immutable=1", stack)
            self._stamp = before
        self._check_whole(database, main)
        return database

    def _connect(self, main: Path, options: str, stack: ExitStack) -> sqlite3.Connection:
        """Return a connection in a transaction, which reads the state of one moment."""
        database = sqlite3.connect(
            f"{main.as_uri()}?{options}",
            uri=True,
            timeout=PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )
        stack.callback(database.close)
        database.text_factory = lambda text: text.decode(errors="replace")
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
            with suppress(sqlite3.Error):  # an older SQLite does not have them all
                database.execute(f"PRAGMA {setting}")
        self._most_looks = 20 + STEPS * (_length(main) + _length(_beside(main, "-wal"))) // PAUSE
        database.set_progress_handler(self._is_endless, PAUSE)
        database.execute("BEGIN")
        database.execute("SELECT 1 FROM sqlite_master").fetchone()
        return database

    def _is_endless(self) -> bool:
        """Return whether a query of SQLite takes longer than the size of the database explains."""
        self._looks += 1
        return self._looks > self._most_looks

    def _check_whole(self, database: sqlite3.Connection, main: Path) -> None:
        """Check that no page is missing, not even in part; SQLite reads missing bytes as 0."""
        pages, size = (
            int(database.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "page_size")
        )
        log, held = _beside(main, "-wal"), _length(main)
        missing = range(held // size + 1, pages + 1)
        few = len(missing) <= _length(log) // size + 1  # a header may claim any number
        if missing and not (few and _pages_in(log, size) >= {*missing} - {LOCK_BYTE // size + 1}):
            raise FileError(
                f"Expected {pages * size} bytes in the COLMAP database {self._path}, got {held}. "
                "Was it cut off?"
            )


def _beside(main: Path, end: str) -> Path:
    return Path(f"{main}{end}")


def _length(file: Path) -> int:
    """Return the size of a file in bytes; 0 if there is none."""
    return file.stat().st_size if file.is_file() else 0


def _stamp(file: Path) -> tuple[int, ...]:
    """Return values that change when a file is written to; empty if the file is missing."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _in_write_ahead_mode(main: Path) -> bool:
    """Return whether SQLite would look for a -wal, according to the header, or find one."""
    with main.open("rb") as file:
        return file.read(20)[19:] == b"\2" or _beside(main, "-wal").exists()


def _is_half_changed(main: Path) -> bool:
    """Return whether there is a -journal in use; the header of an unused one is blank."""
    journal = _beside(main, "-journal")
    if not journal.is_file():
        return False
    with journal.open("rb") as file:
        return file.read(1) not in (b"", b"\0")


def _pages_in(log: Path, size: int) -> set[int]:
    """Return the numbers of the pages in a -wal, without old pages of an earlier use."""
    pages: set[int] = set()
    if not _length(log):
        return pages
    with log.open("rb") as file:
        salts = file.read(WAL_HEAD)[16:24]
        for start in range(WAL_HEAD, _length(log) - size, FRAME_HEAD + size):
            file.seek(start)
            frame = file.read(FRAME_HEAD)
            if frame[8:16] == salts:
                pages.add(int.from_bytes(frame[:4], "big"))
    return pages


def _temporary_folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="invertdesc-", ignore_cleanup_errors=True)


def _copy(main: Path, folder: Path) -> Path:
    """Copy a database and its -wal, and return the path of the copy.

    Raises:
        FileError: The files are too large, they changed meanwhile, or there is no space for them.
    """
    files = (main, _beside(main, "-wal"))
    total = sum(map(_length, files))
    if total > MOST_COPIED:
        raise FileError(
            f"Expected at most {MOST_COPIED} bytes in {main} and its -wal, which are read from a "
            f"copy, got {total}. Move the -wal into the database first: {_remedy(main)}."
        )
    before = [_stamp(file) for file in files]
    try:
        for file in files:
            shutil.copyfile(file, folder / file.name)
    except OSError as error:
        raise FileError(
            f"Cannot copy {main} and its -wal to {folder}: {error.strerror or error}."
        ) from error
    if before != [_stamp(file) for file in files]:
        raise FileError(
            f"Expected {main} and its -wal not to change while they are copied, but another "
            "program has changed them. Try again when that program has ended."
        )
    return folder / main.name


def _explain(error: Exception, path: Path) -> str:
    """Return a message about a database that SQLite cannot open, with advice."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_BUSY:
        return (
            f"Expected a COLMAP database at {path} without a writer, got: {error}. Try "
            "again when the writing program has ended."
        )
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return (
            f"Expected a COLMAP database at {path} without unfinished changes, got one whose "
            "writer was stopped. SQLite can undo them with the -journal next to it, here or in a "
            f"copy of both files: {_remedy(path)}."
        )
    return f"Expected a COLMAP database at {path}, got: {error}."


def _remedy(path: Path) -> str:
    return f"sqlite3 {shlex.quote(str(path))} .tables"
