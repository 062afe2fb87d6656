"""Define kinds of scenarios, which become scenarios by a strength, and find them by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias, cast

from invertdesc.auditing.attacks.attack import Attack, Change
from invertdesc.auditing.scenario import Distances, Group, Scenario
from invertdesc.auditing.surroundings import Surroundings
from invertdesc.errors import InputError, UnknownNameError
from invertdesc.features.local import Box, LocalFeatures

BoxChange: TypeAlias = Callable[[LocalFeatures, Box | None, Surroundings], LocalFeatures]


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of scenario; together with a strength it gives a scenario.

    Attributes:
        name: Name to choose it by.
        group: See `Scenario`.
        title: Short title; `{value}` is replaced by the strength, `{percent}` by 100 times it.
        sentence: Explanation in plain words, with the same replacements.
        change: Function of the features, the strength and the surroundings, which returns features.
        default: Default strength; None for kinds without a strength.
        low: Smallest strength.
        high: Largest strength.
        attacks: See `Scenario`.
        distances: See `Scenario`.
        arranged: See `Scenario`.
    """

    name: str
    group: Group
    title: str
    sentence: str
    change: Change
    default: float | None = None
    low: float = 0.0
    high: float = math.inf
    attacks: tuple[Attack, ...] = ()
    distances: Distances | None = None
    arranged: bool = True

    def at(self, value: object = None) -> Scenario:
        """Return the scenario of a strength; None for the default.

        Raises:
            InputError: The kind has no strength, or the strength is out of range.
        """
        if value is None:
            strength = self.default
        elif self.default is None:
            raise InputError(f"Expected {self.name!r} without a value, got {value!r}.")
        else:
            strength = self._checked(value)
        used = 0.0 if strength is None else strength
        words = {"value": f"{used:g}", "percent": f"{100 * used:g}"}
        return Scenario(
            self.name,
            self.group,
            strength,
            self.title.format_map(words),
            self.sentence.format_map(words),
            lambda features, around: self.change(features, used, around),
            self.attacks,
            self.distances,
            self.arranged,
        )

    def _checked(self, value: object) -> float:
        if isinstance(value, int | float) and self.low <= value <= self.high:
            return float(value)
        most = "" if self.high == math.inf else f" to {self.high:g}"
        raise InputError(
            f"Expected a value of {self.low:g}{most} for {self.name!r}, such as "
            f"{self.default:g}, got {value!r}."
        )


@dataclass(frozen=True, eq=False)
class BoxKind:
    """A kind of scenario whose strength is a region of the picture.

    Attributes:
        name: See `Kind`.
        group: See `Scenario`.
        title: Short title.
        sentence: Explanation in plain words; `{value}` is replaced by the region.
        change: Function of the features, the region (None for the default one) and the
            surroundings, which returns features.
        region: Name of the default region.
    """

    name: str
    group: Group
    title: str
    sentence: str
    change: BoxChange
    region: str

    def at(self, value: object = None) -> Scenario:
        """Return the scenario of a box (x0, y0, x1, y1); None for the default.

        Raises:
            InputError: The value is not a box.
        """
        box = None if value is None else self._checked(value)
        words = self.region if box is None else f"the box {box}"
        return Scenario(
            self.name,
            self.group,
            box,
            self.title.format(value=words),
            self.sentence.format(value=words),
            lambda features, around: self.change(features, box, around),
        )

    def _checked(self, value: object) -> Box:
        try:
            x0, y0, x1, y1 = map(float, cast("Iterable[float]", value))
        except (TypeError, ValueError):
            x0 = y0 = x1 = y1 = math.nan
        if not (x0 < x1 and y0 < y1 and all(map(math.isfinite, (x0, y0, x1, y1)))):
            raise InputError(
                f"Expected a box (x0, y0, x1, y1) for {self.name!r}, such as (80, 80, 176, 176), "
                f"got {value!r}."
            )
        return x0, y0, x1, y1


def choose(
    kinds: Mapping[str, Kind | BoxKind], wanted: Iterable[tuple[str, object]] | None, what: str
) -> list[Scenario]:
    """Return the scenarios of names and values; all, at their defaults, for None.

    Args:
        kinds: Kinds by name.
        wanted: Names, each with a strength or None.
        what: `"threat"` or `"defence"`, for messages.

    Raises:
        UnknownNameError: There is no such kind; similar names are suggested.
        InputError: A strength is out of range.
    """
    if wanted is None:
        return [kind.at() for kind in kinds.values()]
    found = []
    for name, value in wanted:
        if name not in kinds:
            near = get_close_matches(name, kinds, n=2)
            advice = f"Did you mean {' or '.join(near)}? " if near else ""
            raise UnknownNameError(
                f"Expected a {what} among {', '.join(kinds)}; got {name!r}. {advice}".rstrip()
            )
        found.append(kinds[name].at(value))
    return found
