"""What a command line names: files, folders, patterns and examples, and where results go."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from invertdesc.errors import FileError, InputError

T = TypeVar("T")
IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
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


def find_sources(names: Iterable[str], suffixes: Sequence[str] = IMAGES) -> list[Path]:
    """Expand files, folders (not what is in folders below) and patterns (`**` for below), in order.

    Args:
        names: What the user typed.
        suffixes: Of the files to take from folders and patterns, in lower case.

    Raises:
        FileError: A name leads to no file.
    """
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name)
        if path.is_dir():
            some = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes)
        elif not path.exists() and glob.has_magic(name):
            matches = sorted(Path(p) for p in glob.glob(name, recursive=True))  # noqa: PTH207
            some = [p for p in matches if p.is_file() and p.suffix.lower() in suffixes]
        else:
            some = [path]  # a missing file is reported when its turn comes
        if not some:
            raise FileError(f"Expected files ({', '.join(suffixes)}) at {name}, found none.")
        found.update(dict.fromkeys(some))
    return list(found)


def spread(items: Sequence[T], most: int | None) -> list[T]:
    """Take so many items, evenly spaced; None for all.

    >>> spread("abcdefg", 3)
    ['a', 'c', 'e']
    """
    return list(items[:: max(1, len(items) // (most or max(1, len(items))))][:most])


def plan_outputs(
    sources: Sequence[Path], out: Path | None, suffix: str, default: str
) -> dict[Path, Path]:
    """Say where the result of each source goes.

    Args:
        sources: Input files.
        out: A file, for a single source; a folder, for many or where it has no suffix; None for a
            file in the current folder.
        suffix: Of results, such as `".png"`.
        default: Put behind the source's stem where `out` is None.

    Raises:
        InputError: Many sources and one file, or two sources with one result.
    """
    if out is None:
        targets = [Path(f"{source.stem}{default}{suffix}") for source in sources]
    elif out.is_dir() or not out.suffix:
        targets = [out / f"{source.stem}{suffix}" for source in sources]
    elif len(sources) == 1:
        targets = [out]
    else:
        raise InputError(
            f"Expected a folder to write {len(sources)} results to, got the file {out}."
        )
    taken: dict[Path, Path] = {}
    for source, target in zip(sources, targets, strict=True):
        if target in taken:
            raise InputError(
                f"Expected sources of different names, got {taken[target]} and {source}, "
                f"which would both be written to {target}. Run them apart."
            )
        if target.resolve() == source.resolve():
            raise InputError(f"Expected to write elsewhere than to the source {source}.")
        taken[target] = source
    return {source: target for target, source in taken.items()}


def plan_files(
    sources: list[str] | None,
    example: str | None,
    output: Path | None,
    suffixes: Sequence[str],
    suffix: str,
    default: str,
) -> dict[Path, Path]:
    """Say which file becomes which."""
    found = find_sources(sources or [], suffixes)
    if example is not None:
        found.append(example_path(example))
    if not found:
        raise InputError("Expected a SOURCE or --example, got none. See --help.")
    return plan_outputs(found, output, suffix, default)


def parse_options(texts: Iterable[str]) -> dict[str, object]:
    """Turn `name=value` texts into keyword arguments; values are read as JSON, else as text.

    Raises:
        InputError: A text without "=".

    >>> parse_options(["contrast_threshold=0.03", "gray=luma", "max_num_keypoints=null"])
    {'contrast_threshold': 0.03, 'gray': 'luma', 'max_num_keypoints': None}
    """
    options: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"Expected an option as name=value, got {text!r}.")
        try:
            options[name.strip().replace("-", "_")] = json.loads(value)
        except json.JSONDecodeError:
            options[name.strip().replace("-", "_")] = value
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
