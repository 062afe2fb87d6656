"""`invertdesc render`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from invertdesc._text import parse_numbers, printable
from invertdesc.cli.calling import call, method_options
from invertdesc.cli.messages import finish
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.maps import Map, Viewpoint


def render(
    context: typer.Context,
    folder: Path,
    output: Path,
    features: Path | None = None,
    shard: str | None = None,
    method: str = "unfold",
    between: tuple[str, str] | None = None,
    observations: int = 1,
    widest: float = 30.0,
    **_: Any,
) -> None:
    """Make pictures of a map, from its own cameras or from where no picture was taken.

    A map is a COLMAP model with its database.db, or that of hloc. Existing pictures are skipped, so
    that a run that was stopped can go on.

    Examples:
        invertdesc render colmap/ -o out/ --hold-out --truth colmap/images
        invertdesc render colmap/sparse/0 -o out/ --between a.jpg b.jpg --animation webp
        invertdesc render outputs/sfm -o out/ --orbit --views 96 --max-side 640 --shard 0/4
    """
    from invertdesc.maps import ViewOptions, open_map, render_map
    from invertdesc.methods import create_method

    given: dict[str, Any] = {
        "folder": output,
        "method": create_method(method, **method_options(context)),
        "options": ViewOptions(observations=observations, widest=widest),
        "shard": parse_numbers(shard or "0/1", 2, "/", "a shard I/N, such as 0/4"),
    }
    del between  # read with the other ways
    with open_map(folder, features=features) as source:
        viewpoints = _viewpoints(source, context.params)
        summary = call(context, render_map, source=source, viewpoints=viewpoints, **given)
    for made in (summary.sheet, summary.animation):
        if made is not None:
            typer.echo(f"Wrote {printable(made)}.")
    finish(summary)


def _viewpoints(source: Map, given: dict[str, Any]) -> list[Viewpoint]:
    from invertdesc.maps import (
        own_viewpoints,
        read_viewpoints,
        viewpoints_around,
        viewpoints_between,
    )

    ends: tuple[str, str] | None = given["between"]
    orbit, poses, views = (given[key] for key in ("orbit", "poses", "views"))
    if sum((ends is not None, orbit, poses is not None)) > 1:
        raise InputError("Expected one of --between, --orbit and --poses, got several.")
    if (ends or orbit or poses) and (given["hold_out"] or given["names"] is not None):
        raise InputError("Expected --hold-out and --names with the map's own cameras only.")
    if views is not None and not (ends or orbit):
        raise InputError("Expected --views with --between or --orbit.")
    if ends is not None:
        return viewpoints_between(source, ends[0], ends[1], views or 25)
    if orbit:
        return viewpoints_around(source, views or 48)
    if poses is not None:
        return read_viewpoints(source, poses)
    return own_viewpoints(source, names=given["names"], hold_out=given["hold_out"])
