"""What the command says on stderr, and which exceptions it says in a line."""

import os
import sys
from contextlib import suppress
from typing import Any

import typer

from invertdesc._text import one_line
from invertdesc.errors import InvertDescError, find_lack_of_memory

# typer has an exception of its own, or click's, by its version.
UsageError: Any = typer.BadParameter.__mro__[1]


def complain(kind: str, words: object) -> None:
    """Print a line such as `error: ...`; where stderr is closed or full, there is none to hear."""
    with suppress(OSError):
        typer.echo(f"{kind}: {one_line(words)}", err=True)


def in_words(error: Exception) -> str | None:
    """Return what is wrong with the input or the machine; None for what is a bug of ours."""
    if isinstance(error, UsageError):
        return _usage(error)
    if isinstance(error, InvertDescError):
        return str(error)
    if isinstance(error, OSError):
        where = f" {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
        reason = error.strerror or str(error) or type(error).__name__
        return f"Cannot read or write{where}: {reason}."
    if isinstance(error, UnicodeError):
        return f"Expected text and names in UTF-8, got others: {error}."
    lack = find_lack_of_memory(error)
    return None if lack is None else str(lack)


def prepare_output() -> None:
    """Let names that the terminal's encoding lacks be printed as codes."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # closed, or replaced
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _usage(error: Any) -> str:
    """Return what is wrong with the command line, with where to look further."""
    command = error.ctx.command_path if error.ctx else "invertdesc"
    words = " ".join(error.format_message().split())
    return f"{words}{'' if words.endswith(('.', '?')) else '.'} See {command} --help."
