"""The origin of features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from invertdesc.image import GrayMode


@dataclass(frozen=True)
class Provenance:
    """The origin of features, as far as it is known.

    Attributes:
        gray: Gray mode of the extractor: `"gamma"`, `"luma"`, or None if unknown.
        producer: The library that computed the vectors, with its version, such as `"opencv 5.0.0"`.
        parameters: The options that the descriptor was created with.

    >>> Provenance(producer="opencv 5.0.0").gray_mode
    'luma'
    """

    gray: str | None = None
    producer: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gray_mode(self) -> GrayMode:
        """`gray`, or if that is unknown `"luma"`, which nearly all extractors use."""
        return cast("GrayMode", self.gray or "luma")
