"""`invertdesc list`."""

from typing import Annotated

import typer


def list_names(
    pattern: Annotated[str, typer.Argument(help="Wildcard, such as 'root*'.")] = "*",
) -> None:
    """List descriptors and methods."""
    from invertdesc.descriptors import descriptors
    from invertdesc.reconstructors import methods

    for registry in (descriptors, methods):
        names = registry.names(pattern)
        if names:
            typer.echo(f"{registry.kind}s:")
        for name in names:
            summary = (registry.get(name).__doc__ or "").strip().splitlines()[:1]
            typer.echo(f"  {name:14} {''.join(summary)}")
