"""`invertdesc list`."""

import json
from typing import Annotated

import typer

from invertdesc.cli.options import AsJson


def list_names(
    pattern: Annotated[str, typer.Argument(help="Wildcard, such as 'root*'.")] = "*",
    as_json: AsJson = False,
) -> None:
    """List descriptors and methods.

    **Examples**

        invertdesc list 'root*'

        invertdesc list --json
    """
    from invertdesc.descriptors import descriptors
    from invertdesc.methods import methods

    found = {
        f"{registry.kind}s": {
            name: "".join((registry.get(name).__doc__ or "").strip().splitlines()[:1])
            for name in registry.names(pattern)
        }
        for registry in (descriptors, methods)
    }
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for title, summaries in found.items():
        if summaries:
            typer.echo(f"{title}:")
        for name, summary in summaries.items():
            typer.echo(f"  {name:14} {summary}")
