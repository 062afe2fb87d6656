"""Write files atomically, check files before they are read, save and load tensors."""

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
    """Open a new file in the folder of `path`, and move it to `path` when the block succeeds.

    Missing parent folders are created. An old file at `path` stays until then. The new file is
    flushed to disk before it is moved, so after a loss of power there is either the old or the new
    file; flushing takes about 3 ms (300 pictures of 12 kB, ext4, one thread). Incomplete files that
    a killed process left for the same path are removed.

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
                if sys.platform == "win32":  # Windows cannot move or remove an open file
                    file.close()
                part.replace(target)
            except BaseException:
                if sys.platform == "win32":
                    file.close()
                with suppress(OSError):
                    part.unlink()
                raise
        with suppress(OSError):  # not every system can do this
            _sync(target.parent, os.O_RDONLY)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        reason = error.strerror or str(error)
        raise FileError(f"Cannot write {target}: {reason}. Choose another place.") from error


def _open_part(target: Path) -> BinaryIO:
    """Open and lock a file in the target's folder, with a short name made from the target's name.

    Several names are tried, and the first free one is used. Another writer of the same target holds
    a lock on its own file. The system releases the lock when that process ends, even if it is
    killed.
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
    """Lock a file; return False if another writer removed it before it was locked."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks; no writer removes another's file there
        return True
    return _is_at(file.fileno(), part)


def _clear(part: Path) -> bool:
    """Remove an incomplete file whose writer has ended; return whether such a file existed."""
    if sys.platform == "win32":
        with suppress(PermissionError):  # its writer has it open
            part.unlink(missing_ok=True)
        return part.exists()
    try:
        number = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:  # the file of another user
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(number, part):  # it was not moved to its target meanwhile
            part.unlink()
    except OSError:  # a writer is using it
        pass
    finally:
        os.close(number)
    return True


def _is_at(number: int, part: Path) -> bool:
    """Return whether an open file is the file at a path."""
    try:
        return os.path.samestat(os.fstat(number), part.lstat())
    except FileNotFoundError:
        return False


def _sync(path: Path, mode: int) -> None:
    """Wait until a file, or a folder's list of files, has been written to disk."""
    number = os.open(path, mode)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def existing_file(path: str | os.PathLike[str], what: str, advice: str = "") -> Path:
    """Return the path of a file after checking that the file exists.

    Args:
        path: Path of the file.
        what: What the file should be, for the message, such as `"an image file"`.
        advice: Text to append to the message.

    Raises:
        FileError: The file is missing, is not a file, cannot be accessed, or has an invalid name.

    >>> existing_file("none.png", "an image file")
    Traceback (most recent call last):
    invertdesc.errors.FileError: Expected an image file, found none at none.png.
    """
    name = Path(path)
    if not os.fspath(path):  # `Path` reads an empty name as the current folder
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
    """Write a .safetensors file atomically.

    Args:
        path: Path of the file to write.
        tensors: Tensors by name, on any device.
        format: Name of the file format, such as `"invertdesc-network"`.
        version: Version of the format. It is increased when an older invertdesc would read a file
            wrongly.
        header: Further data for the header, as JSON values.

    Raises:
        FileError: The file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    text = json.dumps({"library": f"invertdesc {__version__}", "version": version, **header})
    plain = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    with atomic_write(path) as file:
        mode = os.fstat(file.fileno()).st_mode
        try:  # saving by name copies nothing; tensors may be larger than the memory
            save_file(plain, file.name, {format: text})  # one key: their order is random
        except SafetensorError as error:  # for example a full disk
            raise FileError(f"Cannot write {path}: {error}.") from error
        Path(file.name).chmod(mode)  # some versions write a file that only its owner can read


@contextmanager
def open_tensors(
    path: str | os.PathLike[str],
    *,
    what: str,
    format: str | None = None,
    newest: int = 1,
    advice: str = "",
) -> Iterator[tuple[dict[str, Any], dict[str, Tensor]]]:
    """Open a .safetensors file in a block: its header, and its tensors by name, on the CPU.

    A KeyError, TypeError, ValueError or RuntimeError in the block, from a missing or wrong value,
    is raised as the `FileError` of a broken file.

    Args:
        path: Path of the file.
        what: What the file should be, for the message, such as `"a database"`.
        format: Name of the format, as passed to `save_tensors`; None for a file without a header.
        newest: The latest version that can be read.
        advice: Text to append to the message.

    Raises:
        FileError: The file is missing, broken, of another format, or of a later version.
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
    if metadata.get("format") == format:  # the first unfoldings, which have a key for each part
        text = metadata.get(format.removeprefix("invertdesc-"))
    if text is None:
        raise ValueError("its header is not that of an invertdesc file")
    header = json.loads(text)
    if not isinstance(header, dict):
        raise TypeError("its header is not that of an invertdesc file")
    if header.get("version", 1) > newest:
        raise ValueError(f"it was written by {header['library']}, later than this one")
    return header
