"""DISK through kornia."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc.descriptors._weights import Remote, downloaded, fill
from invertdesc.descriptors._whole import Found, WholePictureDescriptor, sampled
from invertdesc.unfolding.frame import Frame

MULTIPLE = 16  # of the sides that the network takes


@dataclass(frozen=True, kw_only=True)
class Disk(WholePictureDescriptor):
    """DISK, the authors' network that was trained with depth: 128 numbers at whole pixels.

    Attributes:
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        enlarge: Factor by which the picture is resized before the network sees it.
        weights: File of the authors' weights (`depth-save.pth`); None for kornia's download.

    Source: Tyszkiewicz, Fua, Trulls, "DISK: learning local features with policy gradient", NeurIPS
    2020.
    """

    name: ClassVar[str] = "disk"
    remote: ClassVar[Remote] = Remote(
        "depth-save.pth", 4.4, "huggingface.co or raw.githubusercontent.com"
    )
    frame: ClassVar[Frame] = Frame(support=16.0, rotated=False, assumed=1.0)
    smallest: ClassVar[int] = MULTIPLE + 1  # the coarsest map has more than one place

    def _build(self, kornia_feature: Any) -> nn.Module:
        network: nn.Module
        if self.weights is None:
            make = kornia_feature.DISK.from_pretrained
            network = downloaded(lambda: make("depth"), self.name, self.remote)
            return network
        network = kornia_feature.DISK()
        fill(network, self.weights, self.name)
        return network

    def _detect(self, image: Tensor) -> Found:
        found = self.network(image[None], pad_if_not_divisible=True)[0]
        return Found(found.keypoints, found.descriptors, found.detection_scores)

    def _vectors(self, image: Tensor, keypoints: Tensor) -> Tensor:
        height, width = image.shape[1:]
        padded = F.pad(image[None], (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        _, maps = self.network.heatmap_and_dense_descriptors(padded)
        return F.normalize(sampled(maps[0, :, :height, :width], keypoints), dim=1)
