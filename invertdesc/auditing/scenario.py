"""A scenario: what becomes of features before the attack, with the sentence that says so."""

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
    """What a scenario may draw on beside the features of one image.

    Attributes:
        adapter: Of the descriptor.
        generator: Of everything random; the same for the same seed and image.
        shared: Of what is drawn once for all images.
        typical: Descriptors of pictures that have nothing to do with those audited.
    """

    adapter: Descriptor
    generator: torch.Generator
    shared: torch.Generator
    typical: Typical


@dataclass(frozen=True, eq=False)
class Scenario:
    """Features changed in one way, with one strength.

    Attributes:
        name: Of the kind.
        group: Whether an attacker lacks something, a defender did something, or it is a floor.
        value: The strength; None where there is none.
        title: A few words.
        sentence: What the attacker has, in plain words.
        change: Does it.
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
        """What tells scenarios apart."""
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
        """Return what the attacker has of one image.

        Args:
            features: All that is stored.
            adapter: Of the descriptor.
            typical: Other pictures' descriptors.
            seed: Of the audit.
            image: Its number, so that each has draws of its own.

        Raises:
            InvertDescError: It cannot be done here.
        """
        # The same draws for every scenario: of a random share, a smaller one is then a part.
        own, shared = (_generator(f"{seed} {which}") for which in (image, "all"))
        return self.change(features, Surroundings(adapter, own, shared, typical))


def _generator(text: str) -> torch.Generator:
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
