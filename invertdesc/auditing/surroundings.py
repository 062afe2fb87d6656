"""What a scenario may draw on beside the features of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from invertdesc.auditing.typical import Typical
from invertdesc.features.local import Box

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a scenario may draw on beside the features of one image.

    Attributes:
        adapter: Adapter of the descriptor.
        generator: Random generator; the same for the same seed and image.
        shared: Random generator for values that all images share.
        typical: Descriptors of pictures that are unrelated to the audited ones.
        faces: Boxes of the faces in the original, which its owner knows.
    """

    adapter: Descriptor
    generator: torch.Generator
    shared: torch.Generator
    typical: Typical
    faces: Sequence[Box] = ()
