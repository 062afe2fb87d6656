"""XFeat through kornia."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc.descriptors._weights import Remote, downloaded, fill
from invertdesc.descriptors._whole import Found, WholePictureDescriptor
from invertdesc.unfolding.frame import Frame

MULTIPLE = 32  # kornia resizes sides to a multiple of this, at least one
ALL = 1 << 20  # keypoints


@dataclass(frozen=True, kw_only=True)
class XFeat(WholePictureDescriptor):
    """XFeat: keypoints at whole pixels with 64 numbers from a map of an eighth of the size.

    Attributes:
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        enlarge: Factor by which the picture is resized before the network sees it.
        weights: File of the authors' weights (`xfeat.pt`); None for kornia's download.
        threshold: Least value of a keypoint in the heat map, in (0, 1).

    Source: Potje, Cadar, Araujo, Martins, Nascimento, "XFeat: accelerated features for lightweight
    image matching", CVPR 2024.
    """

    max_num_keypoints: int | None = 4096
    threshold: float = 0.05

    name: ClassVar[str] = "xfeat"
    remote: ClassVar[Remote] = Remote("xfeat.pt", 6.2, "github.com")
    dim: ClassVar[int] = 64
    frame: ClassVar[Frame] = Frame(support=16.0, rotated=False, assumed=1.0)

    def _build(self, kornia_feature: Any) -> nn.Module:
        make = kornia_feature.XFeat
        options = {"top_k": ALL, "detection_threshold": self.threshold}
        if self.weights is None:
            network: nn.Module = downloaded(
                lambda: make.from_pretrained(**options), self.name, self.remote
            )
            return network
        network = make(**options)
        fill(cast("nn.Module", network.net), self.weights, self.name)
        return network

    def _detect(self, image: Tensor) -> Found:
        found = self.network.detectAndCompute(image[None])[0]
        # Kornia multiplies the numbers of pixels by the factor; their centres are elsewhere.
        corner = (_ratio(image) - 1) / 2
        return Found(found["keypoints"] + corner, found["descriptors"], found["scores"])

    def _vectors(self, image: Tensor, keypoints: Tensor) -> Tensor:
        ratio = _ratio(image)
        size = [max(MULTIPLE, side // MULTIPLE * MULTIPLE) for side in image.shape[1:]]
        resized = F.interpolate(image[None], size=size, mode="bilinear", align_corners=False)
        maps = F.normalize(self._features(resized), dim=1)
        places = ((keypoints + 0.5) / ratio - 0.5)[None]
        found = self.network.interpolator(maps, places, H=size[0], W=size[1])[0]
        return F.normalize(found, dim=1)

    def _features(self, images: Tensor) -> Tensor:
        """Return the map of vectors (B, 64, h / 8, w / 8).

        The network's own `forward` lets no gradient through its first normalisation.
        """
        net = self.network.net
        gray = net.norm(images.mean(1, keepdim=True))
        fine = net.block3(net.block2(net.block1(gray) + net.skip1(gray)))
        middle = net.block4(fine)
        coarse = net.block5(middle)
        size = fine.shape[-2:]
        one, other = (
            F.interpolate(part, size, mode="bilinear", align_corners=False)
            for part in (middle, coarse)
        )
        maps: Tensor = net.block_fusion(fine + one + other)
        return maps


def _ratio(image: Tensor) -> Tensor:
    """Return (2,), the width and height of a picture in units of those that the network sees."""
    height, width = image.shape[-2:]
    seen = [max(MULTIPLE, side // MULTIPLE * MULTIPLE) for side in (width, height)]
    return image.new_tensor([width / seen[0], height / seen[1]])
