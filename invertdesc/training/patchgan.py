"""The discriminator D, which classifies patches of a picture as real or not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invertdesc.methods.networks.norm import BatchNorm
from invertdesc.methods.recipe import PatchGANConfig


class PatchGAN(nn.Module):
    """Network that classifies patches of 70 x 70 pixels, given the picture and the coarse one.

    It returns logits (B, 1, H / 8 - 2, W / 8 - 2), above 0 for real.

    >>> pictures = torch.rand(2, 1, 3, 64, 64)
    >>> PatchGAN(PatchGANConfig(width=4))(*pictures).shape
    torch.Size([1, 1, 6, 6])

    Source: Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR
    2017, appendix; Wu et al. 2019, section III-C.
    """

    def __init__(self, config: PatchGANConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        layers: list[nn.Module] = [nn.Conv2d(6, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(inputs * width, outputs * width, 4, stride, 1, bias=False),
                BatchNorm(outputs * width),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, coarse: Tensor, picture: Tensor) -> Tensor:
        """Return the logits for two pictures (B, 3, H, W) in [0, 1], at least 32 x 32."""
        logits: Tensor = self.layers(torch.cat([coarse, picture], 1) * 2 - 1)
        return logits.float()
