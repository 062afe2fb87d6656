"""Stores of features on the command line: which images, and where their pictures go."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from invertdesc._files import IMAGE_SUFFIXES
from invertdesc.cli.messages import complain
from invertdesc.cli.sources import parse_options
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.stores.base import Store

STORES = (".db", ".h5", ".hdf5")  # taken for stores even when they are damaged
_SIZE = re.compile(r"(\d{1,9})x(\d{1,9})")
_SHARD = re.compile(r"(\d{1,9})/(\d{1,9})")


def find_store(sources: Sequence[str], others: bool) -> Path | None:
    """Return the store that a command line names, or None where it names images and .npz files.

    A folder with images in it is read as those, and one with .npz files alone too where something
    stands beside it. A store in such a folder is then named in a warning.

    Args:
        sources: What the user typed.
        others: Whether something else was asked for too.

    Raises:
        InputError: A store, and something beside it.
    """
    several = len(sources) > 1 or others
    found = [source for source in sources if _is_store(Path(source), several)]
    if found and several:
        raise InputError(f"Expected one store and nothing beside it, got {found[0]} with more.")
    if found:
        return Path(found[0])
    for source in sources:
        _warn_of_stores_in(Path(source))
    return None


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Turn `WxH` into (H, W); None stays None.

    >>> parse_size("640x480")
    (480, 640)
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InputError(f"Expected a size WxH in pixels, such as 640x480, got {text!r}.")
    return int(match[2]), int(match[1])


def parse_shard(text: str | None) -> tuple[int, int]:
    """Turn `i/n` into numbers; None into all.

    >>> parse_shard("3/4")
    (3, 4)
    """
    match = _SHARD.fullmatch(text or "0/1")
    shard = (int(match[1]), int(match[2])) if match else (0, 0)
    if not shard[0] < shard[1]:
        raise InputError(f"Expected a shard I/N, I from 0 to N - 1, such as 0/4, got {text!r}.")
    return shard


def parse_guesses(options: Sequence[str] | None) -> dict[str, float]:
    """Turn `scales=2` and `orientations=0` into what `LocalFeatures.assume` takes.

    >>> parse_guesses(["orientations=0"])
    {'orientations': 0.0}
    """
    guesses: dict[str, float] = {}
    for name, value in parse_options(options or []).items():
        known = name in ("scales", "orientations")
        if not (known and isinstance(value, int | float) and math.isfinite(value)):
            raise InputError(
                f"Expected --assume scales=SIGMA or orientations=RADIANS, got {name}={value}."
            )
        guesses[name] = float(value)
    return guesses


def target_of(name: str, out: Path, *, whole: bool = False) -> Path:
    """Return where the picture of an image goes: its name, with .png, inside of a folder.

    Roots and drives are left out; both slashes part folders, since stores travel.

    Args:
        name: Of the image.
        out: The folder.
        whole: Keep a suffix such as .jpg before the .png.

    Raises:
        InputError: The name leads out of the folder, or no file could have it.

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
    names: Iterable[str], out: Path, pattern: str | None, shard: tuple[int, int]
) -> Iterator[tuple[str, Path | InputError]]:
    """Yield each image that is wanted with its target, or with what is wrong with its name.

    Of two images with one target, such as a.jpg and a.tif, the second keeps its suffix. Which one
    that is, does not depend on the pattern and the shard.
    """
    taken: set[str] = set()
    number = -1
    for name in names:
        place: Path | InputError
        try:
            place = target_of(name, out)
            if str(place) in taken:  # a.jpg and a.tif: the later one keeps its suffix
                place = target_of(name, out, whole=True)
            if str(place) in taken:
                raise InputError(
                    f"Expected images of different names, got {name!r} and another one that is "
                    f"written to {place}. Choose it with --names and another folder."
                )
            taken.add(str(place))
        except InputError as error:
            place = error
        if pattern is None or fnmatchcase(name, pattern):
            number += 1
            if number % shard[1] == shard[0]:
                yield name, place


def check_inside(target: Path, out: Path) -> None:
    """Check that a target lies in the folder also once links are followed.

    Raises:
        InputError: It does not.
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
    """Say whether a file is there already; a name that no file can have is told when writing."""
    try:
        return target.is_file()
    except OSError:
        return False


def open_named(path: Path, descriptor: str | None, size: str | None, *, mend: bool) -> Store:
    """Open the store that a command line names."""
    from invertdesc.stores.open import open_store

    if descriptor is not None:
        from invertdesc.descriptors import create_descriptor

        create_descriptor(descriptor)  # an unknown name is told at once, with a suggestion
    return open_store(path, descriptor=descriptor, image_size=parse_size(size), mend=mend)


def check_readable(store: Store) -> None:
    """Say once, and not for each image, that no method can read the vectors.

    Raises:
        InputError: They are of no descriptor that has an adapter, or all placeholders.
    """
    from invertdesc.stores._decide import UNKNOWN
    from invertdesc.stores.record import adapter_of

    told = store.description
    if store.only_placeholders:
        raise InputError(
            f"Expected descriptors in {store.path}, got placeholders alone. {told.notes[-1]}"
        )
    if told.dim and adapter_of(told.descriptor) is None:
        guessed = told.descriptor == UNKNOWN and told.notes
        advice = told.notes[0] if guessed else "Name theirs with -d."
        raise InputError(
            f"Expected descriptors with an adapter (see `invertdesc list`), got "
            f"{told.descriptor!r} of {told.dim} numbers. {advice}"
        )


def tell(notes: Iterable[str]) -> None:
    """Write notes on stderr, a line each."""
    for note in notes:
        complain("note", note)


def warn_of_left_out(store: Store) -> None:
    """Say what was found in a store and beside it, and is not read."""
    for sentence in store.description.left_out:
        complain("warning", sentence)


def _warn_of_stores_in(folder: Path) -> None:
    with suppress(OSError):  # reported when it is read
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        for path in inside:
            if path.suffix.lower() in STORES:
                complain("warning", f"Also found, not read: {path}. Pass it by itself.")


def _is_store(path: Path, several: bool) -> bool:
    try:
        if not path.exists() or path.suffix.lower() in (*IMAGE_SUFFIXES, ".npz"):
            return False
        if path.is_file() and path.suffix.lower() in STORES:
            return True
        files = (*IMAGE_SUFFIXES, ".npz") if several else IMAGE_SUFFIXES
        if path.is_dir() and any(p.suffix.lower() in files for p in path.iterdir()):
            return False
    except OSError:
        return False
    from invertdesc.stores.open import is_store

    return is_store(path)
