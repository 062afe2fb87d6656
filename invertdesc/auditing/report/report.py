"""Write a report as one self-contained HTML file, and its numbers as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from invertdesc._files import atomic_write
from invertdesc.auditing.report import wording
from invertdesc.auditing.report.chart import draw
from invertdesc.auditing.report.template import environment, read
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.auditing.result import Audit


def save_report(
    audit: Audit,
    path: str | os.PathLike[str],
    *,
    source: str = "images",
    command: str | None = None,
) -> Path:
    """Write an audit and return the path of the JSON file; see `Audit.save`."""
    target = check_target(path)
    page = render(audit, source=source, command=command)
    numbers = {"source": source, "command": command} | audit.as_json()
    with atomic_write(target) as file:
        file.write(page.encode("utf-8"))
    beside = target.with_suffix(".json")
    with atomic_write(beside) as file:
        file.write((json.dumps(numbers, indent=2, allow_nan=False) + "\n").encode("utf-8"))
    return beside


def check_target(path: str | os.PathLike[str]) -> Path:
    """Check the path of a report before the long computation, and return it.

    Raises:
        InputError: The name does not end in .html or .htm.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"Expected a report's name that ends in .html, got {target.name!r}.")
    return target


def render(audit: Audit, *, source: str = "images", command: str | None = None) -> str:
    """Return the page; see `save_report`."""
    name = wording.NAMES[audit.headline]
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            audit=audit,
            source=source,
            command=command,
            charts=[draw(one, name) for one in audit.curves if one.series],
            style=Markup(read("report.css")),
        )
    )
