"""Files that are to be read: there, and to be looked at."""

import os
from pathlib import Path

from invertdesc.errors import FileError


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
