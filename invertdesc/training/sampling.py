"""Draw batches of a training run: pictures and their augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
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
    """Keep a share of the keypoints as a draw says."""
    return features[kept_rows(features.keypoints, features.scores, draw)]


def kept_rows(keypoints: Tensor, scores: Tensor | None, draw: Draw) -> Tensor:
    """Return which keypoints a draw keeps, as int64 indices.

    A hole is a disc around a random keypoint. Without scores, `"strongest"` keeps random keypoints.

    Args:
        keypoints: (N, 2) of one picture.
        scores: (N,), or None.
        draw: The draw.
    """
    total = len(keypoints)
    count = max(1, round(draw.keep * total))
    generator = torch.Generator().manual_seed(draw.seed)
    if draw.part == "strongest" and scores is not None:
        best: Tensor = scores.argsort(descending=True, stable=True)[:count].sort().values
        return best
    if draw.part == "hole" and total:
        center = keypoints[int(torch.randint(total, (), generator=generator))]
        far = (keypoints - center).norm(dim=1).argsort(descending=True, stable=True)
        outside: Tensor = far[:count].sort().values
        return outside
    some: Tensor = torch.randperm(total, generator=generator)[:count]
    return some


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
        groups: dict[tuple[int, bool], list[Draw]] = {}
        for draw in draws:
            # If inputs cannot be mirrored, the features of the mirrored picture are used.
            other = draw.mirrored and not self.method.mirrors
            groups.setdefault((draw.descriptor, other), []).append(draw)
        made = [self._group(group) for group in groups.values()]
        *inputs, truth = (torch.cat(part) for part in zip(*made, strict=True))
        ordered = tuple(x.contiguous(memory_format=torch.channels_last) for x in inputs)
        return ordered, truth

    def _group(self, draws: Sequence[Draw]) -> tuple[Tensor, ...]:
        """Return inputs and truth of draws of one descriptor."""
        mirrored = [draw.mirrored for draw in draws]
        later = self.method.mirrors and any(mirrored)
        batch, truth = self._described(draws, mirrored[0] and not self.method.mirrors)
        batch, truth = batch.to(self.device), truth.to(self.device)
        with torch.no_grad():
            inputs = self.method.inputs(batch)
        if later:
            chosen = torch.tensor(mirrored).to(self.device, non_blocking=True)[:, None, None, None]
            pairs = zip(self.method.mirror(inputs), inputs, strict=True)
            inputs = tuple(torch.where(chosen, other, one) for other, one in pairs)
            truth = torch.where(chosen, truth.flip(-1), truth)
        whole = (*inputs, truth)
        if self.config.patch is None:
            return whole
        parts = [
            self._cut([x[number] for x in whole], draw.corner, self.config.patch)
            for number, draw in enumerate(draws)
        ]
        return tuple(torch.stack(part) for part in zip(*parts, strict=True))

    def _described(self, draws: Sequence[Draw], mirrored: bool) -> tuple[FeatureBatch, Tensor]:
        """Return the features of draws and the pictures, on the device of the data."""
        data = self.data
        if not data.in_memory:
            items = [self._make(draw, mirrored) for draw in draws]
            batch = FeatureBatch.collate([features for _, features in items])
            return batch, torch.stack([picture for picture, _ in items])
        numbers = [data.number(draw.picture, draw.variant) for draw in draws]
        table = data.tables[data.descriptors[draws[0].descriptor], mirrored]
        kept = [
            None if draw.keep == 1 else kept_rows(*table.places(number), draw)
            for number, draw in zip(numbers, draws, strict=True)
        ]
        return table.gather(numbers, kept), data.images(numbers, mirrored)

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

    def _cut(
        self, tensors: Sequence[Tensor], corner: tuple[float, float], side: int
    ) -> list[Tensor]:
        """Cut the same square from the inputs and the picture (C, h, w), each in its resolution.

        Inputs are computed from the whole picture, since the field of a part does not contain its
        brightness.
        """
        crop = self.config.crop
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
