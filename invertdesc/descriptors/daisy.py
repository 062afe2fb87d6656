"""DAISY through OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from invertdesc.descriptors._opencv import OpenCVDescriptor, find_class
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class Daisy(OpenCVDescriptor):
    """DAISY: 25 histograms of 8 gradient directions on three rings of at most 15 pixels.

    It is neither scaled nor turned, so it has no orientation. OpenCV does not normalise it, so its
    length contains the contrast. Scales are those of the detector: its size divided by its size for
    a sigma of 1 pixel, which is 13.5 for ORB.

    Source: Tola, Lepetit, Fua, "DAISY: an efficient dense descriptor applied to wide-baseline
    stereo", TPAMI 2010.
    """

    detector: str = "orb"

    name: ClassVar[str] = "daisy"
    dim: ClassVar[int] = 201
    width: ClassVar[int] = 200
    frame: ClassVar[Frame] = Frame(support=44.0, scaled=False, rotated=False)

    def encode(self, raw: Tensor) -> Tensor:
        """Scale vectors to length 1, and append a tenth of the logarithm of their length."""
        length = torch.linalg.vector_norm(raw.float(), dim=1, keepdim=True)
        return torch.cat([super().encode(raw), (length + 1e-4).log() / 10], 1)

    def _tool(self) -> Any:
        return find_class("DAISY").create()
