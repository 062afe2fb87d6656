"""The files in a .tar file, read where they lie."""

from __future__ import annotations

import tarfile
from functools import cached_property
from pathlib import Path

from invertdesc.errors import FileError
from invertdesc.limits import check_limit

_BROKEN = (tarfile.TarError, OSError, ValueError, OverflowError, MemoryError, RecursionError)


class Tar:
    """Files by name; of several with one name the last holds, as where one was added later."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def names(self) -> list[str]:
        """The names of all files, sorted.

        Raises:
            FileError: Not packed as tar, or cut off.
        """
        return sorted(self._places)

    def read(self, name: str) -> bytes:
        """Return what is in a file of reasonable size.

        Raises:
            FileError: There is none of that name, or it cannot be read.
            InputError: Of more bytes than `Limits` allow.
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
        """Where plain files start, and their lengths; links and holes lead elsewhere."""
        try:
            with tarfile.open(self.path, "r:") as archive:
                places = {
                    member.name: (member.offset_data, member.size)
                    for member in archive
                    if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
                }
                end = archive.offset  # where it found no more files: at the end, or at any mistake
            with self.path.open("rb") as stream:
                stream.seek(end)
                if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                    raise tarfile.ReadError("its end is missing")
            return places
        except _BROKEN as error:
            raise FileError(f"Expected a whole .tar file at {self.path}, got: {error}.") from error
