"""What a command line names: files, folders, patterns and examples, and where results go."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc._text import printable
from invertdesc.errors import FileError, InputError

T = TypeVar("T")
BAD_INPUT = 2  # exit status
EXAMPLES = ("astronaut", "camera", "chelsea", "coffee", "rocket")  # scikit-image ships these


def example_path(name: str) -> Path:
    """Return the file of a picture that scikit-image ships.

    Raises:
        InputError: No such example.
    """
    if name not in EXAMPLES:
        raise InputError(f"Expected an example among {', '.join(EXAMPLES)}; got {name!r}.")
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return next(
        path for path in sorted(folder.glob(f"{name}.*")) if path.suffix in (".png", ".jpg")
    )


def find_sources(names: Iterable[str], suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Expand files, folders and patterns (`**` for below), in order.

    Of a folder those files are taken that lie in it; where there are none, those in folders below.

    Args:
        names: What the user typed.
        suffixes: Of the files to take from folders and patterns, in lower case.

    Raises:
        FileError: A name leads to no file, or a folder cannot be read.
    """
    return list(_places(names, suffixes))


def _places(names: Iterable[str], suffixes: Sequence[str]) -> dict[Path, Path]:
    """Return sources, each with its place in the folder that was named; else its name alone."""
    found: dict[Path, Path] = {}
    for name in names:
        path = Path(name)
        if not name:  # which `Path` takes for the current folder
            raise FileError("Expected the name of a file or folder, got an empty one.")
        try:
            if _leads_to(path, Path.is_dir):
                some = {path / inside: inside for inside in _contents(path, suffixes)}
            elif glob.has_magic(name) and not _leads_to(path, Path.exists):
                matches = sorted(Path(p) for p in glob.glob(name, recursive=True))  # noqa: PTH207
                files = [p for p in matches if p.suffix.lower() in suffixes and p.is_file()]
                some = {p: Path(p.name) for p in files}
            else:
                some = {path: Path(path.name)}  # a missing file is reported when its turn comes
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"Cannot read {name}: {error.strerror or error}.") from error
        if not some:
            raise FileError(f"Expected files ({', '.join(suffixes)}) at {name}, found none.")
        for source, inside in some.items():
            found.setdefault(source, inside)
    return found


def _leads_to(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:  # too long, or behind a folder without permission: a file's turn will tell
        return False


def _contents(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files in a folder, or else below it, relative to it."""
    from invertdesc.stores._files import walk  # which waits for torch

    here = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in suffixes)
    below = here or [name for name in walk(folder) if Path(name).suffix.lower() in suffixes]
    return list(map(Path, below))


def title_of(folder: Path) -> str:
    """Return a folder's name and its parent's, as in tables."""
    return printable("/".join(Path(os.path.realpath(folder)).parts[-2:]))


def spread(items: Sequence[T], most: int | None) -> list[T]:
    """Take so many items, evenly spaced; None for all.

    >>> spread("abcdefg", 3)
    ['a', 'c', 'e']
    """
    return list(items[:: max(1, len(items) // (most or max(1, len(items))))][:most])


def plan_files(
    sources: list[str] | None,
    example: str | None,
    output: Path | None,
    suffixes: Sequence[str],
    suffix: str,
    default: str,
) -> dict[Path, Path]:
    """Say which file becomes which.

    Args:
        sources: Files, folders and patterns that the user typed.
        example: A picture that scikit-image ships, or None.
        output: A file, for a single source; a folder, for many or where it has no suffix; None for
            a new file in the current folder.
        suffixes: Of the files to take from folders and patterns, in lower case.
        suffix: Of results, such as `".png"`.
        default: Put behind the source's stem where `output` is None.

    Raises:
        FileError: A name leads to no file.
        InputError: No source, many and one file, two with one result, or a result that would
            replace a source, or without `output` any file.
    """
    found = _places(sources or [], suffixes)
    if example is not None:
        path = example_path(example)
        found[path] = Path(path.name)
    if not found:
        raise InputError("Expected a SOURCE or --example, got none. See --help.")
    if output is None:
        plan = _results(found, Path(), f"{default}{suffix}")
    elif not output.suffix or _leads_to(output, Path.is_dir):
        plan = _results(found, output, suffix)
    elif len(found) == 1:
        plan = dict.fromkeys(found, output)
    else:
        raise InputError(
            f"Expected a folder to write {len(found)} results to, got the file {output}."
        )
    for source, target in plan.items():
        if os.path.realpath(target) == os.path.realpath(source):
            raise InputError(f"Expected to write elsewhere than to the source {source}.")
        if output is None and os.path.lexists(target):  # of another source, perhaps
            raise InputError(
                f"Expected no file at {target}, found one. Replace it with -o {target}, or choose "
                "another name."
            )
    return plan


def _results(found: Mapping[Path, Path], folder: Path, end: str) -> dict[Path, Path]:
    """Return where each result goes; of several with one stem, later ones keep their suffix."""
    taken: dict[Path, Path] = {}
    for source, inside in found.items():
        target = folder / inside.with_name(f"{inside.stem}{end}")
        if target in taken and taken[target].name != source.name:
            target = folder / inside.with_name(f"{inside.name}{end}")
        if target in taken:
            raise InputError(
                f"Expected sources of different names, got {taken[target]} and {source}, "
                f"which would both be written to {target}. Run them apart."
            )
        taken[target] = source
    return {source: target for target, source in taken.items()}


def parse_options(
    texts: Iterable[str], apart: Mapping[str, str] = MappingProxyType({})
) -> dict[str, object]:
    """Turn `name=value` texts into keyword arguments; values are read as JSON, else as text.

    Args:
        texts: What the user typed.
        apart: Names that are no such options, and how each is given instead.

    Raises:
        InputError: A text without "=", or a name that is given otherwise.

    >>> parse_options(["contrast_threshold=0.03", "gray=luma", "max_num_keypoints=null"])
    {'contrast_threshold': 0.03, 'gray': 'luma', 'max_num_keypoints': None}
    """
    options: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"Expected an option as name=value, got {text!r}.")
        name = name.strip().replace("-", "_")
        if name in apart:
            raise InputError(f"Expected {name} as {apart[name]}, got {text!r}.")
        try:
            options[name] = json.loads(value)
        except (ValueError, RecursionError):  # no JSON, too many digits, too deep
            options[name] = value
    return options


def parse_box(text: str) -> tuple[int, int, int, int]:
    """Turn `x0,y0,x1,y1` into a box of whole pixels.

    Raises:
        InputError: Not four whole numbers, or nothing inside.

    >>> parse_box("80,80,176,176")
    (80, 80, 176, 176)
    """
    try:
        x0, y0, x1, y1 = (int(part) for part in text.split(","))
    except ValueError:
        x0 = y0 = x1 = y1 = 0
    if not (0 <= x0 < x1 and 0 <= y0 < y1):
        raise InputError(f"Expected a box X0,Y0,X1,Y1 in whole pixels, got {text!r}.")
    return x0, y0, x1, y1
