"""The option of all commands that raises limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from invertdesc.cli.sources import parse_options
from invertdesc.errors import InputError
from invertdesc.limits import Limits


def parse_limits(texts: Sequence[str]) -> Limits:
    """Turn `name=value` texts into limits; those that are not named stay.

    Raises:
        InputError: No such limit, or no whole number above 0.

    >>> parse_limits(["pixels=1e8"]).pixels
    100000000
    """
    names = [field.name for field in fields(Limits)]
    given: dict[str, int] = {}
    for name, value in parse_options(texts).items():
        if name not in names:
            raise InputError(f"Expected --limit of one of {', '.join(names)}; got {name!r}.")
        if not isinstance(value, int | float) or value != value // 1:
            raise InputError(f"Expected --limit {name}=NUMBER, got {value!r}.")
        given[name] = int(value)
    return Limits(**given)


def to_front(words: Sequence[str], option: str) -> list[str]:
    """Move an option with a value before everything else, wherever it stands before `--`.

    >>> to_front(["extract", "--limit", "pixels=9", "a.png"], "--limit")
    ['--limit', 'pixels=9', 'extract', 'a.png']
    """
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            rest += [word, *waiting]
        elif word == option:
            value = next(waiting, None)
            if value is None:  # which the parser tells, if nothing follows
                return [word]
            front += [word, value]
        elif word.startswith(f"{option}="):
            front.append(word)
        else:
            rest.append(word)
    return front + rest
