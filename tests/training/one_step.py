"""Take one step of training, under torchrun or alone, and save the gradients."""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from invertdesc.methods.network import network_method
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.networks.refiner import RefinedConfig, RefinerConfig
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.recipe import LossWeights, PatchGANConfig, TrainConfig
from invertdesc.training.data import FeatureData
from invertdesc.training.distributed import team
from invertdesc.training.run import Run

COMMON = TrainConfig(crop=64, batch=4, autocast=False, drop=0.5)
RECIPES = {
    "unfold": replace(
        COMMON,
        descriptors=("sift", "rootsift"),
        network=UNetConfig(width=4, depth=2),
    ),
    "coarse+cgan": replace(
        COMMON,
        method="coarse+cgan",
        # Without dropout, which is drawn in each process by itself.
        network=RefinedConfig(CoarseConfig(width=2), RefinerConfig(4, blocks=1, dropout=0.0)),
        losses=LossWeights(l2=1.0, adversarial=0.1),
        discriminator=PatchGANConfig(width=4),
        discriminator_steps=2,
    ),
}


def main(method: str, pictures: str, cache: str, out: str) -> None:
    torch.set_num_threads(1)
    config = RECIPES[method]
    with team("cpu") as members:
        torch.manual_seed(0)
        kind = network_method(method)
        network = kind.build(asdict(config.network))
        if hasattr(network, "refiner"):
            torch.nn.init.normal_(network.refiner.layers[-1].weight, std=0.02)
        made = kind(network=network)
        data = FeatureData(
            sorted(Path(pictures).iterdir()),
            config.descriptors,
            crop=64,
            cache=Path(cache),
            mirrored=not kind.mirrors,
        )
        run = Run(config, data, made, None, members)
        losses = run.advance()
        if members.rank == 0:
            modules = [run.network] + ([run.critic] if run.critic else [])
            gradients = [
                p.grad for module in modules for p in module.parameters() if p.grad is not None
            ]
            buffers = [b.float() for module in modules for b in module.buffers()]
            torch.save({"losses": losses, "gradients": gradients, "buffers": buffers}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
