"""SIFT by kornia, computed from patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc.descriptors._kornia import KorniaDescriptor
from invertdesc.descriptors.base import check_vectors


@dataclass(frozen=True, kw_only=True)
class SiftKornia(KorniaDescriptor):
    """Kornia's `SIFTDescriptor`: 128 numbers of length 1, in kornia's own order and pooling.

    A vector is ordered by bin, cell row and cell column, bins clockwise on the screen. `encode`
    brings it into the order of `Sift`: cell row, cell column, bin counter-clockwise. At the same
    keypoints the correlation of the two is about 0.88, so this descriptor has its own unfolding.

    Attributes:
        detector: Registry name of the descriptor whose keypoints are used.
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        gray: Gray mode `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.
        rootsift: Whether to take the root of the vector divided by its sum, the default of kornia.

    Source: Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 6.
    """

    rootsift: bool = True

    name: ClassVar[str] = "sift-kornia"
    patch_size: ClassVar[int] = 41

    def encode(self, raw: Tensor) -> Tensor:
        """Convert vectors to the order of `Sift`, undo the root, scale to length 1."""
        check_vectors(raw, self.dim, self.name)
        bins = raw.float().view(-1, 8, 16).transpose(1, 2)  # (N, cell, bin)
        turned = bins[..., [0, 7, 6, 5, 4, 3, 2, 1]].flatten(1)
        return F.normalize(turned.square() if self.rootsift else turned, dim=1)

    def _build(self, kornia_feature: Any) -> nn.Module:
        network: nn.Module = kornia_feature.SIFTDescriptor(self.patch_size, rootsift=self.rootsift)
        return network
