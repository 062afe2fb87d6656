"""Scenarios as cards with pictures, and as a table with all numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from invertdesc.auditing.report.fragments import number, picture, text
from invertdesc.auditing.report.wording import NAMES, level_of

if TYPE_CHECKING:
    from invertdesc.auditing.result import Audit, Row

CARD = 288  # pixels of the longer side
CHIPS = {"high": "recognisable", "partial": "in part", "low": "little seen"}


class Column(NamedTuple):
    """A column of the table: a measure, its heading, what it means, and its digits."""

    name: str
    heading: str
    meaning: str
    digits: int = 3


COLUMNS = (
    Column("ncc", "NCC", "Normalised cross-correlation with the original, gray; 1 is the same"),
    Column("gradient", "gradients", "Correlation of the gradients; 1 is the same"),
    Column("ssim", "SSIM", "Structural similarity, gray, window 11 x 11; 1 is the same"),
    Column("psnr", "PSNR (dB)", "Peak signal to noise ratio, colour; more is nearer", 1),
    Column("vgg", "VGG16", "Distance in the features of VGG16; 0 is the same"),
    Column("identity", "identity", "Distance of faces by the given model; 0 is the same"),
    Column("faces", "faces found", "Share of the original's faces that a detector finds again", 2),
    Column("faces_seen", "faces seen", "Faces that a detector sees in a picture, on average", 2),
    Column("consistency", "agreement", "Of the picture's own descriptors with the stored ones"),
    Column("consistency_floor", "its floor", "The same with the stored ones shuffled"),
)


def cards(audit: Audit, group: str) -> str:
    """Return a grid of what becomes of the first image in each scenario of a group."""
    rows = [row for row in audit.rows if row.group == group]
    return '<div class="cards">' + "".join(_card(audit, row) for row in rows) + "</div>"


def table(audit: Audit, groups: Sequence[str]) -> str:
    """Return all numbers of some groups, a scenario a line."""
    rows = [row for group in groups for row in audit.rows if row.group == group]
    shown = columns(audit)
    heads = "".join(
        f'<th scope="col" title="{text(column.meaning)}">{text(column.heading)}</th>'
        for column in shown
    )
    lines = "".join(_line(row, shown) for row in rows)
    return (
        '<div class="wide"><table><thead><tr><th scope="col">scenario</th>'
        f'<th scope="col">keypoints</th>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def columns(audit: Audit) -> list[Column]:
    """Return the columns that hold a number at all."""
    return [
        column
        for column in COLUMNS
        if any(getattr(row.scores, column.name) is not None for row in audit.rows)
    ]


def _card(audit: Audit, row: Row) -> str:
    level, score = level_of(audit, row), audit.score(row)
    shown = "" if row.picture is None else picture(row.picture, row.title, side=CARD)
    if row.note is not None:
        told = f'<p class="note">Not tried: {text(row.note)}</p>'
    elif row.patch_ncc is not None:
        told = f'<p class="note">Likeness of single patches: {number(row.patch_ncc, 2)}</p>'
    elif score is None or level is None:
        told = '<p class="note">Not comparable with an original.</p>'
    else:
        told = (
            f'<p class="score"><span><b>{number(score, 2)}</b> {NAMES[audit.headline]}</span> '
            f'<span class="chip {level}">{CHIPS[level]}</span></p>{_bar(audit, score, level)}'
        )
    blank = "" if shown else '<div class="blank" aria-hidden="true"></div>'
    return (
        f'<article class="card">{shown}{blank}<h4>{text(row.title)}</h4>{told}'
        f'<p class="what">{text(row.sentence)}</p></article>'
    )


def _bar(audit: Audit, score: float, level: str) -> str:
    """Draw a score from 0 to 1, with a mark at the floor."""
    floor = audit.score(audit.row("shuffled"))
    mark = (
        ""
        if floor is None
        else f'<i style="left:{100 * min(max(floor, 0.0), 1.0):.1f}%" title="shuffled"></i>'
    )
    filled = 100 * min(max(score, 0.0), 1.0)
    return f'<div class="bar {level}"><span style="width:{filled:.1f}%"></span>{mark}</div>'


def _line(row: Row, shown: Sequence[Column]) -> str:
    key = row.name if row.value is None else f"{row.name}={row.value}"
    if row.note is not None:
        cells = f'<td class="note" colspan="{len(shown) + 1}">not tried: {text(row.note)}</td>'
    else:
        cells = f'<td data-name="keypoints">{number(row.keypoints, 0)}</td>' + "".join(
            f'<td data-name="{column.name}">'
            f"{number(getattr(row.scores, column.name), column.digits)}</td>"
            for column in shown
        )
    return f'<tr data-row="{text(key)}"><th scope="row">{text(row.title)}</th>{cells}</tr>'
