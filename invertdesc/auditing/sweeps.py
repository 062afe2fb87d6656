"""Leakage curves: one kind of scenario at several strengths."""

from __future__ import annotations

from dataclasses import dataclass

from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.kinds import BoxKind
from invertdesc.auditing.scenario import Scenario
from invertdesc.auditing.threats import THREATS
from invertdesc.errors import InputError

SHARES = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a chart.

    Attributes:
        title: Short title.
        points: Values on the x axis, each with its scenario.
        end: Value on the x axis of the full features; None to leave them out.
    """

    title: str
    points: tuple[tuple[float, Scenario], ...]
    end: float | None = None


@dataclass(frozen=True, eq=False)
class Sweep:
    """One chart.

    Attributes:
        title: Title of the chart.
        axis: Label of the x axis, with its unit.
        lines: Lines of the chart.
        logarithmic: Whether the x axis is logarithmic.
    """

    title: str
    axis: str
    lines: tuple[Line, ...]
    logarithmic: bool = False


def default_sweeps() -> list[Sweep]:
    """Return the charts of a report."""
    shares = tuple(
        _line(title, name, SHARES, factor=100, end=100.0)
        for title, name in (("strongest", "strongest"), ("random", "random"))
    )
    bits = _line("quantised", "quantised", (1, 2, 3, 4, 6, 8))
    noise = _line("noisy", "noisy", (0.25, 0.5, 1, 2, 4), factor=100, end=0.0)
    epsilon = _line("noised", "ldp-noise", (10, 30, 100, 300, 1000, 3000))
    lifted = _line("lifted", "lift", (1, 2, 4, 8, 16), end=0.0)
    return [
        Sweep("Fewer keypoints", "keypoints the attacker has (%)", shares),
        Sweep("Coarser descriptors", "bits per value", (bits,)),
        Sweep("Noisier descriptors", "noise (% of root mean square)", (noise,)),
        Sweep("Local differential privacy", "epsilon of each descriptor", (epsilon,), True),
        Sweep("Hidden in affine subspaces", "descriptors hidden among (count)", (lifted,)),
    ]


def _line(
    title: str,
    name: str,
    values: tuple[float, ...],
    *,
    factor: float = 1.0,
    end: float | None = None,
) -> Line:
    kind = THREATS.get(name) or DEFENCES[name]
    if isinstance(kind, BoxKind):
        raise InputError(f"Expected a kind whose strength is a number, got {name!r}.")
    return Line(title, tuple((value * factor, kind.at(value)) for value in values), end)
