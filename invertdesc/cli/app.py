"""All subcommands, and what becomes of their errors."""

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from invertdesc._progress import show_progress
from invertdesc._version import __version__
from invertdesc.cli.audit import audit
from invertdesc.cli.compare import compare
from invertdesc.cli.demo import demo
from invertdesc.cli.evaluate import evaluate
from invertdesc.cli.extract import extract
from invertdesc.cli.fit import fit
from invertdesc.cli.index import index
from invertdesc.cli.inspect import inspect
from invertdesc.cli.interrupts import STOPPED
from invertdesc.cli.limits import parse_limits, to_front
from invertdesc.cli.listing import list_names
from invertdesc.cli.messages import complain, in_words, prepare_output
from invertdesc.cli.reconstruct import reconstruct
from invertdesc.cli.sources import BAD_INPUT
from invertdesc.cli.train import train
from invertdesc.limits import use_limits

ABOUT = """Show what local image descriptors give away: descriptors in, picture out.

**Examples**

    invertdesc reconstruct photo.jpg --side-by-side

    invertdesc reconstruct --help

    invertdesc list
"""
app = typer.Typer(
    name="invertdesc",
    help=ABOUT,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
_QUIET: dict[str, Any] = {"standalone_mode": False}  # raised, not shown: typer draws boxes

for command in (reconstruct, extract, inspect, audit, fit, index, train, evaluate, compare, demo):
    app.command()(command)
app.command("list")(list_names)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show tracebacks of errors. Goes anywhere.")
    ] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Accept more from files, such as pixels=100000000. Repeatable. Goes anywhere.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    del verbose, version  # run() takes the first: errors may come before options are parsed
    context.with_resource(use_limits(parse_limits(limit or [])))
    context.with_resource(show_progress())


def run(arguments: Sequence[str]) -> int:
    """Run the command, say errors in one line, and return the exit status.

    Raises:
        KeyboardInterrupt: The command was stopped.
    """
    warnings.showwarning = lambda message, *_args, **_more: complain("warning", message)
    words = to_front([word for word in arguments if word != "--verbose"], "--limit")
    try:
        status = app(words or ["--help"], **_QUIET)
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
    prepare_output()
    status = run(arguments)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not status:
            complain("error", in_words(error))
            status = BAD_INPUT
    return status
