"""SuperPoint as stored features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from invertdesc.descriptors._unread import StoredDescriptor


@dataclass(frozen=True, kw_only=True)
class SuperPoint(StoredDescriptor):
    """SuperPoint: 256 numbers of length 1, as hloc and many SLAM programs store them.

    Source: DeTone, Malisiewicz, Rabinovich, "SuperPoint: self-supervised interest point detection
    and description", CVPR Workshops 2018.
    """

    name: ClassVar[str] = "superpoint"
    dim: ClassVar[int] = 256
