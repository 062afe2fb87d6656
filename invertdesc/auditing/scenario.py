"""Scenarios: changes of features before the attack, with their descriptions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from invertdesc.auditing.attacks.attack import NAIVE, Attack
from invertdesc.auditing.surroundings import Surroundings
from invertdesc.features.local import Box, LocalFeatures

if TYPE_CHECKING:
    from invertdesc.auditing.typical import Typical
    from invertdesc.descriptors import Descriptor

Group: TypeAlias = Literal["threat", "defence", "floor"]
Value: TypeAlias = float | Box | None
# From stored features (N) and a query's (M), both undefended, to (N, M) distances as they can be
# measured after the defence.
Distances: TypeAlias = Callable[[LocalFeatures, LocalFeatures, float, Surroundings], Tensor]


@dataclass(frozen=True, eq=False)
class Scenario:
    """Features changed in one way, with one strength.

    Attributes:
        name: Name of the kind.
        group: Whether this is a threat model, a defence or a floor.
        value: The strength, or None.
        title: Short title.
        sentence: Sentence about what the attacker has.
        change: Function that changes the features.
        attacks: Attacks by somebody who knows the change, in addition to the naive one, which takes
            the result of `change` as it is.
        distances: Function that measures how far stored vectors are from the vectors of a query;
            None for the distances from the result of `change`.
        arranged: Whether the picture is comparable with the original; a mosaic of patches is not.
    """

    name: str
    group: Group
    value: Value
    title: str
    sentence: str
    change: Callable[[LocalFeatures, Surroundings], LocalFeatures]
    attacks: tuple[Attack, ...] = ()
    distances: Distances | None = None
    arranged: bool = True

    @property
    def key(self) -> tuple[str, Value]:
        """A key that is different for different scenarios."""
        return self.name, self.value

    def apply(
        self,
        features: LocalFeatures,
        adapter: Descriptor,
        typical: Typical,
        *,
        seed: int,
        image: int,
        attack: Attack = NAIVE,
        faces: Sequence[Box] = (),
    ) -> LocalFeatures:
        """Return the features of one image that the attacker has.

        Args:
            features: All that is stored.
            adapter: Adapter of the descriptor.
            typical: Descriptors of other pictures.
            seed: Random seed of the audit.
            image: Number of the image, which gives each image its own random numbers.
            attack: The attack that reads the features: one of `attacks`, or the naive one.
            faces: Boxes of the faces in the original.

        Raises:
            InvertDescError: The change cannot be applied to these features.
        """
        around = self.surroundings(adapter, typical, seed=seed, image=image, faces=faces)
        if attack.reading is None:
            return self.change(features, around)
        return attack.reading(features, self.strength, around)

    def surroundings(
        self,
        adapter: Descriptor,
        typical: Typical,
        *,
        seed: int,
        image: int,
        faces: Sequence[Box] = (),
    ) -> Surroundings:
        """Return what the change may use for one image; see `apply`."""
        # All scenarios use the same random numbers, so a smaller random share is part of a larger
        # one.
        own, shared = (_generator(f"{seed} {which}") for which in (image, "all"))
        return Surroundings(adapter, own, shared, typical, faces)

    @property
    def strength(self) -> float:
        """The value as a number; 0 where it is none."""
        return self.value if isinstance(self.value, float) else 0.0


def _generator(text: str) -> torch.Generator:
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
