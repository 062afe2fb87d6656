"""Find out why a discriminator wins, or does not: one GAN trained in several ways, equally long.

    python benchmarks/gan_balance.py --data FACES --vgg16 FILE --start coarse-sift.safetensors \
        --steps 200 -o runs/balance

The table has D's loss and the share of its correct answers over the last steps (0.69 and 0.5 if it
only guesses), the root mean square of two gradients at G's picture (that of the adversarial loss
and that of all others, both with their weights), and the distance of G's pictures of held-out
images from the true ones. The row "R alone" is G's input.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._files import atomic_write
from invertdesc.evaluation.metrics import ncc, psnr, vgg_distance
from invertdesc.evaluation.vgg16 import load_vgg16
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import to_gray
from invertdesc.methods.network import NetworkMethod, preset
from invertdesc.methods.networks.refiner import RefinerConfig
from invertdesc.methods.recipe import CGAN, PatchGANConfig, TrainConfig
from invertdesc.training import losses as loss
from invertdesc.training.data import FeatureData
from invertdesc.training.distributed import Team
from invertdesc.training.loop import make_method
from invertdesc.training.run import Run

LAST = 30  # steps that figures of D are means of


@dataclass(frozen=True)
class Way:
    """One way of training.

    Attributes:
        changes: Options of the recipe that differ from those of the paper.
        same_batch: Whether all updates of D in a step are on the step's own batch.
        real: What D should answer for real pictures; less than 1 is one-sided label smoothing.
        alone: Share of the time that G is trained without D first.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    same_batch: bool = False
    real: float = 1.0
    alone: float = 0.0


def weighted(**weights: float) -> dict[str, Any]:
    return {"losses": replace(CGAN, **weights)}


WAYS = {
    "without D": Way(weighted(adversarial=0.0)),
    "paper: 5 updates of D, weight 1": Way(),
    "5 updates on one batch": Way(same_batch=True),
    "1 update of D": Way({"discriminator_steps": 1}),
    "labels smoothed to 0.9": Way(real=0.9),
    "G alone for half of the time": Way(alone=0.5),
    "weight 0.1": Way(weighted(adversarial=0.1)),
    "weight 0.1, 1 update of D": Way(weighted(adversarial=0.1) | {"discriminator_steps": 1}),
    "weight 0.01": Way(weighted(adversarial=0.01)),
}


