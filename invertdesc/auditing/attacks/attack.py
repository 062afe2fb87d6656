"""An attack on what is stored: how it is read, and by which method the picture is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from invertdesc.auditing.surroundings import Surroundings
from invertdesc.features.local import LocalFeatures

if TYPE_CHECKING:
    from invertdesc.auditing.attacks.lab import Lab

Change: TypeAlias = Callable[[LocalFeatures, float, Surroundings], LocalFeatures]
Pooled: TypeAlias = Callable[[Sequence[LocalFeatures], "Lab"], list[LocalFeatures]]


@dataclass(frozen=True, eq=False)
class Attack:
    """What somebody does with what is stored.

    Attributes:
        name: Short, such as `"refit"`.
        title: A few words.
        sentence: What the attacker does, in plain words.
        reading: Defends and reads back the features of one image, in place of the scenario's own
            way; takes the features, the strength and the surroundings.
        pooled: Works on what is known of all images together, afterwards.
        refit: Whether the unfolding is fitted anew, to public pictures that were defended alike.
        method: Name of the method; None for the one that is audited.
        slow: Whether it is left to thorough audits.
    """

    name: str
    title: str
    sentence: str
    reading: Change | None = None
    pooled: Pooled | None = None
    refit: bool = False
    method: str | None = None
    slow: bool = False


NAIVE = Attack(
    "naive",
    "as it is",
    "The attacker takes what is stored as it is, and does not answer the defence.",
)
REFIT = Attack(
    "refit",
    "map fitted anew",
    "The attacker applies the same defence to public pictures, and fits the map from vectors to "
    "gradients anew to what comes out.",
    refit=True,
)
"""The attack of everybody who has the program and some photographs."""
