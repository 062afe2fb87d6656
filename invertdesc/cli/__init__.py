"""The `invertdesc` command: one file a subcommand."""

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from invertdesc._version import __version__
from invertdesc.cli.audit import audit
from invertdesc.cli.compare import compare
from invertdesc.cli.demo import demo
from invertdesc.cli.evaluate import evaluate
from invertdesc.cli.extract import extract
from invertdesc.cli.fit import fit
from invertdesc.cli.index import index
from invertdesc.cli.inspect import inspect
from invertdesc.cli.limits import parse_limits, to_front
from invertdesc.cli.listing import list_names
from invertdesc.cli.reconstruct import reconstruct
from invertdesc.cli.sources import BAD_INPUT
from invertdesc.cli.train import train
from invertdesc.errors import InvertDescError, find_lack_of_memory
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
STOPPED = 130  # exit status: 128 and the number of SIGINT
# Raised, not shown: typer draws boxes. It has an exception of its own, or click's, by its version.
_QUIET: dict[str, Any] = {"standalone_mode": False}
_UsageError: Any = typer.BadParameter.__mro__[1]

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
    del verbose, version  # main() takes the first: errors may come before options are parsed
    context.with_resource(use_limits(parse_limits(limit or [])))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, with errors as one line and an exit status of 2.

    Raises:
        SystemExit: Always: 0 after success, 2 after bad input, 130 when stopped from the keyboard.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    verbose = "--verbose" in given
    warnings.showwarning = lambda message, *_args, **_more: typer.echo(
        f"warning: {message}", err=True
    )
    try:
        words = to_front([word for word in given if word != "--verbose"], "--limit")
        status = app(words or ["--help"], **_QUIET)
    except (InvertDescError, _UsageError) as error:
        if verbose:
            raise
        typer.echo(f"error: {_in_a_line(error)}", err=True)
        status = BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        status = STOPPED
    except Exception as error:
        lack = find_lack_of_memory(error)
        if lack is None or verbose:
            raise
        typer.echo(f"error: {_in_a_line(lack)}", err=True)
        status = BAD_INPUT
    if status == STOPPED:
        typer.echo("Stopped.", err=True)
    sys.exit(status)


def _in_a_line(error: Any) -> str:
    """Return an error's words, with where to look further if the command line is wrong."""
    if not isinstance(error, _UsageError):
        return " ".join(str(error).split())
    command = error.ctx.command_path if error.ctx else "invertdesc"
    words = " ".join(error.format_message().split())
    return f"{words}{'' if words.endswith(('.', '?')) else '.'} See {command} --help."
