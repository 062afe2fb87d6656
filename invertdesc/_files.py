"""Files: written whole or not at all, looked for before they are read, and tensors in them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from invertdesc._version import __version__
from invertdesc.errors import FileError

if TYPE_CHECKING:
    from torch import Tensor

if sys.platform != "win32":
    import fcntl

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".ppm")


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file beside `path` and move it there once the block has ended well.

    Missing parent folders are made. Whatever stood at `path` stays until then. What was written is
    on the disk before it is moved, so that a loss of power leaves the old file or the new one; that
    takes some 3 ms (300 pictures of 12 kB, ext4, one thread). What a killed process left of the
    same file is removed.

    Raises:
        FileError: The folder or the file cannot be written.
    """
    target = Path(path)
    if not target.name:
        raise FileError(f"Expected the name of a file to write, got {str(path)!r}.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _open_part(target) as file:
            part = Path(file.name)
            try:
                yield file
                file.flush()
                _sync(part, os.O_RDWR)  # by name: a library may have put another file there
                if sys.platform == "win32":  # which moves and removes no file that is open
                    file.close()
                part.replace(target)
            except BaseException:
                if sys.platform == "win32":
                    file.close()
                with suppress(OSError):
                    part.unlink()
                raise
        with suppress(OSError):  # not every system can
            _sync(target.parent, os.O_RDONLY)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        reason = error.strerror or str(error)
        raise FileError(f"Cannot write {target}: {reason}. Choose another place.") from error


def _open_part(target: Path) -> BinaryIO:
    """Open and lock a file beside the target, of a short name that depends on the target's.

    The first free one of a row of names is taken: another writer of the same target holds a lock
    on its own, which the system releases when the process ends, however it ends.
    """
    mark = sha256(os.fsencode(target.name)).hexdigest()[:16]
    parts = (target.with_name(f".{mark}.{number}.part") for number in count())
    for part in parts:
        _clear(part)
        try:
            file = part.open("xb")
        except FileExistsError:
            continue
        if _lock(file, part):
            break
        file.close()
    while _clear(next(parts)):
        pass
    return file


def _lock(file: BinaryIO, part: Path) -> bool:
    """Lock a file; False where another writer has removed it between its making and the lock."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where no writer removes another's
        return True
    return _is_at(file.fileno(), part)


def _clear(part: Path) -> bool:
    """Remove a part whose writer is gone; say whether there was a file of that name."""
    if sys.platform == "win32":
        with suppress(PermissionError):  # where its writer has it open
            part.unlink(missing_ok=True)
        return part.exists()
    try:
        number = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:  # another user's
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(number, part):  # and was not moved to its target meanwhile
            part.unlink()
    except OSError:  # a writer is at it
        pass
    finally:
        os.close(number)
    return True


def _is_at(number: int, part: Path) -> bool:
    """Say whether an open file is the one that lies at a path."""
    try:
        return os.path.samestat(os.fstat(number), part.lstat())
    except FileNotFoundError:
        return False


def _sync(path: Path, mode: int) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    number = os.open(path, mode)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def existing_file(path: str | os.PathLike[str], what: str, advice: str = "") -> Path:
    """Return the path of a file that is there.

    Args:
        path: Where it is looked for.
        what: It should be, such as `"an image file"`, for the message.
        advice: Put behind the message.

    Raises:
        FileError: It is missing, is no file, cannot be looked at, or has a name that no file has.

    >>> existing_file("none.png", "an image file")
    Traceback (most recent call last):
    invertdesc.errors.FileError: Expected an image file, found none at none.png.
    """
    name = Path(path)
    if not os.fspath(path):  # which `Path` takes for the current folder
        raise FileError(f"Expected {what}, got an empty name.{advice}")
    try:
        there = name.is_file()
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"Expected {what}, cannot look at {name}: {reason}.{advice}") from error
    if not there:
        raise FileError(f"Expected {what}, found none at {name}.{advice}")
    return name


def save_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    *,
    format: str,
    version: int,
    header: Mapping[str, object],
) -> None:
    """Write a .safetensors file, whole or not at all.

    Args:
        path: Where to write.
        tensors: By name, on any device.
        format: What the file is, such as `"invertdesc-network"`.
        version: Of the format; raised when what an older invertdesc would read is no longer true.
        header: What else the file says of itself, as JSON can hold it.

    Raises:
        FileError: The place cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    text = json.dumps({"library": f"invertdesc {__version__}", "version": version, **header})
    plain = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    with atomic_write(path) as file:
        mode = os.fstat(file.fileno()).st_mode
        try:  # by name, which copies nothing: tensors may be larger than the memory
            save_file(plain, file.name, {format: text})  # one key: their order is random
        except SafetensorError as error:  # a full disk, for one
            raise FileError(f"Cannot write {path}: {error}.") from error
        Path(file.name).chmod(mode)  # some versions leave a file that its owner alone can read


@contextmanager
def open_tensors(
    path: str | os.PathLike[str],
    *,
    what: str,
    format: str | None = None,
    newest: int = 1,
    advice: str = "",
) -> Iterator[tuple[dict[str, Any], dict[str, Tensor]]]:
    """Read a .safetensors file for a block: its header, and its tensors on the CPU by name.

    A value that the block misses or finds wrong (a KeyError, TypeError, ValueError or RuntimeError)
    is refused as a broken file is.

    Args:
        path: Of the file.
        what: It should be, such as `"a database"`, for the message.
        format: As `save_tensors` was given it; None for a file without a header.
        newest: The latest version that can be read.
        advice: Put behind the message.

    Raises:
        FileError: Missing, broken, of another format, or of a later version.
    """
    from safetensors import SafetensorError, safe_open

    name = existing_file(path, what, advice)
    try:
        with safe_open(name, framework="pt") as file:
            header = _read_header(file.metadata() or {}, format, newest)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        yield header, tensors
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise FileError(f"Expected {what}, got {name}: {reason}.{advice}") from error


def _read_header(metadata: Mapping[str, str], format: str | None, newest: int) -> dict[str, Any]:
    if format is None:
        return {}
    text = metadata.get(format)
    if metadata.get("format") == format:  # of the first unfoldings, which have a key for each part
        text = metadata.get(format.removeprefix("invertdesc-"))
    if text is None:
        raise ValueError("its header is not ours")
    header = json.loads(text)
    if not isinstance(header, dict):
        raise TypeError("its header is not ours")
    if header.get("version", 1) > newest:
        raise ValueError(f"it was written by {header['library']}, later than this one")
    return header
