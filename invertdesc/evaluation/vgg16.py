"""The convolutions of VGG16, for perceptual and style losses."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc._files import existing_file
from invertdesc.errors import FileError, InputError

BLOCKS = (2, 2, 3, 3, 3)
LAYERS = tuple(f"conv{b + 1}_{n + 1}" for b, count in enumerate(BLOCKS) for n in range(count))
# Indices of the same convolutions in torchvision's `features`, which also count ReLUs and poolings.
_TORCHVISION = dict(zip(LAYERS, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True))


class VGG16(nn.Module):
    """Features of pictures (B, 3, H, W) in [0, 1] after a layer's ReLU, (B, C, h, w).

    Two kinds of weights are supported, each with the input that it was trained on: those of the
    Oxford group (BGR from 0 to 255, minus the means) and torchvision's (RGB, standardised).
    Features are divided by a constant that makes the loss weights of Wu et al. 2019 meaningful: on
    40 faces of 256 x 256 pixels, compared with the same faces blurred by 9 x 9 pixels, squared
    error is then 0.0017, perceptual loss 0.0040 and style loss 4.2, of which the paper takes 1e-4.

    Source: Simonyan, Zisserman, "Very deep convolutional networks", ICLR 2015, configuration D.
    """

    def __init__(self, state: dict[str, Tensor], layer: str = "conv3_3") -> None:
        """Set weights, with the names of either kind, up to and including a layer.

        Raises:
            InputError: There is no such layer.
            FileError: A weight is missing or has another shape.
        """
        super().__init__()
        if layer not in LAYERS:
            raise InputError(f"Expected a layer of VGG16, {', '.join(LAYERS)}; got {layer!r}.")
        self.layer = layer
        self.oxford = "conv1_1.weight" in state
        if self.oxford:
            mean, spread = (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)
            self.unit = 3500.0
        else:
            mean, spread = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            self.unit = 3500.0 / 255 / 0.226  # smaller by the ratio of the input ranges
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("spread", torch.tensor(spread)[:, None, None])
        self.convolutions = nn.ModuleList()
        inputs = 3
        for name in LAYERS[: LAYERS.index(layer) + 1]:
            outputs = 64 * min(2 ** (int(name[4]) - 1), 8)
            key = name if self.oxford else f"features.{_TORCHVISION[name]}"
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
            for part in ("weight", "bias"):
                given, own = state.get(f"{key}.{part}"), getattr(convolution, part)
                if given is None or given.shape != own.shape:
                    got = "none" if given is None else str(tuple(given.shape))
                    raise FileError(
                        f"Expected VGG16's {key}.{part} of shape {tuple(own.shape)}, got {got}."
                    )
                own.data.copy_(given)
            self.convolutions.append(convolution)
            inputs = outputs
        self.requires_grad_(False)
        self.eval()

    def forward(self, picture: Tensor) -> Tensor:
        """Return the features; gradients flow to the picture, not to the weights."""
        x = picture.flip(1) * 255 if self.oxford else picture
        x = (x - self.mean) / self.spread  # type: ignore[operator]
        for name, convolution in zip(LAYERS, self.convolutions, strict=False):
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, 2)
            x = F.relu(convolution(x), inplace=True)
        return x / self.unit


def load_vgg16(path: str | os.PathLike[str] | None = None, layer: str = "conv3_3") -> VGG16:
    """Read VGG16 from a file, or from the download folder of torchvision.

    Args:
        path: A .safetensors or .pth file with tensors named `conv1_1.weight`, ... (Oxford's
            weights) or `features.0.weight`, ... (torchvision's).
        layer: Last layer that is needed.

    Raises:
        FileError: There is no file, or it is not VGG16.
    """
    found = _downloaded() if path is None else Path(path)
    advice = (
        " Give a file, or once run torchvision.models.vgg16(weights='DEFAULT'); or train without "
        "perceptual and style loss, by l2 alone."
    )
    if found is None:
        error = FileError(f"Expected weights of VGG16, found none.{advice}")
        raise error.with_hint(vgg16="FILE")
    existing_file(found, "weights of VGG16", advice)
    try:
        if found.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(found)
        else:
            state = torch.load(found, map_location="cpu", weights_only=True)
        state = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    except Exception as error:  # either reader raises what broken bytes make it stumble over
        raise FileError(f"Expected weights of VGG16, got {found}: {error}") from error
    return VGG16(state, layer)


def _downloaded() -> Path | None:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = sorted(folder.glob("vgg16-*.pth")) if folder.is_dir() else []
    return next((file for file in files if re.fullmatch(r"vgg16-\w+\.pth", file.name)), None)
