"""A server's own folder, which goes with the server: when it ends, or else when the next starts."""

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
except ImportError:  # not on Windows: what a killed server leaves there stays
    fcntl = None  # type: ignore[assignment]

PREFIX = "invertdesc-demo-"


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder for this user alone, which is deleted at the end of the block.

    Folders of servers that live no more are deleted first. A folder is locked as long as its server
    lives: the system itself takes the lock away, also from one that was killed.

    Raises:
        FileError: It cannot be made, or not be deleted.
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
                f"Cannot delete {path}, which holds what was uploaded: {error}. Delete it yourself."
            ) from error
        finally:
            if lock is not None:
                os.close(lock)


def holds(folder: Path, path: str | os.PathLike[str]) -> bool:
    """Say whether a path leads to a file in a folder, or below, once all links are followed.

    >>> holds(Path(__file__).parent, __file__), holds(Path(__file__).parent, "/etc/../etc/passwd")
    (True, False)
    """
    with suppress(OSError, RuntimeError, ValueError):  # too long, a loop of links, a NUL
        real = Path(path).resolve(strict=True)
        return real.is_file() and real.is_relative_to(folder.resolve())
    return False


def _make(parent: Path) -> tuple[Path, int | None]:
    """Return a new folder, and the descriptor that its lock hangs on, where there are locks."""
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
            os.close(lock)  # a server that starts now has taken it for a dead one's


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # a link, or its server lives
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
