"""ALIKED through kornia, in its four variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from invertdesc.descriptors._weights import Remote, downloaded, fill
from invertdesc.descriptors._whole import Found, WholePictureDescriptor
from invertdesc.unfolding.frame import Frame


@dataclass(frozen=True, kw_only=True)
class AlikedN16(WholePictureDescriptor):
    """ALIKED-N16: keypoints with 128 numbers, sampled at 16 places that the network chooses.

    Attributes:
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        enlarge: Factor by which the picture is resized before the network sees it.
        weights: File of the authors' weights (`aliked-n16.pth`); None for kornia's download.
        threshold: Least score of a keypoint, in (0, 1).

    Source: Zhao, Wu, Chen, Chen, Xu, Li, "ALIKED: a lighter keypoint and descriptor extraction
    network via deformable transformation", IEEE TIM 2023.
    """

    threshold: float = 0.2

    name: ClassVar[str] = "aliked-n16"
    remote: ClassVar[Remote] = Remote("aliked-n16.pth", 2.7)
    frame: ClassVar[Frame] = Frame(support=32.0, rotated=False, assumed=1.0)
    smallest: ClassVar[int] = 8  # so that the windows of kornia's descriptors are in the map

    def _build(self, kornia_feature: Any) -> nn.Module:
        make = kornia_feature.ALIKED
        network: nn.Module
        if self.weights is None:
            network = downloaded(
                lambda: make.from_pretrained(self.name, detection_threshold=self.threshold),
                self.name,
                self.remote,
            )
            return network
        network = make(self.name, detection_threshold=self.threshold)
        fill(network, self.weights, self.name, constants=("dkd.hw_grid",))
        return network

    def _detect(self, image: Tensor) -> Found:
        found = self.network(image[None])[0]
        return Found(found.keypoints, found.descriptors, found.keypoint_scores)

    def _vectors(self, image: Tensor, keypoints: Tensor) -> Tensor:
        maps, _ = self.network.extract_dense_map(image[None])
        height, width = image.shape[1:]
        last = keypoints.new_tensor([width - 1, height - 1])
        places = 2 * keypoints.clamp(min=torch.zeros(2), max=last) / last - 1
        vectors: Tensor = self.network.desc_head(maps, [places])[0][0]
        return vectors


@dataclass(frozen=True, kw_only=True)
class AlikedN16Rot(AlikedN16):
    """ALIKED-N16 trained on turned pictures too; one of two that COLMAP 4 has.

    The attributes are those of `AlikedN16`.
    """

    name: ClassVar[str] = "aliked-n16rot"
    remote: ClassVar[Remote] = Remote("aliked-n16rot.pth", 2.7)


@dataclass(frozen=True, kw_only=True)
class AlikedN32(AlikedN16):
    """ALIKED-N32: 128 numbers, sampled at 32 places; one of two that COLMAP 4 has.

    The attributes are those of `AlikedN16`.
    """

    name: ClassVar[str] = "aliked-n32"
    remote: ClassVar[Remote] = Remote("aliked-n32.pth", 3.9)
    frame: ClassVar[Frame] = Frame(support=40.0, rotated=False, assumed=1.0)


@dataclass(frozen=True, kw_only=True)
class AlikedT16(AlikedN16):
    """ALIKED-T16, the smallest: 64 numbers, sampled at 16 places.

    The attributes are those of `AlikedN16`.
    """

    name: ClassVar[str] = "aliked-t16"
    remote: ClassVar[Remote] = Remote("aliked-t16.pth", 0.8)
    dim: ClassVar[int] = 64
    frame: ClassVar[Frame] = Frame(support=24.0, rotated=False, assumed=1.0)
