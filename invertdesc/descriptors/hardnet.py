"""HardNet, SOSNet and HyNet through kornia: networks from a patch to 128 numbers."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from invertdesc._files import existing_file
from invertdesc.descriptors._kornia import KorniaDescriptor
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
        network: nn.Module
        if self.weights is not None:
            network = make(pretrained=False)
            _fill(network, Path(self.weights), self.name)
            return network
        try:
            network = make(pretrained=True)
        except (OSError, RuntimeError) as error:  # kornia tried all its mirrors
            raise FileError(
                f"Expected weights for {self.name!r}, which kornia downloads; it could not. Pass a "
                f"file: create_descriptor({self.name!r}, weights=PATH)."
            ) from error
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


@dataclass(frozen=True, kw_only=True)
class HyNet(HardNet):
    """HyNet: a network from a patch of 32 x 32 pixels to 128 numbers of length 1.

    The attributes are those of `HardNet`. As for `HardNet`, an unfolding must be fitted.

    Source: Tian, Barroso Laguna, Ng, Balntas, Mikolajczyk, "HyNet: learning local descriptor with
    hybrid similarity measure and triplet loss", NeurIPS 2020.
    """

    name: ClassVar[str] = "hynet"
    kornia_class: ClassVar[str] = "HyNet"


def _fill(network: nn.Module, path: Path, name: str) -> None:
    """Load the weights of a file into a network.

    Raises:
        FileError: The file is missing, unreadable, or of another network.
    """
    existing_file(path, f"weights for {name!r}")
    from safetensors import SafetensorError

    unreadable = (OSError, EOFError, RuntimeError, AttributeError, TypeError, ValueError)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state.get("state_dict", state))
    except (*unreadable, SafetensorError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise FileError(f"Expected weights for {name!r}, got {path}: {reason}") from error
