"""Train variants of a recipe for equally many steps, and measure each on pictures kept out.

    python benchmarks/ablations.py seed --data FACES --vgg16 FILE -o runs/ --steps 1200
    python benchmarks/ablations.py unfold --data FACES --vgg16 FILE -o runs/ --steps 500

`seed` asks what the paper's figures 4 to 6 ask; `unfold` looks for the best small network and loss
on the unfolded field. A run that was stopped goes on; one that is done is only measured again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from invertdesc._atomic import atomic_write
from invertdesc.evaluation.evaluate import evaluate, format_table
from invertdesc.evaluation.metrics import vgg_distance
from invertdesc.reconstructors import create_method
from invertdesc.reconstructors.networks.coarse import CoarseConfig
from invertdesc.reconstructors.networks.unet import UNetConfig
from invertdesc.reconstructors.networks.upconv import UpconvConfig
from invertdesc.reconstructors.networks.vgg16 import load_vgg16
from invertdesc.training.config import LossWeights, TrainConfig, preset
from invertdesc.training.loop import train

L1_SSIM = LossWeights(l1=1.0, ssim=0.2)


def seed_variants(width: int = 24) -> dict[str, TrainConfig]:
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
    return (
        {"width 24, depth 4, stride 2; l1, ssim": base}
        | {name: replace(base, network=network) for name, network in sizes.items()}
        | {name: replace(base, losses=one) for name, one in losses.items()}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("group", choices=["seed", "unfold"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vgg16", type=Path, required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--images", type=int, default=4000, help="To train on.")
    parser.add_argument("--held-out", type=int, default=200, help="To measure on.")
    parser.add_argument("--patch", type=int, help="Train on squares of this side.")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--only", action="append", help="Name of a variant. Repeatable.")
    options = parser.parse_args()

    paths = sorted(options.data.iterdir())
    held_out = paths[1 :: len(paths) // options.held_out][: options.held_out]
    rest = [path for path in paths if path not in set(held_out)]
    given = rest[:: max(1, len(rest) // options.images)][: options.images]
    variants = seed_variants() if options.group == "seed" else unfold_variants()
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
        method = create_method(recipe.method, descriptor="sift", weights=weights)
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
