"""The `invertdesc` command: one file a subcommand."""

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from invertdesc._version import __version__
from invertdesc.cli.audit import audit
from invertdesc.cli.evaluate import evaluate
from invertdesc.cli.extract import extract
from invertdesc.cli.fit import fit
from invertdesc.cli.inspect import inspect
from invertdesc.cli.listing import list_names
from invertdesc.cli.reconstruct import reconstruct
from invertdesc.cli.sources import BAD_INPUT
from invertdesc.cli.train import train
from invertdesc.errors import InvertDescError

app = typer.Typer(
    name="invertdesc",
    help="Show what local image descriptors give away: descriptors in, picture out.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
for command in (reconstruct, extract, inspect, audit, fit, train, evaluate):
    app.command()(command)
app.command("list")(list_names)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    verbose: Annotated[bool, typer.Option("--verbose", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    del verbose, version  # main() looks for the first: errors may come before options are parsed


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, with errors as one line and an exit status of 2."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    warnings.showwarning = lambda message, *_args, **_more: typer.echo(
        f"warning: {message}", err=True
    )
    try:
        app(args=given)
    except InvertDescError as error:
        if "--verbose" in given:
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        sys.exit(130)
