"""A small U-Net from the unfolded field to the picture (ours)."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc.reconstructors.networks.norm import BatchNorm


@dataclass(frozen=True)
class UNetConfig:
    """Size of a `UNet`.

    Attributes:
        inputs: Channels of the field.
        width: Channels at full resolution; each level below has twice as many, up to 8 x width.
        depth: Levels below, each of half the resolution.
        upscale: Pixels of the picture to a sample of the field: 1, 2 or 4.
    """

    inputs: int = 4
    width: int = 24
    depth: int = 4
    upscale: int = 2


class UNet(nn.Module):
    """Turn a field (B, inputs, h, w) into a picture (B, 3, upscale * h, upscale * w) in [0, 1].

    Fully convolutional; any size is padded and cropped inside.

    >>> UNet(UNetConfig(width=4, depth=2))(torch.zeros(1, 4, 9, 13)).shape
    torch.Size([1, 3, 18, 26])

    Source: Ronneberger et al. 2015 for the form.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * min(2**level, 8) for level in range(config.depth + 1)]
        self.stem = _block(config.inputs, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(_block(a, b, stride=2), _block(b, b)) for a, b in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Sequential(_block(below + here, here), _block(here, here))
            for here, below in reversed(list(pairwise(widths)))
        )
        head: list[nn.Module] = []
        width = widths[0]
        for _ in range(config.upscale.bit_length() - 1):
            head += [nn.Upsample(scale_factor=2), _block(width, width // 2)]
            width //= 2
        self.head = nn.Sequential(*head, nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, field: Tensor) -> Tensor:
        """Run; see the class."""
        height, width = field.shape[-2:]
        whole = 2**self.config.depth
        below, right = -height % whole, -width % whole
        # Replication, because reflection cannot pad a field smaller than what is missing.
        x = self.stem(F.pad(field, (0, right, 0, below), mode="replicate"))
        skips = [x]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.up:
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0), skips.pop()], 1))
        picture: Tensor = torch.sigmoid(self.head(x))
        return picture[..., : height * self.config.upscale, : width * self.config.upscale]


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        BatchNorm(outputs),
        nn.LeakyReLU(0.2, inplace=True),
    )
