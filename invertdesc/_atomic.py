"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from invertdesc.errors import FileError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file beside `path` and move it there once the block has ended well.

    Missing parent folders are made. Whatever stood at `path` stays until then.

    Raises:
        FileError: The folder or the file cannot be written.
    """
    target = Path(path)
    if not target.name:
        raise FileError(f"Expected the name of a file to write, got {str(path)!r}.")
    part = target.with_name(f".{target.name}.{token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
        part.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"Cannot write {target}: {reason}. Choose another place.") from error
    finally:
        with suppress(OSError):  # it was moved, or never made
            part.unlink()
