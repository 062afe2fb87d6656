"""`invertdesc list`."""

import json

import typer


def list_names(pattern: str = "*", as_json: bool = False) -> None:
    """List descriptors and methods, with a line on each.

    Examples:
        invertdesc list 'root*'
        invertdesc list --json
    """
    from invertdesc.descriptors import descriptors
    from invertdesc.methods import methods

    found = {f"{one.kind}s": one.summaries(pattern) for one in (descriptors, methods)}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for title, summaries in found.items():
        if summaries:
            typer.echo(f"{title}:")
        for name, summary in summaries.items():
            typer.echo(f"  {name:14} {summary}")
