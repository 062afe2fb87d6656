"""What a method is, and what it cannot do without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.abilities import ABILITIES, Ability, abilities
from invertdesc.features.batch import FeatureBatch

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

MethodLike: TypeAlias = Callable[[FeatureBatch], Tensor]
"""A method, or any function from a batch to pictures (B, 3, H, W) in [0, 1]."""


@dataclass(frozen=True)
class Needs:
    """What a method cannot do without.

    Attributes:
        fields: Of the features, whatever the descriptor: `"scales"`, `"orientations"`, `"scores"`.
            What the descriptor's frame needs comes on top.
        abilities: Of the descriptor's adapter, see `Ability`.
        database: Whether it reads what `collect_database` made of other pictures.

    >>> print(Needs(abilities=("unfolding",), database=True))
    an unfolding, a database
    """

    fields: tuple[str, ...] = ()
    abilities: tuple[Ability, ...] = ()
    database: bool = False

    def __str__(self) -> str:
        """Say it in words; "nothing" where it is nothing."""
        words = [*self.fields, *(ABILITIES[one] for one in self.abilities)]
        return ", ".join(words + ["a database"] * self.database) or "nothing"

    def lacking(self, adapter: Descriptor) -> tuple[Ability, ...]:
        """Return the abilities that an adapter does not have."""
        there = abilities(adapter)
        return tuple(one for one in self.abilities if one not in there)


class Method(nn.Module):
    """A way from features back to the picture.

    Its constructor takes `descriptor`, the name or adapter of what made the vectors, or None to go
    by what each batch names, beside options of its own, all by keyword. A method with weights
    computes where they are (`to`); one without, where the features are.

    >>> from invertdesc import create_method
    >>> isinstance(create_method("poisson"), Method)
    True
    """

    name: ClassVar[str]
    """Registry name."""
    needs: ClassVar[Needs] = Needs()

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), RGB in [0, 1]."""
        raise NotImplementedError

    @classmethod
    def is_ready(cls, descriptor: str | Descriptor | None = None) -> bool:
        """Say whether it works as it is: no database to collect, no weights to train.

        Args:
            descriptor: Name or adapter; None asks for any descriptor.
        """
        return cls.serves(descriptor) and not cls.needs.database

    @classmethod
    def serves(cls, descriptor: str | Descriptor | None) -> bool:
        """Say whether a descriptor has the abilities that the method needs."""
        return descriptor is None or not cls.needs.lacking(resolve_descriptor(descriptor))


def run_method(
    method: MethodLike, batch: FeatureBatch, device: str | torch.device | None = None
) -> Tensor:
    """Reconstruct pictures (B, 3, H, W) on a device, where the method and the features are moved.

    Args:
        method: A method or a function.
        batch: On any device.
        device: None for that of the method's weights, or of the features where it has none.
    """
    if device is not None:
        batch = batch.to(device)
        if isinstance(method, nn.Module):
            method.to(device)
    return method(batch)


def name_of(method: Any) -> str:
    """Return the name of a method, or of a function that serves as one."""
    return str(getattr(method, "name", None) or getattr(method, "__name__", type(method).__name__))
