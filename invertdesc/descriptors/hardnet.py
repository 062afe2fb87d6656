"""HardNet, SOSNet and HyNet through kornia: networks from a patch to 128 numbers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from invertdesc.descriptors._kornia import KorniaDescriptor
from invertdesc.descriptors._weights import Remote, downloaded, fill
from invertdesc.errors import FileError
from invertdesc.unfolding.unfolding import Unfolding


@dataclass(frozen=True, kw_only=True)
class HardNet(KorniaDescriptor):
    """HardNet: a network from a patch of 32 x 32 pixels to 128 numbers of length 1.

    It ships without an unfolding, because its vectors depend on the weights; fit one
    with `fit_unfolding`.

    Attributes:
        detector: Registry name of the descriptor whose keypoints are used.
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        gray: Gray mode `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.
        weights: File of a state dict (.safetensors, .pth, .pt), in the format of the authors or of
            kornia; None for kornia's own, which it downloads and caches.

    Source: Mishchuk, Mishkin, Radenovic, Matas, "Working hard to know your neighbor's margins:
    local descriptor learning loss", NIPS 2017.
    """

    weights: str | os.PathLike[str] | None = None

    name: ClassVar[str] = "hardnet"
    kornia_class: ClassVar[str] = "HardNet"
    remote: ClassVar[Remote] = Remote("checkpoint_liberty_with_aug.pth", 5.3)

    @property
    def unfolding(self) -> Unfolding:
        """Not in the package.

        Raises:
            FileError: Always; it says how to fit one.
        """
        raise FileError(
            f"Expected an unfolding for {self.name!r}, whose vectors depend on its weights; none "
            "ships. Fit one in seconds with fit_unfolding, and pass it as unfolding=."
        ).with_hint("fit_unfolding", descriptor=self.name)

    def _build(self, kornia_feature: Any) -> nn.Module:
        make = getattr(kornia_feature, self.kornia_class)
        if self.weights is None:
            network: nn.Module = downloaded(lambda: make(pretrained=True), self.name, self.remote)
            return network
        network = make(pretrained=False)
        fill(network, self.weights, self.name)
        return network


@dataclass(frozen=True, kw_only=True)
class SosNet(HardNet):
    """SOSNet: a network from a patch of 32 x 32 pixels to 128 numbers of length 1.

    The attributes are those of `HardNet`. As for `HardNet`, an unfolding must be fitted.

    Source: Tian, Yu, Fan, Wu, Heijnen, Balntas, "SOSNet: second order similarity regularization for
    local descriptor learning", CVPR 2019.
    """

    name: ClassVar[str] = "sosnet"
    kornia_class: ClassVar[str] = "SOSNet"
    remote: ClassVar[Remote] = Remote("sosnet_32x32_liberty.pth", 5.3)


@dataclass(frozen=True, kw_only=True)
class HyNet(HardNet):
    """HyNet: a network from a patch of 32 x 32 pixels to 128 numbers of length 1.

    The attributes are those of `HardNet`. As for `HardNet`, an unfolding must be fitted.

    Source: Tian, Barroso Laguna, Ng, Balntas, Mikolajczyk, "HyNet: learning local descriptor with
    hybrid similarity measure and triplet loss", NeurIPS 2020.
    """

    name: ClassVar[str] = "hynet"
    kornia_class: ClassVar[str] = "HyNet"
    remote: ClassVar[Remote] = Remote("HyNet_LIB.pth", 5.3)
