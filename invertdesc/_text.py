"""Text that others wrote: options read as values, and names of files made fit to be printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from invertdesc.errors import InputError

NONE: Mapping[str, str] = MappingProxyType({})
RESPONSIBLE = (  # in every report
    "Responsible use: share this only with those who may see the originals, and show a picture of "
    "a person only if that person agrees. A reconstruction is a guess. It is no evidence of who or "
    "what was in a picture, and a bad one is no proof that the data is safe."
)


def printable(value: object) -> str:
    r"""Return a value as text, with escape codes for characters that cannot be printed.

    Names may contain line ends, control codes of the terminal, characters that change the direction
    of writing, and bytes that are not UTF-8.

    >>> printable("a\x1b[2J\nb")
    'a\\x1b[2J\\nb'
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)
    )


def one_line(value: object) -> str:
    r"""Return a text of several lines as a single printable line.

    >>> one_line("Expected this,\n  got \x07.")
    'Expected this, got \\x07.'
    """
    return printable(" ".join(str(value).split()))


def parse_value(text: str) -> Any:
    """Return a text as JSON, or as a tuple of numbers with commas between them, or as it is.

    >>> parse_value("0.5"), parse_value("80,80,176,176"), parse_value("luma")
    (0.5, (80.0, 80.0, 176.0, 176.0), 'luma')
    """
    with suppress(ValueError, RecursionError):  # no JSON, too many digits, too deep
        return json.loads(text)
    with suppress(ValueError):
        return tuple(map(float, text.split(","))) if "," in text else text
    return text


def parse_options(texts: Iterable[str] | None, apart: Mapping[str, str] = NONE) -> dict[str, Any]:
    """Turn `name=value` texts into keyword arguments.

    Args:
        texts: What somebody wrote; None for nothing.
        apart: Names that are no such options, and how each is given instead.

    Raises:
        InputError: A text without "=", or a name that is given otherwise.

    >>> parse_options(["contrast_threshold=0.03", "gray=luma", "max-num-keypoints=null"])
    {'contrast_threshold': 0.03, 'gray': 'luma', 'max_num_keypoints': None}
    """
    options: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"Expected an option as name=value, got {text!r}.")
        name = name.strip().replace("-", "_")
        if name in apart:
            raise InputError(f"Expected {name} as {apart[name]}, got {text!r}.")
        options[name] = parse_value(value)
    return options


def parse_by_method(
    texts: Iterable[str] | None, apart: Mapping[str, str] = NONE
) -> dict[str, dict[str, Any]]:
    """Turn `method.name=value` texts into options by method; for `apart` see `parse_options`.

    Raises:
        InputError: A text of another form, or a name that is given otherwise.

    >>> parse_by_method(["gradient.steps=50", "gradient.start=noise"])
    {'gradient': {'steps': 50, 'start': 'noise'}}
    """
    options: dict[str, dict[str, Any]] = {}
    for text in texts or ():
        name, dot, rest = text.partition("=")[0].partition(".")
        if not (dot and name and rest):
            raise InputError(f"Expected an option as METHOD.NAME=VALUE, got {text!r}.")
        options.setdefault(name, {}).update(parse_options([text[len(name) + 1 :]], apart))
    return options


def parse_choices(texts: Iterable[str] | None) -> list[tuple[str, Any]] | None:
    """Turn `name` and `name=value` texts into names and values; None stays None.

    >>> parse_choices(["strongest=0.1", "outside=1,2,3,4", "permuted"])
    [('strongest', 0.1), ('outside', (1.0, 2.0, 3.0, 4.0)), ('permuted', None)]
    """
    if texts is None:
        return None
    parts = [text.partition("=") for text in texts]
    return [(name.strip(), parse_value(value) if equals else None) for name, equals, value in parts]


def parse_numbers(text: str | None, count: int, between: str, what: str) -> tuple[int, ...] | None:
    """Return whole numbers, none below 0, that stand in a text; None stays None.

    Args:
        text: What somebody wrote.
        count: How many there have to be.
        between: What stands between them.
        what: What is expected, for the message.

    Raises:
        InputError: Something else is written.

    >>> parse_numbers("640x480", 2, "x", "a size WxH")
    (640, 480)
    """
    if text is None:
        return None
    if not re.fullmatch(re.escape(between).join(count * [r"\d{1,9}"]), text):
        raise InputError(f"Expected {what}, got {text!r}.")
    return tuple(map(int, text.split(between)))


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Turn WxH into (H, W); None stays None.

    Raises:
        InputError: Something else is written.

    >>> parse_size("640x480")
    (480, 640)
    """
    numbers = parse_numbers(text, 2, "x", "a size WxH in pixels, such as 640x480")
    return None if numbers is None else (numbers[1], numbers[0])
