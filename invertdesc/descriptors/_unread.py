"""The common base of descriptors that are read where somebody stored them, and not extracted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from invertdesc.descriptors.base import check_vectors
from invertdesc.errors import FileError, InputError
from invertdesc.features.local import LocalFeatures
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding


@dataclass(frozen=True, kw_only=True)
class StoredDescriptor:
    """Vectors of a program that invertdesc does not run; subclasses say which.

    Methods need an unfolding, which whoever has the program can fit.
    """

    name: ClassVar[str]
    dim: ClassVar[int]
    frame: ClassVar[Frame] = Frame(support=24.0, rotated=False, assumed=1.0)

    @property
    def unfolding(self) -> Unfolding:
        """Not in the package.

        Raises:
            FileError: Always; it says how to fit one.
        """
        raise FileError(
            f"Expected an unfolding for {self.name!r}; none ships. Whoever has its program can fit "
            "one to it with fit_program, or with fit_unfolding from an adapter that runs it, and "
            "pass the result as unfolding=."
        ).with_hint("fit_unfolding", descriptor=self.name)

    def extract(self, image: Tensor) -> LocalFeatures:
        """Refuse: there is no extractor.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"Expected a descriptor with an extractor, got {self.name!r}, which is read from files "
            "alone. Pass features or a store."
        )

    def encode(self, raw: Tensor) -> Tensor:
        """Scale vectors to length 1."""
        check_vectors(raw, self.dim, self.name)
        return F.normalize(raw.float(), dim=1)
