"""The folder of a server; it is deleted when the server ends, or when the next one starts."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from invertdesc.errors import FileError

try:
    import fcntl
except ImportError:  # Windows: the folder of a killed server is not deleted
    fcntl = None  # type: ignore[assignment]

PREFIX = "invertdesc-demo-"


@contextmanager
def own_folder() -> Iterator[Path]:
    """Create a folder that only this user can read; it is deleted at the end of the block.

    Folders of servers that have ended are deleted first. A folder is locked while its server runs.
    The system releases the lock, even if the server was killed.

    Raises:
        FileError: The folder cannot be created or deleted.
    """
    try:
        parent = Path(tempfile.gettempdir()).resolve()
        _sweep(parent)
        path, lock = _make(parent)
    except OSError as error:
        raise FileError(
            f"Expected a folder to write temporary files to, got an error: {error}. "
            "Choose another with the environment variable TMPDIR."
        ) from error
    try:
        yield path
    finally:
        try:
            with suppress(FileNotFoundError):
                shutil.rmtree(path)
        except OSError as error:
            raise FileError(
                f"Cannot delete {path}, which has uploaded files: {error}. Delete it yourself."
            ) from error
        finally:
            if lock is not None:
                os.close(lock)


def holds(folder: Path, path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a file in a folder or its subfolders, after following links.

    >>> holds(Path(__file__).parent, __file__), holds(Path(__file__).parent, "/etc/../etc/passwd")
    (True, False)
    """
    with suppress(OSError, RuntimeError, ValueError):  # too long, a loop of links, a NUL
        real = Path(path).resolve(strict=True)
        return real.is_file() and real.is_relative_to(folder.resolve())
    return False


def _make(parent: Path) -> tuple[Path, int | None]:
    """Return a new folder, and the file descriptor of its lock, if the system has locks."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        if fcntl is None:
            return path, None
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)  # a starting server took it for that of an ended one


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # a link, or its server still runs
            _delete_dead(path)


def _delete_dead(path: Path) -> None:
    if fcntl is None:
        return
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    finally:
        os.close(lock)
