"""Train variants of a recipe for the same number of steps, and measure each on other pictures.

    python benchmarks/ablations.py paper --data FACES --vgg16 FILE -o runs/ --steps 1200 python
    benchmarks/ablations.py unfold --data FACES --vgg16 FILE -o runs/ --steps 500

`paper` compares the variants of figures 4 to 6 of Wu et al. 2019; `unfold` compares small networks
and losses on the unfolded field. An interrupted run is resumed; a finished one is only measured
again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from invertdesc._files import atomic_write
from invertdesc.descriptors import resolve_descriptor
from invertdesc.evaluation.evaluate import evaluate, format_table
from invertdesc.evaluation.metrics import vgg_distance
from invertdesc.evaluation.vgg16 import load_vgg16
from invertdesc.features.batch import FeatureBatch
from invertdesc.methods.network import network_input, network_method, preset
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.networks.upconv import UpconvConfig
from invertdesc.methods.recipe import LossWeights, TrainConfig
from invertdesc.methods.registry import register_method
from invertdesc.methods.unfold import Unfold
from invertdesc.training.loop import train

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


def paper_variants(width: int = 24) -> dict[str, TrainConfig]:
    common = {"rate": 1e-3, "schedule": "cosine", "vgg_patch": 96}
    joint = replace(preset("coarse"), network=CoarseConfig(width=width), **common)
    return {
        "coarse": joint,
        "coarse, l2": replace(joint, losses=LossWeights(l2=1.0)),
        "coarse, d = 4 alone": replace(joint, network=CoarseConfig(width=width, cells=(4,))),
        "upconv": replace(preset("upconv"), network=UpconvConfig(width=width), **common),
    }


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("group", choices=["paper", "unfold"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vgg16", type=Path, required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--images", type=int, default=4000, help="Number of training images.")
    parser.add_argument("--held-out", type=int, default=200, help="Number of images to measure on.")
    parser.add_argument("--patch", type=int, help="Train on squares of this side.")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--only", action="append", help="Name of a variant. Repeatable.")
    options = parser.parse_args()

    paths = sorted(options.data.iterdir())
    held_out = paths[1 :: len(paths) // options.held_out][: options.held_out]
    rest = [path for path in paths if path not in set(held_out)]
    given = rest[:: max(1, len(rest) // options.images)][: options.images]
    variants = paper_variants() if options.group == "paper" else unfold_variants()
    distances = {"vgg": vgg_distance(load_vgg16(options.vgg16))}
    rows = []
    for name, recipe in variants.items():
        if options.only and name not in options.only:
            continue
        out = options.output / options.group / name.replace(" ", "-").replace(",", "")
        config = replace(
            recipe,
            steps=options.steps,
            patch=options.patch,
            vgg_patch=None if options.patch else recipe.vgg_patch,
            threads=options.threads,
        )
        weights = train(
            given,
            out,
            config,
            vgg16=options.vgg16,
            cache=options.cache or options.output / "cache",
            resume=True,
        )
        method = network_method(recipe.method)("sift", weights=weights)
        parameters = sum(p.numel() for p in method.network.parameters())
        (row,) = evaluate(held_out, method=method, data=name, floors=False, distances=distances)
        rows.append(row)
        with atomic_write(out / "result.json") as file:
            record = asdict(row) | {"steps": options.steps, "parameters": parameters}
            record["torch"] = torch.__version__
            file.write(json.dumps(record, indent=2).encode())
        print(format_table(rows), flush=True)


if __name__ == "__main__":
    main()
