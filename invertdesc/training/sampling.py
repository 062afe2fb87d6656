"""Batches of a training run: which pictures, and what is done to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc.features import FeatureBatch, LocalFeatures
from invertdesc.training.data import FeatureData, drop_keypoints

if TYPE_CHECKING:
    from invertdesc.reconstructors._network import NetworkMethod
    from invertdesc.training.config import TrainConfig


@dataclass(frozen=True)
class Draw:
    """One picture of a batch.

    Attributes:
        picture: Its number.
        descriptor: Number of the descriptor that it is seen through.
        mirrored: Whether left and right change places.
        corner: (x, y) of the part that is taken, as shares of the room there is.
        keep: Share of keypoints that stay.
        seed: Of which ones.
    """

    picture: int
    descriptor: int
    mirrored: bool
    corner: tuple[float, float]
    keep: float
    seed: int


class Sampler:
    """Draw batches; every process draws all of a batch and makes its own part of it."""

    def __init__(
        self,
        config: TrainConfig,
        data: FeatureData,
        method: NetworkMethod,
        device: torch.device,
        part: slice = slice(None),
    ) -> None:
        self.config, self.data, self.method, self.device = config, data, method, device
        self.part = part
        self.generator = torch.Generator().manual_seed(config.seed)

    def batch(self) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the network's inputs and the truth (B, 3, H, W) of the next batch."""
        draws = [self._draw() for _ in range(self.config.batch)][self.part]
        groups: dict[tuple[int, bool], list[tuple[Tensor, LocalFeatures]]] = {}
        for draw in draws:
            # Where inputs do not mirror, the mirrored picture's own features are taken.
            later = draw.mirrored and self.method.mirrors
            item = self._make(draw, draw.mirrored and not later)
            groups.setdefault((draw.descriptor, later), []).append(item)
        parts, truths = [], []
        for (_, later), items in groups.items():
            batch = FeatureBatch.collate([features for _, features in items]).to(self.device)
            with torch.no_grad():
                inputs = self.method.inputs(batch)
            truth = torch.stack([picture for picture, _ in items])
            parts.append(self.method.mirror(inputs) if later else inputs)
            truths.append(truth.flip(-1) if later else truth)
        whole = (torch.cat(part) for part in zip(*parts, strict=True))
        inputs = tuple(x.contiguous(memory_format=torch.channels_last) for x in whole)
        return inputs, torch.cat(truths).to(self.device)

    def _draw(self) -> Draw:
        config = self.config
        drop, share, flip, x, y = torch.rand(5, generator=self.generator).tolist()
        return Draw(
            picture=self._integer(len(self.data.paths)),
            descriptor=self._integer(len(config.descriptors)),
            mirrored=flip < 0.5,
            corner=(x, y),
            keep=0.1 + 0.9 * share if drop < config.drop else 1.0,
            seed=self._integer(2**31),
        )

    def _make(self, draw: Draw, mirrored: bool) -> tuple[Tensor, LocalFeatures]:
        picture, features = self.data.item(draw.picture, draw.descriptor, mirrored)
        if self.config.patch is not None:
            side = self.config.patch
            x, y = (int(share * (self.config.crop - side + 1)) for share in draw.corner)
            picture = picture[:, y : y + side, x : x + side]
            features = features.crop((x, y, x + side, y + side))
        if draw.keep < 1:
            generator = torch.Generator().manual_seed(draw.seed)
            features = drop_keypoints(features, draw.keep, generator)
        return picture, features

    def _integer(self, below: int) -> int:
        return int(torch.randint(below, (), generator=self.generator))
