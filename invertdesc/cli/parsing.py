"""What is typed on a command line: sources, options and boxes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from invertdesc._text import printable
from invertdesc.errors import InputError
from invertdesc.sources import example_path, find_sources, leads_to

BAD_INPUT = 2  # exit status


def title_of(folder: Path) -> str:
    """Return a folder's name and its parent's, as in tables."""
    return printable("/".join(Path(os.path.realpath(folder)).parts[-2:]))


def plan_outputs(
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
    from invertdesc.bulk.places import check_apart, plan_files

    names = [*(sources or []), *([] if example is None else [str(example_path(example))])]
    if not names:
        raise InputError("Expected a SOURCE or --example, got none. See --help.")
    if output is None:
        plan = plan_files(names, Path(), suffix, suffixes=suffixes, tail=default)
        _check_new(plan.values())
        return plan
    if not output.suffix or leads_to(output, Path.is_dir):
        return plan_files(names, output, suffix, suffixes=suffixes)
    found = find_sources(names, suffixes)
    if len(found) > 1:
        raise InputError(
            f"Expected a folder to write {len(found)} results to, got the file {output}."
        )
    plan = dict.fromkeys(found, output)
    check_apart(plan)
    return plan


def _check_new(targets: Iterable[Path]) -> None:
    """Check that nothing is replaced that was not named: it may be of another source."""
    for target in targets:
        if os.path.lexists(target):
            raise InputError(
                f"Expected no file at {target}, found one. Replace it with -o {target}, or choose "
                "another name."
            )


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
