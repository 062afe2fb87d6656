"""Variants of the recipe of `unfold`: small networks and losses on the unfolded field."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from invertdesc.descriptors import resolve_descriptor
from invertdesc.features.batch import FeatureBatch
from invertdesc.methods.network import network_input, preset
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.recipe import LossWeights, TrainConfig
from invertdesc.methods.registry import register_method
from invertdesc.methods.unfold import Unfold

OCTAVES = (4.0, 8.0)  # widths of cells in pixels that separate the keypoints of octaves


class Channels(Unfold):
    """`unfold` that sees some channels of the field."""

    seen: ClassVar[slice] = slice(None)
    signs: ClassVar[tuple[int, ...]] = (1, 1, -1, 1, 1)  # gx changes its sign in mirrored pictures

    def inputs(self, batch: FeatureBatch) -> tuple[Tensor, ...]:
        return (super().inputs(batch)[0][:, self.seen],)

    def mirror(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (field,) = inputs
        signs = torch.tensor(self.signs).to(field)[self.seen]
        return (field.flip(-1) * signs[:, None, None],)


class PictureAlone(Channels):
    name = "unfold, picture and coverage"
    seen = slice(0, 2)


class GradientsAlone(Channels):
    name = "unfold, gradients and coverage"
    seen = slice(1, 4)


class Octaves(Channels):
    """`unfold` that sees the field of all keypoints, and one field for each octave."""

    name = "unfold, octaves"
    signs = Channels.signs * (len(OCTAVES) + 2)

    def inputs(self, batch: FeatureBatch) -> tuple[Tensor, ...]:
        adapter = resolve_descriptor(self.descriptor or batch.descriptor)
        cells = adapter.unfolding.frame.sides(batch) / adapter.unfolding.grid
        octaves = torch.bucketize(cells, cells.new_tensor(OCTAVES))
        parts = [batch]
        for octave in range(len(OCTAVES) + 1):
            kept = octaves == octave
            each = [batch[image][kept[batch.images == image]] for image in range(len(batch))]
            parts.append(FeatureBatch.collate(each))
        modes = [provenance.gray_mode for provenance in batch.provenances]
        return (torch.cat([network_input(self.rasterizer(part), modes) for part in parts], 1),)


def unfold_variants() -> dict[str, TrainConfig]:
    base = replace(preset("unfold"), vgg_patch=96)
    sizes = {
        "width 16": UNetConfig(width=16),
        "width 32": UNetConfig(width=32),
        "depth 3": UNetConfig(depth=3),
        "depth 5": UNetConfig(depth=5),
        "stride 4": UNetConfig(upscale=4),
    }
    losses = {
        "l1": LossWeights(l1=1.0),
        "l2": LossWeights(l2=1.0),
        "l1, l2, ssim": LossWeights(l1=0.5, l2=2.0, ssim=0.2),
        "l1, ssim, perceptual": LossWeights(l1=1.0, ssim=0.2, perceptual=5.0),
    }
    for one in (PictureAlone, GradientsAlone, Octaves):
        register_method(one.name)(one)
    channels = {
        one.name.removeprefix("unfold, "): replace(
            base, method=one.name, network=UNetConfig(inputs=len(one.signs[one.seen]))
        )
        for one in (PictureAlone, GradientsAlone, Octaves)
    }
    return (
        {"width 24, depth 4, stride 2; l1, ssim": base}
        | {name: replace(base, network=network) for name, network in sizes.items()}
        | channels
        | {name: replace(base, losses=one) for name, one in losses.items()}
    )
