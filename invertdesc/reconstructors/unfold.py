"""A network on the unfolded field: colour pictures, one network for every descriptor (ours)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from invertdesc.field import FieldRasterizer
from invertdesc.reconstructors.networks.unet import UNet, UNetConfig
from invertdesc.weights import FOLDER
from invertdesc.weights._files import load_state, read_network

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features import FeatureBatch
    from invertdesc.unfolding import Unfolding


class Unfold:
    """Turn the unfolded gradient field into a colour picture, by a small U-Net.

    The network sees only the field (Poisson picture, coverage, gradients), never the descriptor, so
    that one network serves all that have an unfolding, also some that it was not trained on.
    """

    name: ClassVar[str] = "unfold"
    needs: ClassVar[tuple[str, ...]] = ("an unfolding",)

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        network: UNet | None = None,
        unfolding: Unfolding | None = None,
    ) -> None:
        """Load.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            weights: A .safetensors file from training; None for those that ship.
            network: To use instead of weights from a file.
            unfolding: To use instead of the descriptor's own.

        Raises:
            FileError: The weights are missing or not for this method.
        """
        if network is None:
            path = FOLDER / "unfold.safetensors" if weights is None else weights
            config, state = read_network(path, self.name)
            network = UNet(UNetConfig(**config))
            load_state(network, state, path)
        self.network = network.eval()
        stride = self.network.config.upscale
        self.rasterizer = FieldRasterizer(descriptor, stride=stride, unfolding=unfolding)

    def __call__(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), RGB in [0, 1].

        Raises:
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
        """
        field = network_input(self.rasterizer(batch))
        self.network.to(field.device)
        with torch.no_grad():
            picture: Tensor = self.network(field.contiguous(memory_format=torch.channels_last))
        height, width = batch.image_size
        return picture[..., :height, :width].float()


def network_input(field: Tensor) -> Tensor:
    """Scale a field (B, 4, h, w) to about unit size, whatever the descriptor's amplitudes.

    The Poisson picture is divided by its deviation, gradients by their root mean square where there
    are keypoints; coverage becomes its square root. Without keypoints all is 0.
    """
    picture, coverage, gradients = field[:, :1], field[:, 1:2], field[:, 2:]
    seen = (coverage > 0).to(field)
    size = (
        gradients.square().mean((1, 2, 3), keepdim=True) / seen.mean((1, 2, 3), keepdim=True)
    ).sqrt()
    deviation = picture.std((2, 3), correction=0, keepdim=True)
    picture = picture / deviation.clamp(min=1e-6)
    gradients = gradients / size.nan_to_num(1.0).clamp(min=1e-6)
    return torch.cat([picture, coverage.sqrt(), gradients], 1)
