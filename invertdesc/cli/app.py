"""All subcommands, and what becomes of their errors."""

import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

import typer

from invertdesc._progress import show_progress
from invertdesc._text import parse_options
from invertdesc._version import __version__
from invertdesc.cli.audit import audit
from invertdesc.cli.compare import compare
from invertdesc.cli.demo import demo
from invertdesc.cli.describing import describe
from invertdesc.cli.evaluate import evaluate
from invertdesc.cli.extract import extract
from invertdesc.cli.fit import fit
from invertdesc.cli.index import index
from invertdesc.cli.inspect import inspect
from invertdesc.cli.interrupts import STOPPED
from invertdesc.cli.listing import list_names
from invertdesc.cli.messages import BAD_INPUT, complain, in_words
from invertdesc.cli.reconstruct import reconstruct
from invertdesc.cli.render import render
from invertdesc.cli.train import train
from invertdesc.limits import Limits, use_limits

app = typer.Typer(
    name="invertdesc",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _common(
    context: typer.Context,
    verbose: bool = False,
    limit: list[str] | None = None,
    version: bool = False,
) -> None:
    """Show what local image descriptors give away: descriptors in, picture out.

    Examples:
        invertdesc reconstruct photo.jpg --side-by-side
        invertdesc reconstruct --help
        invertdesc list
    """
    del verbose, version  # run() takes them: errors may come before options are parsed
    context.with_resource(use_limits(Limits.of(parse_options(limit))))
    context.with_resource(show_progress())


app.callback(**describe(_common, "all"))(_common)
_PICTURES, _TOOLS = (reconstruct, render, extract, inspect, audit), (fit, index, train)
for _command in (*_PICTURES, *_TOOLS, evaluate, compare, demo):
    app.command(**describe(_command, _command.__name__))(_command)
app.command("list", **describe(list_names, "list"))(list_names)


def run(arguments: Sequence[str]) -> int:
    """Run the command, say errors in one line, and return the exit status.

    Raises:
        KeyboardInterrupt: The command was stopped.
    """
    warnings.showwarning = lambda message, *_args, **_more: complain("warning", message)
    words = _to_front([word for word in arguments if word != "--verbose"], "--limit")
    if words[:1] == ["--version"]:
        typer.echo(__version__)
        return 0
    try:
        # Errors are raised, not shown: typer draws boxes.
        status = app(words or ["--help"], obj=words, standalone_mode=False)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        what = in_words(error)
        if "--verbose" in arguments or what is None:
            raise
        complain("error", what)
        return BAD_INPUT
    if status == STOPPED:  # typer's way to return it
        raise KeyboardInterrupt
    return int(status or 0)


def run_alone(arguments: Sequence[str]) -> int:
    """Run the command as all that this process does, to the last line of its output."""
    for stream in (sys.stdout, sys.stderr):  # names that their encoding lacks are printed as codes
        with suppress(AttributeError):  # closed, or replaced
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    status = run(arguments)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not status:
            complain("error", in_words(error))
            status = BAD_INPUT
    return status


def _to_front(words: list[str], option: str) -> list[str]:
    """Move an option with a value before everything else, wherever it stands before `--`.

    >>> _to_front(["extract", "--limit", "pixels=9", "a.png"], "--limit")
    ['--limit', 'pixels=9', 'extract', 'a.png']
    """
    end = [*words, "--"].index("--")
    at = next((n for n in range(end) if words[n].partition("=")[0] == option), end)
    stop = at + 1 + (words[at : at + 1] == [option])
    if at == end or stop > len(words):  # the parser says that a value is missing
        return words[at:] if at < end else words
    return [*words[at:stop], *_to_front(words[:at] + words[stop:], option)]
