"""`invertdesc list`."""

import json
import shutil
import sys
import textwrap
from dataclasses import asdict

import typer

COLUMNS = "  {:20}{:31}{:18}"
ABOUT = {
    "descriptors": "Weights and program are for extracting. Weights are downloaded without "
    "-D weights=FILE; a program's vectors are read where it stored them. Unfolding: for "
    "reconstructing; invertdesc fit makes one.",
    "methods": "Weights: invertdesc train makes those that do not ship. Database: invertdesc "
    "index makes one. All else is asked of the features or of the descriptor.",
}


def list_names(pattern: str = "*", as_json: bool = False) -> None:
    """List descriptors and methods: what they need, what ships, and a line on each.

    Examples:
        invertdesc list 'root*'
        invertdesc list --json
    """
    from invertdesc.descriptors.entries import describe_descriptors
    from invertdesc.methods.entries import describe_methods

    found = {"descriptors": describe_descriptors(pattern), "methods": describe_methods(pattern)}
    if as_json:
        plain = {title: {e.name: asdict(e) for e in entries} for title, entries in found.items()}
        typer.echo(json.dumps(plain, indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1 << 30
    for title, entries in found.items():
        if entries:
            typer.echo(COLUMNS.format(title, "needs", "ships").strip())
        for entry in entries:
            name = f"{entry.name} (default)" if entry.default else entry.name
            cells = [", ".join(words) or "-" for words in (entry.needs, entry.ships)]
            row = COLUMNS.format(name, *cells)
            if len(row) + len(entry.summary) > width:  # below, by lines of the terminal
                row = f"{row.rstrip()}\n"
            more = textwrap.wrap(entry.summary, width - 4) if row.endswith("\n") else []
            typer.echo(row + ("\n".join(f"    {line}" for line in more) or entry.summary))
        if entries and pattern == "*":
            typer.echo("\n".join(textwrap.wrap(ABOUT[title], min(width, 80))) + "\n")
