"""`invertdesc render`."""

from pathlib import Path
from typing import Any

import typer

from invertdesc._text import parse_numbers, printable
from invertdesc.cli.calling import call, method_options
from invertdesc.cli.messages import finish


def render(
    context: typer.Context,
    folder: Path,
    output: Path,
    features: Path | None = None,
    shard: str | None = None,
    method: str = "auto",
    between: tuple[str, str] | None = None,
    observations: int = 1,
    widest: float = 30.0,
    **_: Any,
) -> None:
    """Make pictures of a map, from its own cameras or from where no picture was taken.

    A map is a COLMAP model with its database.db, or that of hloc, OpenSfM or kapture. Existing
    pictures are skipped, so that a run that was stopped can go on.

    Examples:
        invertdesc render colmap/ -o out/ --hold-out --truth colmap/images
        invertdesc render colmap/sparse/0 -o out/ --between a.jpg b.jpg --animation webp
        invertdesc render outputs/sfm -o out/ --orbit --views 96 --max-side 640 --shard 0/4
    """
    from invertdesc.maps import ViewOptions, open_map, render_map
    from invertdesc.maps.viewpoints import choose_viewpoints
    from invertdesc.methods import create_method

    given: dict[str, Any] = {
        "folder": output,
        "method": create_method(method, **method_options(context)),
        "options": ViewOptions(observations=observations, widest=widest),
        "shard": parse_numbers(shard or "0/1", 2, "/", "a shard I/N, such as 0/4"),
    }
    del between  # goes to the choice of viewpoints with the other ways
    with open_map(folder, features=features) as source:
        viewpoints = call(context, choose_viewpoints, source=source)
        summary = call(context, render_map, source=source, viewpoints=viewpoints, **given)
    for made in (summary.sheet, summary.animation):
        if made is not None:
            typer.echo(f"Wrote {printable(made)}.")
    finish(summary)
