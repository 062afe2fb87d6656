"""The abilities of adapters in addition to extracting and encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from invertdesc.descriptors.base import is_packed
from invertdesc.unfolding.pattern import has_pattern

if TYPE_CHECKING:
    from invertdesc.descriptors.base import Descriptor

Ability: TypeAlias = Literal[
    "unfolding", "describe", "respond", "histograms", "pattern", "grid", "numbers"
]
ABILITIES: dict[Ability, str] = {  # in words, for messages and tables
    "unfolding": "an unfolding",
    "describe": "an extractor that describes pictures at given keypoints",
    "respond": "an extractor that gradients pass through",
    "histograms": "vectors that are known histograms of gradient directions",
    "pattern": "bits that are known comparisons",
    "grid": "keypoints on a regular grid",
    "numbers": "vectors of numbers, not of bits",
}


def abilities(adapter: Descriptor) -> frozenset[Ability]:
    """Return the abilities of an adapter in addition to extracting and encoding.

    They are shown by the members `unfolding`, `describe`, `respond`, `histograms` and `on_grid`; by
    `pattern`, or a pattern of the package; and for numbers by `packed`, which is then not set.

    >>> from invertdesc import create_descriptor
    >>> sorted(abilities(create_descriptor("orb")))
    ['describe', 'pattern', 'unfolding']
    """
    found: dict[Ability, bool] = {
        # Ask the class: the property of the instance reads a file.
        "unfolding": hasattr(type(adapter), "unfolding") or "unfolding" in vars(adapter),
        "describe": hasattr(adapter, "describe"),
        "respond": hasattr(adapter, "respond"),
        "histograms": hasattr(adapter, "histograms"),
        "pattern": has_pattern(adapter),
        "grid": bool(getattr(adapter, "on_grid", False)),
        "numbers": not is_packed(adapter),
    }
    return frozenset(name for name, there in found.items() if there)
