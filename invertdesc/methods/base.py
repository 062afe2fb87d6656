"""What a method is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor

if TYPE_CHECKING:
    from invertdesc.features.batch import FeatureBatch


@runtime_checkable
class Reconstructor(Protocol):
    """A way from features back to the picture.

    Its factory takes `descriptor`, the name or adapter of what made the vectors, or None to go by
    what each batch names, beside options of its own, all by keyword.

    >>> from invertdesc import create_method
    >>> isinstance(create_method("poisson"), Reconstructor)
    True
    """

    @property
    def name(self) -> str:
        """Registry name."""

    @property
    def needs(self) -> tuple[str, ...]:
        """What it cannot do without, whatever the descriptor, such as `"orientations"`."""

    def __call__(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), RGB in [0, 1]."""
