"""The common base of stores with one file per image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from invertdesc.errors import FileError, InputError
from invertdesc.limits import check_limit
from invertdesc.sources import walk
from invertdesc.stores.base import Store
from invertdesc.stores.record import Record


class FileStore(Store):
    """One file, or all files with one suffix in a folder and its subfolders.

    The name of an image is the path of its file, relative to the folder and without the suffix.
    """

    def __init__(
        self,
        path: Path,
        *,
        suffix: str,
        descriptor: str | None = None,
        image_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(path, descriptor=descriptor, image_size=image_size)
        self._suffix = suffix

    def names(self) -> Iterator[str]:
        """Yield the names of all images of a folder, then of its subfolders, each sorted."""
        if not self.path.is_dir():
            yield self.path.name.removesuffix(self._suffix)
            return
        for file in walk(self.path):
            if file.endswith(self._suffix):
                yield file.removesuffix(self._suffix)

    def _file(self, name: str) -> Path:
        if self.path.is_dir():
            return self.path / f"{name}{self._suffix}"
        if name != self.path.name.removesuffix(self._suffix):
            raise InputError("Expected an image of that name, found none.")
        return self.path

    def _record(self, name: str) -> Record:
        return self._read(self._file(name))

    @abstractmethod
    def _read(self, file: Path) -> Record:
        """Read one image's file."""


def read_words(file: Path) -> list[bytes]:
    """Return the words of a text file that ends with a line break.

    Raises:
        FileError: As for `read_bytes`.
        InputError: The text ends within a line.
    """
    data = read_bytes(file)
    check_ended(data, file)
    return data.split()


def check_ended(text: bytes, file: Path) -> None:
    """Check that a text does not end within a line: 12 may be the rest of 125.

    Raises:
        InputError: The text ends within a line.
    """
    if text and not text.endswith((b"\n", b"\r")):
        raise InputError(
            f"Expected {file} to end with a line break, got {text[-12:]!r}. Was it cut off? If it "
            "was not, add one."
        )


def read_bytes(file: Path) -> bytes:
    """Return the content of a regular file of acceptable size.

    Raises:
        FileError: The file is missing, not regular, or unreadable.
        InputError: It has more bytes than `Limits` allows.
    """
    try:
        if not file.is_file():  # reading a pipe could wait forever
            raise FileError(f"Expected a file, found none at {file}.")
        size = file.stat().st_size
        check_limit("file", size, f"a file such as {file}")
        with file.open("rb") as stream:
            return stream.read(size)  # read() allocates the requested size
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"Cannot read {file}: {error.strerror or error}.") from error
