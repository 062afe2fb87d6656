"""Multiple-kernel local-patch descriptor (MKD) through kornia."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from invertdesc.descriptors._kornia import KorniaDescriptor


@dataclass(frozen=True, kw_only=True)
class Mkd(KorniaDescriptor):
    """MKD without whitening: 238 numbers of length 1, kernels of gradients and their places.

    The whitened variants need data that kornia downloads; this variant needs none.

    Attributes:
        detector: Registry name of the descriptor whose keypoints are used.
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        gray: Gray mode `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.

    Source: Mukundan, Tolias, Bursuc, Jegou, Chum, "Understanding and improving kernel local
    descriptors", IJCV 2019.
    """

    name: ClassVar[str] = "mkd"
    dim: ClassVar[int] = 238

    def _build(self, kornia_feature: Any) -> nn.Module:
        network: nn.Module = kornia_feature.MKDDescriptor(
            patch_size=self.patch_size, kernel_type="concat", whitening=None
        )
        return network