class Balanced(Run):
    """A run that notes D's answers and the gradients at G's picture."""

    way = Way()
    notes: list[dict[str, float]]

    def _train_critic(self, coarse: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        if not self.way.same_batch:
            return super()._train_critic(coarse, real, fake)
        whole, self.config = self.config, replace(self.config, discriminator_steps=1)
        for _ in range(whole.discriminator_steps):
            value = super()._train_critic(coarse, real, fake)
        self.config = whole
        return value

    def _losses(self, made: Tensor, truth: Tensor, coarse: Tensor | None) -> dict[str, Tensor]:
        parts = super()._losses(made, truth, coarse)
        weights = self.config.losses
        terms = {name: getattr(weights, name) * value for name, value in parts.items()}
        judged = terms.pop("adversarial", None)
        others = torch.autograd.grad(
            torch.stack(list(terms.values())).sum(), made, retain_graph=True
        )
        note = {"others": _size(others[0])}
        if judged is not None and self.critic is not None and coarse is not None:
            note["adversarial"] = _size(torch.autograd.grad(judged, made, retain_graph=True)[0])
            with torch.no_grad():
                answers = self.critic(coarse, truth, made)
            note["correct"] = float(torch.cat([answers[0] > 0, answers[1] < 0]).float().mean())
        self.notes.append(note)
        return parts


def _size(gradient: Tensor) -> float:
    return float(gradient.square().mean().sqrt())


@contextmanager
def smoothed(real: float):
    """Train D to answer `real` for real pictures inside the block."""
    usual = loss.discrimination

    def discrimination(yes: Tensor, no: Tensor) -> Tensor:
        wanted = torch.full_like(yes, real)
        return (F.binary_cross_entropy_with_logits(yes, wanted) + F.softplus(no).mean()) / 2

    loss.discrimination = discrimination
    try:
        yield
    finally:
        loss.discrimination = usual


def trained(
    way: Way, config: TrainConfig, data: FeatureData, options: argparse.Namespace
) -> tuple[Balanced, int]:
    """Train in one way for the steps or minutes given; return the run and its steps."""
    torch.manual_seed(0)
    method, config = make_method(replace(config, **way.changes), options.start)
    vgg = load_vgg16(options.vgg16)
    data.move(torch.device(options.device))
    run = Balanced(config, data, method, vgg, Team(torch.device(options.device)))
    run.way, run.notes = way, []
    start, critic = time.monotonic(), run.critic

    def done() -> float:
        if options.steps is not None:
            return run.step / options.steps
        return (time.monotonic() - start) / (60 * options.minutes)

    with smoothed(way.real):
        while (share := done()) < 1:
            run.critic = None if share < way.alone else critic
            run.advance()
    run.critic = critic
    run.settle()
    run.network.cpu()
    return run, run.step


def measured(
    method: Callable[[FeatureBatch], Tensor], data: FeatureData, distance: Callable[..., Tensor]
) -> dict[str, float]:
    """Return the mean NCC, PSNR and VGG distance over pictures."""
    rows = []
    for number in range(len(data.paths)):
        truth, features = data.item(number)
        with torch.no_grad():
            made = method(FeatureBatch.collate([replace(features, scores=None)]))[0]
        gray = [to_gray(one, "gamma") for one in (made, truth)]
        rows.append([float(one) for one in (ncc(*gray), psnr(made, truth), distance(made, truth))])
    means = torch.tensor(rows).mean(0).tolist()
    return dict(zip(("ncc", "psnr", "vgg"), means, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vgg16", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True, help="Weights of `coarse`.")
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=2.5, help="Time for each way.")
    parser.add_argument("--steps", type=int, help="Steps of each way, in place of minutes.")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--held-out", type=int, default=24)
    parser.add_argument("--only", action="append", help="Name of a way. Repeatable.")
    parser.add_argument("--patch", type=int, help="Train on squares of this side.")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width", type=int, default=16, help="Channels of G and D.")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()

    config = replace(
        preset("coarse+cgan"),
        patch=options.patch,
        batch=options.batch,
        rate=2e-4,
        warmup=20,
        discriminator=PatchGANConfig(width=options.width),
    )
    refiner = RefinerConfig(width=options.width)
    config = replace(config, network=replace(config.network, refiner=refiner))
    paths = sorted(options.data.iterdir())
    some = paths[:: len(paths) // (options.images + options.held_out)]
    cache = options.cache or options.output / "cache"
    load = {"crop": 256, "cache": cache, "workers": options.workers}
    shown = FeatureData(some[: options.held_out], ["sift"], **load)
    data = FeatureData(some[options.held_out :], ["sift"], mirrored=True, **load)
    distance = vgg_distance(load_vgg16(options.vgg16))
    start: NetworkMethod = make_method(preset("coarse"), options.start)[0]
    found = {"R alone": measured(start.eval(), shown, distance)}
    for name, way in WAYS.items():
        if options.only and name not in options.only:
            continue
        run, steps = trained(way, config, data, options)
        row = measured(run.method.eval(), shown, distance) | {"steps": steps}
        last = [note for note in run.notes if "correct" in note][-LAST:]
        for key in ("correct", "adversarial", "others"):
            row[key] = sum(note[key] for note in last) / max(1, len(last))
        found[name] = row
        print(name, {key: round(value, 6) for key, value in row.items()}, flush=True)
        with atomic_write(options.output / "balance.json") as file:
            file.write(json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
