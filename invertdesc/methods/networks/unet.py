"""A small U-Net from the unfolded field to the picture."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc.methods.networks.norm import BatchNorm
from invertdesc.methods.networks.tiles import run_in_tiles

# Maximum number of samples of the field that are processed at once without gradients, in float32.
# The network of the package takes about 1.2 kB of memory per sample.
AT_ONCE = 3 * 2**18


@dataclass(frozen=True)
class UNetConfig:
    """Size of a `UNet`.

    Attributes:
        inputs: Number of channels of the field that it uses, the first ones; 4 of `network_input`
            are the field without the gray mode.
        width: Number of channels at full resolution; each lower level has twice as many, up to 8 x
            width.
        depth: Number of lower levels, each of half the resolution.
        upscale: Pixels of the picture per sample of the field: 1, 2 or 4.
    """

    inputs: int = 5
    width: int = 24
    depth: int = 4
    upscale: int = 2


class UNet(nn.Module):
    """Network from a field (B, C, h, w) to a picture (B, 3, upscale * h, upscale * w).

    The picture is in [0, 1]. The network is fully convolutional; any size is padded and cropped
    inside.

    >>> UNet(UNetConfig(width=4, depth=2))(torch.zeros(1, 5, 9, 13)).shape
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
        """Return the picture; see the class."""
        field = field[:, : self.config.inputs]
        samples = field.shape[-2] * field.shape[-1]
        most = AT_ONCE * 4 // _dtype(self.stem).itemsize
        if torch.is_grad_enabled() or self.training or len(field) * samples <= most:
            return self._run(field)
        run = self._run if samples <= most else partial(self._run_in_tiles, most=most)
        return torch.cat([run(part) for part in torch.split(field, max(1, most // samples))])

    def shorten(self, dtype: torch.dtype) -> None:
        """Compute in a shorter type of floats, but for the last convolution and what follows.

        Its result is rounded to the picture's values, so that its error would be seen most.
        """
        last = self.head[-1]
        kept = _dtype(last)
        self.to(dtype)
        last.to(kept)

    @property
    def reach(self) -> int:
        """Largest distance in samples at which the field has effect; a multiple of 2^depth."""
        blocks = sum(3 * 2**level for level in range(self.config.depth))  # down, or up
        return _up_to(2 * blocks + 3, self.config.depth)

    def _run_in_tiles(self, field: Tensor, most: int) -> Tensor:
        """Run on overlapping tiles, so that memory is proportional to the picture.

        A tile starts at a pixel of the deepest level, so the result is the same as in one run.
        """
        return run_in_tiles(
            lambda rows, columns: self._run(field[..., rows, columns]),
            (field.shape[-2], field.shape[-1]),
            reach=self.reach,
            step=2**self.config.depth,
            scale=self.config.upscale,
            most=most,
        )

    def _run(self, field: Tensor) -> Tensor:
        height, width = field.shape[-2:]
        whole = 2**self.config.depth
        below, right = -height % whole, -width % whole
        # Replication, because reflection cannot pad by more than the size of the field.
        field = F.pad(field, (0, right, 0, below), mode="replicate")
        x = self.stem(field.to(_dtype(self.stem)))
        skips = [x]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.up:
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0), skips.pop()], 1))
        x = self.head[:-1](x)
        last = self.head[-1]
        picture: Tensor = torch.sigmoid(last(x.to(_dtype(last))))
        return picture[..., : height * self.config.upscale, : width * self.config.upscale]


def _dtype(layer: nn.Module) -> torch.dtype:
    return next(layer.parameters()).dtype


def _up_to(length: int, depth: int) -> int:
    """Return the next multiple of 2^depth."""
    return -(-length // (1 << depth)) * (1 << depth)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        BatchNorm(outputs),
        nn.LeakyReLU(0.2, inplace=True),
    )
