"""The base class of methods, and their needs."""

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
    """The data and abilities that a method needs.

    Attributes:
        fields: Fields of the features, for any descriptor: `"scales"`, `"orientations"`,
            `"scores"`. The fields that the descriptor's frame needs are added.
        abilities: Abilities of the descriptor's adapter, see `Ability`.
        database: Whether the method needs a database from `collect_database`.

    >>> print(Needs(abilities=("unfolding",), database=True))
    an unfolding, a database
    """

    fields: tuple[str, ...] = ()
    abilities: tuple[Ability, ...] = ()
    database: bool = False

    def __str__(self) -> str:
        """Return the needs in words; "nothing" if there are none."""
        words = [*self.fields, *(ABILITIES[one] for one in self.abilities)]
        return ", ".join(words + ["a database"] * self.database) or "nothing"

    def lacking(self, adapter: Descriptor) -> tuple[Ability, ...]:
        """Return the abilities that an adapter does not have."""
        there = abilities(adapter)
        return tuple(one for one in self.abilities if one not in there)


class Method(nn.Module):
    """A method that reconstructs pictures from features.

    Its constructor takes `descriptor` and its own options, all by keyword. `descriptor` is the name
    or adapter of the descriptor, or None for the descriptor that each batch names. A method with
    weights computes on their device (`to`); a method without weights computes on the device of the
    features.

    >>> from invertdesc import create_method
    >>> isinstance(create_method("poisson"), Method)
    True
    """

    name: ClassVar[str]
    """Registry name."""
    needs: ClassVar[Needs] = Needs()

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    if TYPE_CHECKING:  # PyTorch's own returns anything

        def __call__(self, batch: FeatureBatch) -> Tensor:
            """See `forward`."""

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), RGB in [0, 1]."""
        raise NotImplementedError

    @classmethod
    def is_ready(cls, descriptor: str | Descriptor | None = None) -> bool:
        """Return whether the method is ready to use, without collecting a database or training.

        Args:
            descriptor: Name or adapter; None for any descriptor.
        """
        return cls.serves(descriptor) and not cls.needs.database

    @classmethod
    def serves(cls, descriptor: str | Descriptor | None) -> bool:
        """Return whether a descriptor has the abilities that the method needs."""
        return descriptor is None or not cls.needs.lacking(resolve_descriptor(descriptor))


def run_method(
    method: MethodLike, batch: FeatureBatch, device: str | torch.device | None = None
) -> Tensor:
    """Reconstruct pictures (B, 3, H, W) on a device; method and features are moved there.

    Args:
        method: A method or a function.
        batch: Features on any device.
        device: Device to compute on; None for that of the method's weights, or else of the
            features.
    """
    if device is not None:
        batch = batch.to(device)
        if isinstance(method, nn.Module):
            method.to(device)
    return method(batch)


def name_of(method: Any) -> str:
    """Return the name of a method, or of a function used as a method."""
    return str(getattr(method, "name", None) or getattr(method, "__name__", type(method).__name__))
