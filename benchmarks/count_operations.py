"""Count the floating-point operations of training, and print the minutes that a GPU would take.

    python benchmarks/count_operations.py --rate 806 --share 0.18

Operations are those of convolutions and matrix products, a multiplication and an addition each; a
backward pass counts twice the forward one, and once where only the gradient of the input is needed.
Times follow from the rate of a large matrix product and the share of it that training reaches.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from invertdesc.evaluation.vgg16 import LAYERS, VGG16
from invertdesc.methods.network import network_method, preset
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.networks.refiner import RefinedConfig
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.networks.upconv import UpconvConfig
from invertdesc.methods.recipe import LossWeights, TrainConfig
from invertdesc.training.patchgan import PatchGAN

EPOCH = 8000  # pictures


@dataclass(frozen=True)
class Part:
    """A training whose length is known: its recipe, and the epochs of 8,000 pictures."""

    title: str
    config: TrainConfig
    epochs: float


def operations(config: TrainConfig) -> float:
    """Return the operations of training per picture of the batch.

    Args:
        config: Recipe whose network has a config.
    """
    side = config.patch or config.crop
    network = config.network
    refiner = isinstance(network, RefinedConfig)
    with torch.device("meta"):
        made = network_method(config.method).build(asdict(network))
    inputs = [_zeros(*shape) for shape in _inputs(network.base if refiner else network, side)]
    forward = _forward(made, *inputs)
    total = 3 * forward
    if config.losses.vgg:
        seen = config.vgg_patch or side
        total += 3 * _forward(_vgg(config.vgg_layer), _zeros(3, seen))  # made, true, gradient
    if config.losses.adversarial > 0:
        with torch.device("meta"):
            critic = PatchGAN(config.discriminator)
        once = _forward(critic, _zeros(3, side), _zeros(3, side))
        updates = config.discriminator_steps
        # Each update sees real and made pictures; those after the first make new ones.
        total += updates * 6 * once + (updates - 1) * forward + 2 * once
    return float(total)


def _inputs(network: Any, side: int) -> list[tuple[int, int]]:
    if isinstance(network, UNetConfig):
        return [(network.inputs, side // network.upscale)]
    cells = network.cells if isinstance(network, CoarseConfig) else (network.cell,)
    return [(network.inputs, side // cell) for cell in cells]


def _zeros(channels: int, side: int) -> torch.Tensor:
    return torch.zeros(2, channels, side, side, device="meta")  # batch norms need two


def _forward(module: nn.Module, *inputs: torch.Tensor) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops() / 2


def _vgg(layer: str) -> VGG16:
    state, inputs = {}, 3
    for name in LAYERS[: LAYERS.index(layer) + 1]:
        outputs = 64 * min(2 ** (int(name[4]) - 1), 8)
        state[f"{name}.weight"] = torch.zeros(outputs, inputs, 3, 3)
        state[f"{name}.bias"] = torch.zeros(outputs)
        inputs = outputs
    return VGG16(state, layer).to("meta")


def parts() -> list[Part]:
    """Return the trainings of the paper and of the package."""
    joint, gan = preset("coarse"), preset("coarse+cgan")
    squared = replace(joint, losses=LossWeights(l2=1.0))
    return [
        Part("R, joint loss (the paper's first stage)", joint, 200),
        Part("R, joint loss, width 30", replace(joint, network=CoarseConfig(width=30)), 200),
        Part("R, G, D end to end (the paper's second stage)", gan, 200),
        Part("R, squared error (figure 4)", squared, 30),
        Part("R, 4 x 4 alone (figure 6)", replace(joint, network=CoarseConfig(cells=(4,))), 30),
        Part("up-convolutional network", replace(preset("upconv"), network=UpconvConfig()), 200),
        Part("U-Net of unfold", preset("unfold"), 50),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=806, help="TFLOP/s of a matrix product.")
    parser.add_argument("--share", type=float, default=0.18, help="Share that training reaches.")
    options = parser.parse_args()
    print("| training | GFLOP a picture | epochs of 8,000 | EFLOP | minutes |")
    print("| --- | --- | --- | --- | --- |")
    for part in parts():
        each = operations(part.config)
        total = each * part.epochs * EPOCH
        minutes = total / (options.rate * 1e12 * options.share) / 60
        cells = f"{each / 1e9:.1f} | {part.epochs} | {total / 1e18:.3f} | {minutes:.1f}"
        print(f"| {part.title} | {cells} |")


if __name__ == "__main__":
    main()
