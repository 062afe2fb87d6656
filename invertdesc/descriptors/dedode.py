"""DeDoDe as stored features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from invertdesc.descriptors._unread import StoredDescriptor


@dataclass(frozen=True, kw_only=True)
class DeDoDe(StoredDescriptor):
    """DeDoDe with its descriptor B or G: 256 numbers.

    Source: Edstedt, Bökman, Wadenbäck, Felsberg, "DeDoDe: detect, don't describe - describe, don't
    detect for local feature matching", 3DV 2024.
    """

    name: ClassVar[str] = "dedode"
    dim: ClassVar[int] = 256
