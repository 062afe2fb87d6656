"""Scenarios: changes of features before the attack, with their descriptions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from invertdesc.auditing.typical import Typical
from invertdesc.features.local import Box, LocalFeatures

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

Group: TypeAlias = Literal["threat", "defence", "floor"]
Value: TypeAlias = float | Box | None


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The data that a scenario may use in addition to the features of one image.

    Attributes:
        adapter: Adapter of the descriptor.
        generator: Random generator; the same for the same seed and image.
        shared: Random generator for values that all images share.
        typical: Descriptors of pictures that are unrelated to the audited ones.
    """

    adapter: Descriptor
    generator: torch.Generator
    shared: torch.Generator
    typical: Typical


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
        arranged: Whether the picture is comparable with the original; a mosaic of patches is not.
        family: The same for one defence under several attacks.
    """

    name: str
    group: Group
    value: Value
    title: str
    sentence: str
    change: Callable[[LocalFeatures, Surroundings], LocalFeatures]
    arranged: bool = True
    family: str = ""

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
    ) -> LocalFeatures:
        """Return the features of one image that the attacker has.

        Args:
            features: All that is stored.
            adapter: Adapter of the descriptor.
            typical: Descriptors of other pictures.
            seed: Random seed of the audit.
            image: Number of the image, which gives each image its own random numbers.

        Raises:
            InvertDescError: The change cannot be applied to these features.
        """
        # All scenarios use the same random numbers, so a smaller random share is part of a larger
        # one.
        own, shared = (_generator(f"{seed} {which}") for which in (image, "all"))
        return self.change(features, Surroundings(adapter, own, shared, typical))


def _generator(text: str) -> torch.Generator:
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
