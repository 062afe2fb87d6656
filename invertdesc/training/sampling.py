"""Draw batches of a training run: pictures and their augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.changes import count_of, keep_random, keep_strongest
from invertdesc.features.local import LocalFeatures
from invertdesc.training.data import FeatureData

if TYPE_CHECKING:
    from invertdesc.methods.network import NetworkMethod
    from invertdesc.methods.recipe import TrainConfig

PARTS = ("random", "strongest", "hole")


@dataclass(frozen=True)
class Draw:
    """One picture of a batch.

    Attributes:
        picture: Index of the picture.
        descriptor: Index of the descriptor.
        mirrored: Whether the picture is mirrored horizontally.
        corner: (x, y) of the random square, as shares of the possible range.
        keep: Share of keypoints to keep.
        seed: Random seed for the choice of keypoints.
        variant: Number of the changed copy of the picture, if pictures are changed.
        part: Which keypoints to keep: `"random"` ones, the `"strongest"`, or those outside of a
            `"hole"`.
    """

    picture: int
    descriptor: int
    mirrored: bool
    corner: tuple[float, float]
    keep: float
    seed: int
    variant: int = 0
    part: str = "random"


def keep_part(features: LocalFeatures, draw: Draw) -> LocalFeatures:
    """Keep a share of the keypoints as a draw says.

    A hole is a disc around a random keypoint. Without scores, `"strongest"` keeps random keypoints.
    """
    generator = torch.Generator().manual_seed(draw.seed)
    if draw.part == "strongest" and features.scores is not None:
        return keep_strongest(features, draw.keep)
    if draw.part == "hole" and len(features):
        center = features.keypoints[int(torch.randint(len(features), (), generator=generator))]
        far = (features.keypoints - center).norm(dim=1).argsort(descending=True, stable=True)
        return features[far[: count_of(features, draw.keep)].sort().values]
    return keep_random(features, draw.keep, generator, ordered=False)


class Sampler:
    """Draws batches; every process draws the whole batch and computes its own part."""

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
        groups: dict[tuple[int, bool], list[tuple[Draw, Tensor, LocalFeatures]]] = {}
        for draw in draws:
            # If inputs cannot be mirrored, the features of the mirrored picture are used.
            later = draw.mirrored and self.method.mirrors
            item = self._make(draw, draw.mirrored and not later)
            groups.setdefault((draw.descriptor, later), []).append((draw, *item))
        parts = []
        for (_, later), items in groups.items():
            batch = FeatureBatch.collate([features for _, _, features in items]).to(self.device)
            with torch.no_grad():
                inputs = self.method.inputs(batch)
            truth = torch.stack([picture for _, picture, _ in items]).to(self.device)
            if later:
                inputs, truth = self.method.mirror(inputs), truth.flip(-1)
            for number, (draw, *_) in enumerate(items):
                parts.append(self._cut([x[number] for x in (*inputs, truth)], draw.corner))
        *cut, truth = (torch.stack(part) for part in zip(*parts, strict=True))
        return tuple(x.contiguous(memory_format=torch.channels_last) for x in cut), truth

    def _draw(self) -> Draw:
        config = self.config
        drop, share, flip, x, y = torch.rand(5, generator=self.generator).tolist()
        draw = Draw(
            picture=self._integer(len(self.data.paths)),
            descriptor=self._integer(len(config.descriptors)),
            mirrored=flip < 0.5,
            corner=(x, y),
            keep=0.1 + 0.9 * share if drop < config.drop else 1.0,
            seed=self._integer(2**31),
        )
        if config.augmentation is None:
            return draw
        variant = self._integer(config.variants or 2**31)
        return replace(draw, variant=variant, part=PARTS[self._integer(len(PARTS))])

    def _make(self, draw: Draw, mirrored: bool) -> tuple[Tensor, LocalFeatures]:
        picture, features = self.data.item(draw.picture, draw.descriptor, mirrored, draw.variant)
        if draw.keep < 1:
            features = keep_part(features, draw)
        return picture, replace(features, scores=None)

    def _cut(self, tensors: Sequence[Tensor], corner: tuple[float, float]) -> list[Tensor]:
        """Cut the same square from the inputs and the picture (C, h, w), each in its resolution.

        Inputs are computed from the whole picture, since the field of a part does not contain its
        brightness.
        """
        side, crop = self.config.patch, self.config.crop
        if side is None:
            return list(tensors)
        strides = [-(-crop // x.shape[-1]) for x in tensors]
        if side % max(strides):
            raise InputError(f"Expected patch to be a multiple of {max(strides)}, got {side}.")
        left, top = (
            int(share * (crop - side + 1)) // max(strides) * max(strides) for share in corner
        )
        return [
            x[..., top // stride : (top + side) // stride, left // stride : (left + side) // stride]
            for x, stride in zip(tensors, strides, strict=True)
        ]

    def _integer(self, below: int) -> int:
        return int(torch.randint(below, (), generator=self.generator))
