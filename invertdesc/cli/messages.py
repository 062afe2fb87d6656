"""What the command prints, and which exceptions it says in a line."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

from invertdesc._text import one_line
from invertdesc.cli.describing import TEXTS
from invertdesc.errors import Hint, InvertDescError, find_hint, find_lack_of_memory

if TYPE_CHECKING:
    from invertdesc.bulk import Outcome, Summary
    from invertdesc.stores.base import Description

BAD_INPUT = 2  # exit status
# typer has an exception of its own, or click's, by its version.
UsageError: Any = typer.BadParameter.__mro__[1]


def complain(kind: str, words: object) -> None:
    """Print a line such as `error: ...`; where stderr is closed or full, there is none to hear."""
    with suppress(OSError):
        typer.echo(f"{kind}: {one_line(words)}", err=True)


def complain_of(outcome: Outcome) -> None:
    """Print the error of an image that failed, above the bar where there is one."""
    from tqdm import tqdm

    if outcome.error is not None:
        words = with_options(outcome.error, outcome.hint)
        tqdm.write(f"error: {one_line(words)}", file=sys.stderr)


def describe_store(description: Description) -> None:
    """Print what was decided about a store, and what of it is not read."""
    for note in description.notes:
        complain("note", note)
    for sentence in description.left_out:
        complain("warning", sentence)


def finish(summary: Summary) -> None:
    """Print what was written, and end with a status for bad input where something is missing."""
    if summary.loss:
        complain("error", summary.loss)
    if words := str(summary):
        typer.echo(words)
    if not summary.complete:
        raise typer.Exit(BAD_INPUT)


def in_words(error: Exception) -> str | None:
    """Return what is wrong with the input or the machine; None for what is a bug of ours."""
    if isinstance(error, UsageError):
        return _usage(error)
    if isinstance(error, InvertDescError):
        return with_options(str(error), find_hint(error))
    if isinstance(error, OSError):
        where = f" {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
        reason = error.strerror or str(error) or type(error).__name__
        return f"Cannot read or write{where}: {reason}."
    if isinstance(error, UnicodeError):
        return f"Expected text and names in UTF-8, got others: {error}."
    lack = find_lack_of_memory(error)
    return None if lack is None else in_words(lack)


def with_options(message: str, hint: Hint | None) -> str:
    """Put what mends an error behind it, in options of the command.

    >>> with_options("Expected an empty folder.", Hint(options={"resume": True}))
    'Expected an empty folder. On the command line: --resume'
    """
    if hint is None:
        return message
    flags, verbs = TEXTS["hints"], TEXTS["hints"]["verbs"]
    given = [
        flags[name].format(one)
        for name, value in hint.options.items()
        if name in flags
        for one in (value if isinstance(value, list) else [value])
    ]
    words = " ".join(verbs.get(hint.verb, "{}").format(" ".join(given)).split())
    return f"{message} On the command line: {words}" if words else message


def _usage(error: Any) -> str:
    """Return what is wrong with the command line, with where to look further."""
    command = error.ctx.command_path if error.ctx else "invertdesc"
    words = " ".join(error.format_message().split())
    return f"{words}{'' if words.endswith(('.', '?')) else '.'} See {command} --help."
