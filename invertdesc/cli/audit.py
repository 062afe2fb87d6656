"""`invertdesc audit`."""

import shlex
from pathlib import Path
from typing import Any

import typer

import invertdesc
from invertdesc._files import IMAGE_SUFFIXES
from invertdesc._text import parse_choices, printable
from invertdesc.cli.calling import call, make_descriptor, method_options, names_of, store_of
from invertdesc.cli.messages import BAD_INPUT, complain
from invertdesc.sources import find_sources


def audit(
    context: typer.Context,
    sources: list[str] | None = None,
    output: Path = Path("report.html"),
    images: int = 4,
    threat: list[str] | None = None,
    defence: list[str] | None = None,
    vgg16: Path | None = None,
    **_: Any,
) -> None:
    """Attack images or a store under many threat models and defences, and write a report.

    The report is one HTML file that loads nothing: pictures, words, and all numbers beside floors.

    Examples:
        invertdesc audit photos/ -o report.html
        invertdesc audit database.db --originals photos/ --images 8 -o report.html
        invertdesc audit photo.jpg -d orb --threat strongest=0.1 --defence ldp-noise=30
    """
    from invertdesc.auditing.report.report import check_target
    from invertdesc.evaluation.distances import load_distances

    check_target(output)
    known: dict[str, Any] = {"threats": parse_choices(threat), "defences": parse_choices(defence)}
    known |= {"distances": load_distances(vgg16), "method_options": method_options(context)}
    with store_of(context) as store:
        known["descriptor"] = None if store else make_descriptor(context)
        source = store or find_sources(names_of(context), (*IMAGE_SUFFIXES, ".npz"))
        found = call(context, invertdesc.audit, source=source, **known)
    if found.total is not None and found.total > images:
        complain(
            "note", f"{images} of {found.total:,} images are audited, evenly spaced (--images)."
        )
    for note in found.notes:
        complain("note", note)
    title = ", ".join(Path(source).name or source for source in (sources or ())[:3])
    numbers = found.save(output, source=title, command=shlex.join(["invertdesc", *context.obj]))
    typer.echo(f"Wrote {printable(output)} and {printable(numbers.name)}.")
    if found.left_out:
        raise typer.Exit(BAD_INPUT)
