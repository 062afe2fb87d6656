"""R2D2 as stored features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from invertdesc.descriptors._unread import StoredDescriptor


@dataclass(frozen=True, kw_only=True)
class R2D2(StoredDescriptor):
    """R2D2: 128 numbers of length 1, as kapture stores them.

    Source: Revaud, Weinzaepfel, de Souza, Pion, Csurka, Cabon, Humenberger, "R2D2: repeatable and
    reliable detector and descriptor", NeurIPS 2019.
    """

    name: ClassVar[str] = "r2d2"
    dim: ClassVar[int] = 128
