"""Read the files in a .tar file in place."""

from __future__ import annotations

import tarfile
from functools import cached_property
from pathlib import Path

from invertdesc.errors import FileError
from invertdesc.limits import check_limit

_BROKEN = (tarfile.TarError, OSError, ValueError, OverflowError, MemoryError, RecursionError)


class Tar:
    """Files by name; if a name occurs several times, the last file is valid."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def names(self) -> list[str]:
        """The names of all files, sorted.

        Raises:
            FileError: The file is not a tar file, or is truncated.
        """
        return sorted(self._places)

    def read(self, name: str) -> bytes:
        """Return the content of a file of acceptable size.

        Raises:
            FileError: There is no file of this name, or it cannot be read.
            InputError: It has more bytes than `Limits` allows.
        """
        if name not in self._places:
            raise FileError(f"Expected a file {name!r} in {self.path}, found none.")
        start, size = self._places[name]
        check_limit("file", size, f"a file such as {name!r}")
        try:
            with self.path.open("rb") as stream:
                stream.seek(start)
                return stream.read(size)
        except OSError as error:
            raise FileError(f"Cannot read {self.path}: {error.strerror or error}.") from error

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Start and length of plain files; links and files with holes are left out."""
        try:
            with tarfile.open(self.path, "r:") as archive:
                places = {
                    member.name: (member.offset_data, member.size)
                    for member in archive
                    if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
                }
                end = archive.offset  # the position without further files: the end, or an error
            with self.path.open("rb") as stream:
                stream.seek(end)
                if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                    raise tarfile.ReadError("its end is missing")
            return places
        except _BROKEN as error:
            raise FileError(f"Expected a whole .tar file at {self.path}, got: {error}.") from error
