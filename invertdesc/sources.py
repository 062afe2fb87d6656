"""Find files by names, folders and patterns, and the example pictures of scikit-image."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc._text import printable
from invertdesc.errors import FileError, InputError

T = TypeVar("T")
EXAMPLES = ("astronaut", "camera", "chelsea", "coffee", "rocket")  # part of scikit-image


def example_path(name: str) -> Path:
    """Return the file of an example picture of scikit-image.

    Raises:
        InputError: There is no such example.
    """
    if name not in EXAMPLES:
        raise InputError(f"Expected an example among {', '.join(EXAMPLES)}; got {name!r}.")
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return next(
        path for path in sorted(folder.glob(f"{name}.*")) if path.suffix in (".png", ".jpg")
    )


def find_sources(
    names: Iterable[str | os.PathLike[str]], suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> list[Path]:
    """Expand files, folders and patterns (`**` for subfolders), in order.

    For a folder, the files directly in it are used, or, if there are none, those in its subfolders.

    Args:
        names: Paths and patterns.
        suffixes: Suffixes of the files to use from folders and patterns, in lower case.

    Raises:
        FileError: A name matches no file, or a folder cannot be read.
    """
    return list(locate_sources(names, suffixes))


def find_images(folders: Iterable[str | os.PathLike[str]], most: int | None = None) -> list[Path]:
    """Return the images of folders, one folder after the other.

    Args:
        folders: Folders; files and patterns too.
        most: Images to take of each folder at most, evenly spaced; None for all.

    Raises:
        FileError: A folder has no image, or cannot be read.
    """
    return [path for folder in folders for path in spread(find_sources([folder]), most)]


def title_of(folder: str | os.PathLike[str]) -> str:
    """Return a folder's name and its parent's, to call its images in tables.

    >>> title_of("/data/faces/test")
    'faces/test'
    """
    return printable("/".join(Path(os.path.realpath(folder)).parts[-2:]))


def locate_sources(
    names: Iterable[str | os.PathLike[str]], suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> dict[Path, Path]:
    """Return the files of `find_sources`, each with its path relative to the named folder.

    For a file that was named directly or found by a pattern, this is only its name.

    Raises:
        FileError: A name matches no file, or a folder cannot be read.
    """
    found: dict[Path, Path] = {}
    for one in names:
        name = os.fspath(one)
        path = Path(name)
        if not name:  # `Path` reads an empty name as the current folder
            raise FileError("Expected the name of a file or folder, got an empty one.")
        try:
            if leads_to(path, Path.is_dir):
                some = {path / inside: inside for inside in _contents(path, suffixes)}
            elif glob.has_magic(name) and not leads_to(path, Path.exists):
                matches = sorted(Path(p) for p in glob.glob(name, recursive=True))  # noqa: PTH207
                files = [p for p in matches if p.suffix.lower() in suffixes and p.is_file()]
                some = {p: Path(p.name) for p in files}
            else:
                some = {path: Path(path.name)}  # a missing file is reported later
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"Cannot read {name}: {error.strerror or error}.") from error
        if not some:
            raise FileError(f"Expected files ({', '.join(suffixes)}) at {name}, found none.")
        for source, inside in some.items():
            found.setdefault(source, inside)
    return found


def leads_to(path: Path, kind: Callable[[Path], bool]) -> bool:
    """Return the result of a test of a path, such as `Path.is_file`, without errors.

    It is false for an invalid path, or if a folder cannot be read; the error is raised when the
    path is read or written.
    """
    try:
        return kind(path)
    except OSError:
        return False


def _contents(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files in a folder, or else in its subfolders, relative to it."""
    here = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in suffixes)
    below = here or [name for name in walk(folder) if Path(name).suffix.lower() in suffixes]
    return list(map(Path, below))


def spread(items: Sequence[T], most: int | None) -> list[T]:
    """Return a number of items, evenly spaced; None for all.

    >>> spread("abcdefg", 3)
    ['a', 'c', 'e']
    """
    return list(items[:: max(1, len(items) // (most or max(1, len(items))))][:most])


def walk(folder: Path) -> Iterator[str]:
    """Yield all files in a folder and its subfolders, relative to it, with `/` on every system.

    Links to folders are not followed, hidden files are left out.

    Raises:
        FileError: A folder cannot be read.
    """
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(place).relative_to(folder).as_posix()
        for name in sorted(files):
            if not name.startswith("."):
                yield name if inside == "." else f"{inside}/{name}"


def _unreadable(error: OSError) -> None:
    reason = error.strerror or error
    raise FileError(f"Cannot read the folder {error.filename}: {reason}.") from error
