"""`invertdesc list`."""

import json
import shutil
import sys
import textwrap
from dataclasses import asdict

import typer

from invertdesc.registry import Entry

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
        rows = [(title, "needs", "ships"), *map(_cells, entries)]
        columns = "  " + "".join(
            f"{{:{max(map(len, one)) + 2}}}" for one in zip(*rows, strict=True)
        )
        if entries:
            typer.echo(columns.format(*rows[0]).strip())
        for entry, cells in zip(entries, rows[1:], strict=True):
            row = columns.format(*cells)
            if len(row) + len(entry.summary) > width:  # below, by lines of the terminal
                row = f"{row.rstrip()}\n"
            more = textwrap.wrap(entry.summary, width - 4) if row.endswith("\n") else []
            typer.echo(row + ("\n".join(f"    {line}" for line in more) or entry.summary))
        if entries and pattern == "*":
            typer.echo("\n".join(textwrap.wrap(ABOUT[title], min(width, 80))) + "\n")


def _cells(entry: Entry) -> tuple[str, str, str]:
    name = f"{entry.name} (default)" if entry.default else entry.name
    return name, ", ".join(entry.needs) or "-", ", ".join(entry.ships) or "-"
