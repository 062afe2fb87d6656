"""Guess fields that a source of features does not contain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from invertdesc.errors import InputError
from invertdesc.features.local import LocalFeatures


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """One value for all keypoints, for each field that a source does not contain.

    Attributes:
        scales: Sigma in pixels, or None for no guess.
        orientations: Radians from +x towards +y, or None for no guess.

    Raises:
        InputError: A guess is not a finite number.
    """

    scales: float | None = None
    orientations: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
                raise _unlike(name, value)

    @classmethod
    def of(cls, guesses: Guesses | Mapping[str, Any] | None) -> Guesses:
        """Return guesses from a mapping of fields to values, or from None.

        Raises:
            InputError: A field cannot be guessed, or a value is not a finite number.

        >>> Guesses.of({"orientations": 0.0})
        Guesses(scales=None, orientations=0.0)
        """
        if isinstance(guesses, Guesses):
            return guesses
        given = dict(guesses or {})
        for name in given.keys() - {field.name for field in fields(cls)}:
            raise _unlike(name, given[name])
        return cls(**given)

    def fill(self, features: LocalFeatures) -> LocalFeatures:
        """Return features whose missing fields are filled with the guesses."""
        return features.assume(scales=self.scales, orientations=self.orientations)


def _unlike(name: str, value: object) -> InputError:
    return InputError(f"Expected a guess scales=SIGMA or orientations=RADIANS, got {name}={value}.")
