"""Plan the paths of results before anything is made; none is outside the output folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.errors import InputError
from invertdesc.sources import find_sources, leads_to, locate_sources

Sources: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
Shard: TypeAlias = tuple[int, int]  # number, count
Places: TypeAlias = Iterable[tuple[str, Path | InputError]]  # targets by name, or the error


def target_of(name: str, out: Path, *, whole: bool = False) -> Path:
    """Return the path of an image's picture: its name with .png, inside a folder.

    Roots and drives are left out. Both kinds of slash separate folders, since stores may come from
    another system.

    Args:
        name: Name of the image.
        out: Folder of the results.
        whole: Whether to keep a suffix such as .jpg before the .png.

    Raises:
        InputError: The name leads out of the folder, or is not a valid file name.

    >>> target_of("/data/rome/0001.jpg", Path("out")).as_posix()
    'out/data/rome/0001.png'
    """
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    if parts and re.fullmatch("[A-Za-z]:", parts[0]):
        parts = parts[1:]
    if not parts or ".." in parts or not name.isprintable():
        raise InputError(f"Expected the name of an image inside a folder, got {name!r}.")
    *folders, last = parts
    stem, suffix = os.path.splitext(last)  # noqa: PTH122
    short = suffix.lower() in IMAGE_SUFFIXES and not whole
    return out.joinpath(*folders, f"{stem if short else last}.png")


def plan_images(
    names: Iterable[str], out: Path, pattern: str | None, shard: Shard
) -> Iterator[tuple[str, Path | InputError]]:
    """Yield each wanted image with its target, or with the error about its name.

    If two images have the same target, such as a.jpg and a.tif, the second keeps its suffix. Which
    one is the second does not depend on the pattern or the shard.

    Args:
        names: Names of all images.
        out: Folder of the results.
        pattern: Wildcard pattern that names must match; None for all.
        shard: (number, count): every count-th of the matching images, starting with that number.
    """
    taken: dict[Path, str] = {}
    number = -1
    for name in names:
        place: Path | InputError
        try:
            place = _claim(taken, name, target_of(name, out), target_of(name, out, whole=True))
        except InputError as error:
            place = error
        if pattern is None or fnmatchcase(name, pattern):
            number += 1
            if number % shard[1] == shard[0]:
                yield name, place


def plan_files(
    sources: Sources,
    folder: str | os.PathLike[str],
    suffix: str,
    *,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    tail: str = "",
) -> dict[Path, Path]:
    """Return the result file of each source file; files of a folder keep their subfolders.

    If two files have the same stem, the later one keeps its suffix.

    Args:
        sources: A file, folder or pattern, or several.
        folder: Folder of the results.
        suffix: Suffix of results, such as `".png"`.
        suffixes: Suffixes of the files to use from folders and patterns, in lower case.
        tail: Text to append to the stem of each result.

    Raises:
        FileError: A name matches no file.
        InputError: There is no source, two have the same result, or a result would replace its
            source.
    """
    several = [sources] if isinstance(sources, str | os.PathLike) else sources
    taken: dict[Path, str] = {}
    plan: dict[Path, Path] = {}
    for source, inside in locate_sources(several, suffixes).items():
        place = Path(folder) / inside
        short = place.with_name(f"{place.stem}{tail}{suffix}")
        whole = place.with_name(f"{place.name}{tail}{suffix}")
        alike = short in taken and Path(taken[short]).name == source.name
        plan[source] = _claim(taken, str(source), short, *([] if alike else [whole]))
    if not plan:
        raise InputError("Expected sources to work on, got none.")
    check_apart(plan)
    return plan


def plan_outputs(
    sources: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None,
    suffix: str,
    *,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    tail: str = "",
) -> dict[Path, Path]:
    """Say which file becomes which, where `output` may be a file, a folder or nothing.

    Args:
        sources: Files, folders and patterns.
        output: A file, for a single source; a folder, for many or where it has no suffix; None for
            new files in the current folder, or below it as `plan_files` has it.
        suffix: Suffix of results in a folder, such as `".png"`.
        suffixes: Suffixes of the files to use from folders and patterns, in lower case.
        tail: Put behind the stem of each result where `output` is None.

    Raises:
        FileError: A name leads to no file.
        InputError: No source, many and one file, two with one result, or a result that would
            replace a source, or without `output` any file.
    """
    if output is None:
        plan = plan_files(sources, Path(), suffix, suffixes=suffixes, tail=tail)
        _check_new(plan.values())
        return plan
    place = Path(output)
    if not place.suffix or leads_to(place, Path.is_dir):
        return plan_files(sources, place, suffix, suffixes=suffixes)
    found = find_sources(sources, suffixes)
    if len(found) > 1:
        raise InputError(
            f"Expected a folder to write {len(found)} results to, got the file {place}."
        )
    plan = dict.fromkeys(found, place)
    check_apart(plan)
    return plan


def _check_new(targets: Iterable[Path]) -> None:
    """Check that nothing is replaced that was not named: it may be of another source."""
    for target in targets:
        if os.path.lexists(target):
            raise InputError(
                f"Expected no file at {target}, found one. Name it as the output to replace it, or "
                "choose another name."
            ).with_hint(output=target)


def _claim(taken: dict[Path, str], name: str, *places: Path) -> Path:
    """Take the first free path for a name.

    Raises:
        InputError: No path is free.
    """
    for place in places:
        if place not in taken:
            taken[place] = name
            return place
    raise InputError(
        f"Expected different names, got {name!r} and another one, {taken[places[-1]]!r}, which "
        f"would both be written to {places[-1]}. Choose another folder for one of them."
    )


def check_apart(plan: Mapping[Path, Path]) -> None:
    """Check that no result would replace its source.

    Raises:
        InputError: A result would replace its source.
    """
    for source, target in plan.items():
        if os.path.realpath(target) == os.path.realpath(source):
            raise InputError(f"Expected to write elsewhere than to the source {source}.")


def check_shard(shard: Shard) -> None:
    """Check the number of a shard and the count of shards.

    Raises:
        InputError: The number is not from 0 to the count minus 1.
    """
    if not 0 <= shard[0] < shard[1]:
        raise InputError(
            f"Expected a shard I/N, I from 0 to N - 1, such as 0/4, got {shard[0]}/{shard[1]}."
        )


def check_inside(target: Path, out: Path) -> None:
    """Check that a target is inside the folder, also after links are followed.

    Raises:
        InputError: It is outside.
    """
    try:
        inside = target.parent.resolve().is_relative_to(out.resolve())
    except (OSError, RuntimeError) as error:  # a link to itself
        raise InputError(f"Expected a folder at {target.parent}, got: {error}.") from error
    if not inside:
        raise InputError(
            f"Expected to write inside {out}, but {target.parent} is a link that leads out of it."
        )


def is_there(target: Path) -> bool:
    """Return whether a file exists; an invalid name gives an error later, when it is written."""
    return leads_to(target, Path.is_file)
