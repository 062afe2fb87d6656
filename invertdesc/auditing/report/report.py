"""One HTML file that needs nothing else, and a JSON file of the same numbers."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from invertdesc._files import atomic_write
from invertdesc.auditing.report import wording
from invertdesc.auditing.report.chart import draw
from invertdesc.auditing.report.fragments import bullets, number, picture, text
from invertdesc.auditing.report.tables import cards, columns, table
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.auditing.result import Audit, Portrait

LARGE = 512  # pixels of the longer side
# Whatever a name may smuggle in: the page may load nothing and run nothing.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def save_report(
    audit: Audit,
    path: str | os.PathLike[str],
    *,
    source: str = "images",
    command: str | None = None,
) -> Path:
    """Write an audit as .html, and its numbers as .json beside it, each whole or not at all.

    Args:
        audit: What was found.
        path: Ends in .html or .htm.
        source: What was audited, for the title.
        command: What was typed, to be repeated.

    Returns:
        Where the numbers are.

    Raises:
        InputError: Another suffix.
        FileError: The place cannot be written.
    """
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
    """Return where a report goes, before hours of work are spent on it.

    Raises:
        InputError: Not a name that ends in .html or .htm.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"Expected a report's name that ends in .html, got {target.name!r}.")
    return target


def render(audit: Audit, *, source: str = "images", command: str | None = None) -> str:
    """Return the page; see `save_report`."""
    style = files("invertdesc.auditing.report").joinpath("report.css").read_text("utf-8")
    parts = [
        _top(audit, source),
        _pictures(audit),
        _summary(audit),
        _threats(audit),
        _defences(audit),
        _curves(audit),
        _meanings(audit),
        _again(audit, command),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>Leak report: {text(source)}</title><style>{style}</style></head>\n<body><main>"
        + "\n".join(part for part in parts if part)
        + "</main></body></html>\n"
    )


def _top(audit: Audit, source: str) -> str:
    level = wording.level_of(audit, audit.row("everything")) or "low"
    return (
        f'<header class="{level}"><p class="kicker">Leak report · {text(source)}</p>'
        f"<h1>{text(wording.verdict(audit))}</h1>"
        f'<p class="lead">{text(wording.outcome(audit))}</p>'
        f"<dl>{_fact('images', audit.chosen)}{_fact('descriptor', audit.descriptor)}"
        f"{_fact('attack', audit.method)}{_figures(audit)}</dl></header>"
    )


def _figures(audit: Audit) -> str:
    scores = audit.row("everything").scores
    facts = [(wording.NAMES[audit.headline], number(getattr(scores, audit.headline), 2))]
    faces = sum(one.faces or 0 for one in audit.portraits)
    if faces:
        seen = sum((one.faces or 0) * (one.scores.faces or 0.0) for one in audit.portraits)
        facts.append(("faces found again", f"{seen:.0f} of {faces}"))
    return "".join(_fact(*fact) for fact in facts)


def _fact(name: str, value: str) -> str:
    return f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>"


def _pictures(audit: Audit) -> str:
    return (
        "<section><h2>What an attacker sees</h2>"
        + "".join(_portrait(one) for one in audit.portraits)
        + "</section>"
    )


def _portrait(one: Portrait) -> str:
    height, width = one.image_size
    shown = [] if one.original is None else [("original", one.original)]
    shown += [("keypoints", one.drawn), ("reconstruction", one.picture)]
    figures = "".join(
        f"<figure>{picture(image, f'{title} of {one.name}', side=LARGE)}"
        f"<figcaption>{title}</figcaption></figure>"
        for title, image in shown
    )
    kind = " three" if len(shown) == 3 else ""
    told = [f"{one.keypoints:,} keypoints", f"{width} x {height} pixels"]
    if one.scores.ncc is not None:
        told.append(f"likeness {number(one.scores.ncc, 2)}")
    if one.scores.consistency is not None:
        told.append(f"agreement {number(one.scores.consistency, 2)}")
    return (
        f'<div class="portrait"><h3>{text(one.name)}</h3><p class="told">'
        f'{text(" · ".join(told))}</p><div class="row{kind}">{figures}</div></div>'
    )


def _summary(audit: Audit) -> str:
    notes = f"<h3>Notes</h3>{bullets(list(audit.notes))}" if audit.notes else ""
    return (
        '<section><h2>In plain words</h2><div class="two">'
        f"<div><h3>What was measured</h3>{bullets(wording.measured(audit))}</div>"
        f"<div><h3>What was not</h3>{bullets(wording.unmeasured(audit))}</div></div>"
        f"{notes}</section>"
    )


def _threats(audit: Audit) -> str:
    return (
        "<section><h2>If the attacker has less</h2>"
        f"<p>The first image under each threat model; numbers are means over all images. The mark "
        f"on a bar is the floor: descriptors shuffled.</p>{cards(audit, 'threat')}"
        f"<h3>Floors</h3>{cards(audit, 'floor')}"
        f"<h3>All numbers</h3>{table(audit, ('threat', 'floor'))}</section>"
    )


def _defences(audit: Audit) -> str:
    if not any(row.group == "defence" for row in audit.rows):
        return ""
    return (
        "<section><h2>What would stop it?</h2>"
        "<p>Each defence is applied to what is stored; then the same attack is run. A defence that "
        "lowers the leak may lower what the descriptors are good for, too.</p>"
        f"{cards(audit, 'defence')}<h3>All numbers</h3>"
        f"{table(audit, ('defence', 'floor'))}</section>"
    )


def _curves(audit: Audit) -> str:
    drawn = [draw(one, wording.NAMES[audit.headline]) for one in audit.curves if one.series]
    if not drawn:
        return ""
    return (
        "<section><h2>How much is too much?</h2><p>Means over all images. Dashed: everything that "
        "is stored, and the same descriptors shuffled.</p>"
        f'<div class="charts">{"".join(drawn)}</div></section>'
    )


def _meanings(audit: Audit) -> str:
    high, partial = wording.BOUNDS[audit.headline]
    name = wording.NAMES[audit.headline]
    counted = "" if audit.headline == "ncc" else ", counted from its floor (0) to 1"
    lines = "".join(
        f"<div><dt>{text(column.heading)}</dt><dd>{text(column.meaning)}.</dd></div>"
        for column in columns(audit)
    )
    return (
        f"<section><h2>How to read the numbers</h2><p>“Recognisable” means {name} of {high:g} "
        f"or more{counted}, “in part” {partial:g} or more. These bounds are a convention of this "
        "report, chosen by eye on photographs: the pictures say more than any number. “Little "
        "seen” means that this attack failed, not that the data is safe.</p>"
        f'<dl class="meanings">{lines}</dl></section>'
    )


def _again(audit: Audit, command: str | None) -> str:
    typed = "" if command is None else f"<pre>{text(command)}</pre>"
    versions = ", ".join(f"{name} {version}" for name, version in audit.versions.items())
    return (
        f"<section><h2>How to repeat this</h2>{typed}<p>Seed {audit.seed}. With the same images, "
        f"seed and versions, the same report comes out. {text(versions)}.</p>"
        "<p>The same numbers are in the JSON file beside this one. This page holds all its "
        "pictures, loads nothing and runs no script; it shows what leaks, so keep it as you would "
        "keep the originals.</p></section>"
    )
