"""Leakage curves as SVG inside the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from invertdesc.auditing.report.fragments import text

if TYPE_CHECKING:
    from invertdesc.auditing.result import Curve, Series

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BELOW = 46, 22, 14, 46  # margins around the plot
APART = 26  # units between the labels of the x axis, so that they do not touch
MARKS = ("mark-0", "mark-1")


def draw(curve: Curve, measure: str) -> str:
    """Return a <figure> of one chart with axes, units, floor, and every point's value as a tip.

    Args:
        curve: At least one series.
        measure: What stands along the y axis.
    """
    places = sorted({x for series in curve.series for x, _ in series.points})
    values = [y for series in curve.series for _, y in series.points]
    values += [y for y in (curve.best, curve.floor) if y is not None]
    low = math.floor(min(0.0, *values) / 0.25) * 0.25
    across, up = _across(places, curve.logarithmic), _up(low)
    lines = [_line(n, series, across, up) for n, series in enumerate(curve.series)]
    parts = [_y_axis(up, low, measure), _x_axis(places, across, curve.axis)]
    levels = [_level(up, curve.best, "everything"), _level(up, curve.floor, "shuffled")]
    title = text(f"{curve.title}: {measure} over {curve.axis}")
    return (
        f'<figure class="chart"><figcaption><b>{text(curve.title)}</b>{_legend(curve)}'
        f'</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        + "".join(parts + lines + levels)
        + "</svg></figure>"
    )


def _across(places: Sequence[float], logarithmic: bool) -> Callable[[float], float]:
    """Return where on the picture a place on the x axis lies."""

    def shape(x: float) -> float:
        return math.log10(x) if logarithmic else x

    first = shape(places[0]) if logarithmic else min(0.0, places[0])
    span = (shape(places[-1]) - first) or 1.0
    return lambda x: LEFT + (shape(x) - first) / span * (WIDTH - LEFT - RIGHT)


def _up(low: float) -> Callable[[float], float]:
    return lambda y: TOP + (1 - y) / (1 - low) * (HEIGHT - TOP - BELOW)


def _y_axis(up: Callable[[float], float], low: float, measure: str) -> str:
    count = round((1 - low) / 0.25)
    ticks = [low + n * 0.25 for n in range(count + 1)]
    lines = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" y2="{up(y):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{up(y) + 4:.1f}" text-anchor="end">{y:g}</text>'
        for y in ticks
    )
    middle = (TOP + HEIGHT - BELOW) / 2
    return (
        f'{lines}<text class="axis" transform="translate(12 {middle:.0f}) rotate(-90)" '
        f'text-anchor="middle">{text(measure)}</text>'
    )


def _x_axis(places: Sequence[float], across: Callable[[float], float], axis: str) -> str:
    bottom, last, labels = HEIGHT - BELOW, math.inf, []
    for x in reversed(places):  # the largest is always named
        if last - across(x) >= APART:
            last = across(x)
            labels.append(
                f'<text x="{last:.1f}" y="{bottom + 16}" text-anchor="middle">{x:g}</text>'
            )
    middle = (LEFT + WIDTH - RIGHT) / 2
    return (
        f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>'
        + "".join(labels)
        + f'<text class="axis" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{text(axis)}</text>"
    )


def _level(up: Callable[[float], float], y: float | None, name: str) -> str:
    """Draw what everything or nothing gives, as a level line."""
    if y is None:
        return ""
    return (
        f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" '
        f'y2="{up(y):.1f}"/><text class="small" x="{WIDTH - RIGHT}" y="{up(y) - 4:.1f}" '
        f'text-anchor="end">{name}</text>'
    )


def _line(
    which: int, series: Series, across: Callable[[float], float], up: Callable[[float], float]
) -> str:
    spots = [(across(x), up(y), f"{x:g}: {y:.3f}") for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in spots)
    kind = MARKS[which % len(MARKS)]
    return f'<polyline class="{kind}" points="{path}"/>' + "".join(
        _mark(kind, x, y, f"{series.title}, {tip}") for x, y, tip in spots
    )


def _mark(kind: str, x: float, y: float, tip: str) -> str:
    shape = (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
        if kind == MARKS[0]
        else f'<rect class="{kind}" x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6">'
    )
    return f"{shape}<title>{text(tip)}</title></{'circle' if kind == MARKS[0] else 'rect'}>"


def _legend(curve: Curve) -> str:
    if len(curve.series) < 2:
        return ""
    names = "".join(
        f'<span class="key key-{n % len(MARKS)}">{text(series.title)}</span>'
        for n, series in enumerate(curve.series)
    )
    return f'<span class="legend">{names}</span>'
