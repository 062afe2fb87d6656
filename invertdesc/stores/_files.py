"""What stores with a file an image have in common."""

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
    """One file, or all files with one suffix in a folder and the folders below it.

    An image is called as its file, from the folder on and without the suffix.
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
        """Yield the names of all images: of a folder, then of the folders in it, each sorted."""
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
    """Return the words of a text that ends with a line.

    Raises:
        FileError: As `read_bytes`.
        InputError: It ends within a line.
    """
    data = read_bytes(file)
    check_ended(data, file)
    return data.split()


def check_ended(text: bytes, file: Path) -> None:
    """Check that a text does not end within a line: 12 may be what is left of 125.

    Raises:
        InputError: It does.
    """
    if text and not text.endswith((b"\n", b"\r")):
        raise InputError(
            f"Expected {file} to end with a line break, got {text[-12:]!r}. Was it cut off? If it "
            "was not, add one."
        )


def read_bytes(file: Path) -> bytes:
    """Return what is in a regular file of reasonable size.

    Raises:
        FileError: Missing, no file or unreadable.
        InputError: Of more bytes than `Limits` allow.
    """
    try:
        if not file.is_file():  # a pipe would wait for ever
            raise FileError(f"Expected a file, found none at {file}.")
        size = file.stat().st_size
        check_limit("file", size, f"a file such as {file}")
        with file.open("rb") as stream:
            return stream.read(size)  # which makes room for as much as it is asked for
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"Cannot read {file}: {error.strerror or error}.") from error
