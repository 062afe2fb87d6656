"""A plug-in for invertdesc: one descriptor and one method."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc import FeatureBatch, Frame, LocalFeatures, Method, Provenance, Unfolding
from invertdesc.image import GrayMode, to_gray


@dataclass(frozen=True, kw_only=True)
class PatchGradients:
    """Gradients towards right, left, down and up in 4 x 4 cells of 4 pixels, every 8 pixels."""

    gray: GrayMode = "gamma"

    name: ClassVar[str] = "patch-gradients"
    dim: ClassVar[int] = 64
    frame: ClassVar[Frame] = Frame(support=16.0, scaled=False, rotated=False)

    @cached_property
    def unfolding(self) -> Unfolding:
        return Unfolding.load(Path(__file__).with_name("unfolding.safetensors"))

    def extract(self, image: Tensor) -> LocalFeatures:
        gray = to_gray(image, self.gray)
        down, right = torch.gradient(gray)
        cells = F.avg_pool2d(torch.stack([right, -right, down, -down]).clamp(min=0), 4)
        blocks = cells.unfold(1, 4, 2).unfold(2, 4, 2)  # (4, ny, nx, 4, 4)
        rows, columns = blocks.shape[1:3]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        return LocalFeatures(
            keypoints=torch.stack([x, y], -1).view(-1, 2) * 8 + 7.5,
            descriptors=blocks.permute(1, 2, 3, 4, 0).reshape(-1, self.dim),
            image_size=(gray.shape[0], gray.shape[1]),
            descriptor=self.name,
            provenance=Provenance(self.gray, "invertdesc-example 0.1"),
        )

    def encode(self, raw: Tensor) -> Tensor:
        return F.normalize(raw.float(), dim=1)


class Dots(Method):
    """A white dot for each keypoint."""

    name: ClassVar[str] = "dots"

    def __init__(self, descriptor: object = None) -> None:
        super().__init__()

    def forward(self, batch: FeatureBatch) -> Tensor:
        height, width = batch.image_size
        x, y = batch.keypoints.round().long().unbind(1)
        picture = torch.zeros(len(batch), 3, height, width)
        picture[batch.images, :, y.clamp(0, height - 1), x.clamp(0, width - 1)] = 1.0
        return picture
