"""Lay out leakage curves as SVG for the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from invertdesc.auditing.report.template import environment

if TYPE_CHECKING:
    from invertdesc.auditing.result import Curve

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 398, 14, 214  # of the plot
APART = 26  # least distance of labels on the x axis, in units


class Spot(NamedTuple):
    """A point of a line, with its value as text."""

    x: float
    y: float
    tip: str


class PlotLine(NamedTuple):
    """A line: its mark, one of two, and its points from left to right."""

    title: str
    mark: int
    spots: tuple[Spot, ...]


@dataclass(frozen=True)
class Plot:
    """The parts of a chart, in units of the SVG picture; y grows downwards.

    Attributes:
        title: Title of the chart.
        axis: Label of the x axis.
        measure: Label of the y axis.
        ticks: y and value of the grid lines.
        labels: x and value of the labels of the x axis.
        lines: One line per series.
        levels: y and name of the dashed lines.
        width: Width of the picture.
        height: Height of the picture.
        left: Smallest x of the plot.
        right: Largest x of the plot.
        bottom: Largest y of the plot.
        middle: x of the middle of the x axis, y of the middle of the y axis.
    """

    title: str
    axis: str
    measure: str
    ticks: tuple[tuple[float, float], ...]
    labels: tuple[tuple[float, float], ...]
    lines: tuple[PlotLine, ...]
    levels: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    bottom: int = BOTTOM
    middle: tuple[float, float] = ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2)


def draw(curve: Curve, measure: str) -> Markup:
    """Return a <figure> with axes, units, floor, and a tooltip with the value of each point.

    Args:
        curve: At least one series.
        measure: Label of the y axis.
    """
    macros = environment().get_template("parts.html.j2").module
    drawn: Markup = macros.chart(lay_out(curve, measure))  # type: ignore[attr-defined]
    return drawn


def lay_out(curve: Curve, measure: str) -> Plot:
    """Return the positions of a chart's lines, points and labels; see `draw`."""
    places = sorted({x for series in curve.series for x, _ in series.points})
    values = [y for series in curve.series for _, y in series.points]
    values += [y for y in (curve.best, curve.floor) if y is not None]
    low = math.floor(min(0.0, *values) / 0.25) * 0.25
    across = _across(places, curve.logarithmic)

    def up(y: float) -> float:
        return TOP + (1 - y) / (1 - low) * (BOTTOM - TOP)

    ticks = [low + n * 0.25 for n in range(round((1 - low) / 0.25) + 1)]
    lines = [
        PlotLine(
            series.title,
            number % 2,
            tuple(Spot(across(x), up(y), f"{x:g}: {y:.3f}") for x, y in series.points),
        )
        for number, series in enumerate(curve.series)
    ]
    levels = (("everything", curve.best), ("shuffled", curve.floor))
    return Plot(
        curve.title,
        curve.axis,
        measure,
        tuple((up(y), y) for y in ticks),
        tuple(_labels(places, across)),
        tuple(lines),
        tuple((up(y), name) for name, y in levels if y is not None),
    )


def _across(places: Sequence[float], logarithmic: bool) -> Callable[[float], float]:
    """Return the x in the picture of a value on the x axis."""

    def shape(x: float) -> float:
        return math.log10(x) if logarithmic else x

    first = shape(places[0]) if logarithmic else min(0.0, places[0])
    span = (shape(places[-1]) - first) or 1.0
    return lambda x: LEFT + (shape(x) - first) / span * (RIGHT - LEFT)


def _labels(places: Sequence[float], across: Callable[[float], float]) -> list[tuple[float, float]]:
    """Return x and value of the labels; the largest value always has one."""
    found: list[tuple[float, float]] = []
    for place in reversed(places):
        if not found or found[-1][0] - across(place) >= APART:
            found.append((across(place), place))
    return found
