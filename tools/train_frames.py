"""Train the networks that guess orientations and scales: what `frames-NAME.safetensors` holds.

    python tools/train_frames.py sift --faces FACES --photos PHOTOS --cache CACHE \
        -o frames-sift.safetensors

Features alone are seen in training, never a picture. Those of each picture are extracted once and
kept in the cache: the picture with `luma` gray, its mirror image with `gamma`.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from invertdesc import create_descriptor, read_image
from invertdesc.descriptors.base import encoding_of
from invertdesc.unfolding.frames.bins import (
    peak_turns,
    scale_quantiles,
    scale_targets,
    turn_targets,
)
from invertdesc.unfolding.frames.guess import load_frame_network
from invertdesc.unfolding.frames.inputs import FrameInputs, frame_inputs, pack_inputs
from invertdesc.unfolding.frames.network import FrameConfig, FrameNetwork
from invertdesc.weights._files import save_network

LEAST = 8  # keypoints of a picture that is learned from
HELD_OUT = 40  # pictures of each folder that are kept for the measure


@dataclass(frozen=True)
class Sample:
    """Features of a picture, small: vectors stay as emitted, in half precision or bytes."""

    vectors: Tensor  # (N, ...)
    keypoints: Tensor  # (N, 2)
    scales: Tensor  # (N,)
    orientations: Tensor  # (N,)
    image_size: tuple[int, int]


def collect(name: str, folder: Path, most: int, cache: Path) -> list[Sample]:
    """Return samples of pictures and of their mirror images, in turn, from the cache if it can."""
    kept = cache / f"{name}-{folder.parent.name}-{folder.name}-{most}.pt"
    if kept.is_file():
        return [Sample(*row) for row in torch.load(kept, weights_only=True)]
    files = sorted(folder.iterdir())
    files = [files[number * len(files) // most] for number in range(min(most, len(files)))]
    found = []
    for path in files:
        image = read_image(path)
        for gray, seen in (("luma", image), ("gamma", image.flip(2))):
            one = create_descriptor(name, gray=gray).extract(seen)
            vectors = one.descriptors
            if vectors.dtype != torch.uint8:
                vectors = (
                    vectors.byte() if vectors.numel() and vectors.max() > 1.5 else vectors.half()
                )
            found.append((vectors, one.keypoints, one.scales, one.orientations, one.image_size))
    cache.mkdir(parents=True, exist_ok=True)
    torch.save(found, kept)
    return [Sample(*row) for row in found]


@dataclass(frozen=True)
class Recipe:
    """How the network of a descriptor is trained.

    Attributes:
        steps: Updates, at most.
        minutes: After which the rate has fallen to 0, where that is not to go by steps.
        keypoints: At least that many a step, of whole pictures.
        rate: Highest learning rate of AdamW: it rises over the first twentieth, then falls along a
            cosine.
        seed: Random seed of weights and draws.
        start: File of a network, another descriptor's for one, whose weights are taken where they
            fit; None for none.
    """

    steps: int = 3000
    minutes: float | None = None
    keypoints: int = 1200
    rate: float = 1.5e-3
    seed: int = 0
    start: str | None = None


def draw_inputs(
    adapter: object, sample: Sample, draw: random.Random
) -> tuple[FrameInputs, Tensor, Tensor, bool, bool]:
    """Return what the network sees of a sample, the truth, and which of it is to be guessed."""
    count = len(sample.keypoints)
    rows = torch.arange(count)
    if draw.random() < 0.3:  # a part of the keypoints
        share = draw.uniform(0.2, 1)
        rows = rows[
            torch.rand(count, generator=torch.Generator().manual_seed(draw.randrange(2**31)))
            < share
        ]
        rows = rows if len(rows) >= LEAST else torch.arange(count)
    missing = draw.random()  # orientations alone, both, or scales alone
    scales, turns = sample.scales[rows], sample.orientations[rows]
    given = sample.vectors[rows]
    raw = given if getattr(adapter, "packed", False) else given.float()
    inputs = frame_inputs(
        adapter.encode(raw),
        sample.keypoints[rows],
        sample.image_size,
        scales=scales if missing < 0.4 else None,
        orientations=turns if missing > 0.85 else None,
        placed=draw.random() < 0.8,
    )
    return inputs, turns, scales, missing <= 0.85, missing >= 0.4


def loss_of(network: FrameNetwork, batch: Sequence[tuple]) -> Tensor:
    """Return the mean cross entropy of bins, of what is to be guessed, over all rounds."""
    beliefs = network(pack_inputs([one[0] for one in batch]))
    true_turns = turn_targets(torch.cat([one[1] for one in batch]), network.config)
    true_scales = scale_targets(torch.cat([one[2] for one in batch]), network.config)
    ask_turns, ask_scales = (
        torch.cat([torch.full_like(one[1], float(one[which])) for one in batch]) for which in (3, 4)
    )
    total = torch.zeros(())
    for weight, belief in zip((*[0.3] * (len(beliefs) - 1), 1.0), beliefs, strict=True):
        turning = -(belief.turns.log_softmax(1) * true_turns).sum(1)
        scaling = -(belief.scales.log_softmax(1) * true_scales).sum(1)
        total = total + weight * (turning * ask_turns + 0.7 * scaling * ask_scales).mean()
    return total


@torch.no_grad()
def measure(adapter: object, network: FrameNetwork, samples: Sequence[Sample]) -> dict[str, float]:
    """Return the share of orientations within 15 degrees, and the error of scales in octaves."""
    network.eval()
    found: dict[str, list[float]] = {"turns": [], "turns_of_none": [], "octaves_of_none": []}
    for one in samples:
        vectors = adapter.encode(
            one.vectors if getattr(adapter, "packed", False) else one.vectors.float()
        )
        for key, scales in (("turns", one.scales), ("turns_of_none", None)):
            inputs = frame_inputs(vectors, one.keypoints, one.image_size, scales=scales)
            belief = network(inputs)[-1]
            off = peak_turns(belief.turns)[0][:, 0] - one.orientations
            right = torch.atan2(off.sin(), off.cos()).abs() < math.radians(15)
            found[key].append(float(right.float().mean()))
        size = scale_quantiles(belief.scales, network.config, [0.5])[:, 0]
        octaves = (size / one.scales).log2().abs()
        found["octaves_of_none"].append(float(octaves.mean()))
    network.train()
    return {key: round(sum(values) / len(values), 4) for key, values in found.items()}


def train(
    name: str, config: FrameConfig, recipe: Recipe, folders: Sequence[list[Sample]], path: Path
) -> None:
    """Train a network and write it now and then."""
    torch.manual_seed(recipe.seed)
    draw, adapter = random.Random(recipe.seed), create_descriptor(name)
    network = FrameNetwork(config)
    if recipe.start is not None:
        own, other = network.state_dict(), load_frame_network(recipe.start).state_dict()
        network.load_state_dict(
            own | {key: value for key, value in other.items() if own[key].shape == value.shape}
        )
    step = max(2, len(folders[0]) // (2 * HELD_OUT)) * 2
    held = [one for folder in folders for one in folder[:: 2 * step]]
    held = [one for one in held if len(one.keypoints) >= LEAST]
    seen = [
        [
            one
            for number, one in enumerate(folder)
            if number % step > 1 and len(one.keypoints) >= LEAST
        ]
        for folder in folders
    ]
    optimizer = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=0.02)
    begun_with = None if recipe.start is None else Path(recipe.start).name
    begun, mean = time.monotonic(), 0.0
    for number in range(1, recipe.steps + 1):
        batch, count = [], 0
        while count < recipe.keypoints:
            one = draw.choice(draw.choice(seen))
            batch.append(draw_inputs(adapter, one, draw))
            count += len(batch[-1][1])
        spent = (time.monotonic() - begun) / 60
        done = number / recipe.steps if recipe.minutes is None else spent / recipe.minutes
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * min(20 * done, 0.5 + 0.5 * math.cos(math.pi * min(done, 1)))
        loss = loss_of(network, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        value = float(loss.detach())
        mean += (0.02 if number > 1 else 1.0) * (value - mean)
        if number % 50 == 0:
            print(f"{number} {mean:.3f} {time.monotonic() - begun:.0f} s", flush=True)
        ended = done >= 1 or number == recipe.steps
        if number % 100 == 0 or ended:
            found = measure(adapter, network, held) if ended else {}
            card = {
                "recipe": asdict(recipe)
                | {"steps": number, "of": recipe.steps, "start": begun_with},
                "pictures": [len(folder) // 2 for folder in seen],
                "held_out": found | {"pictures": len(held)},
                "minutes": round((time.monotonic() - begun) / 60, 1),
            }
            save_network(path, "frames", network, card, descriptor=encoding_of(adapter))
            print(f"{number}: {found}", flush=True)
        if ended:
            break


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("descriptor")
    parser.add_argument("--faces", type=Path, required=True, help="folder")
    parser.add_argument("--photos", type=Path, required=True, help="folder")
    parser.add_argument("--images", type=int, default=1540, help="of each folder (1540)")
    parser.add_argument("--cache", type=Path, required=True, help="folder for features")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--minutes", type=float, help="train that long, whatever the steps")
    parser.add_argument("--rate", type=float, default=Recipe.rate)
    parser.add_argument("--keypoints", type=int, default=Recipe.keypoints)
    parser.add_argument("--width", type=int, default=FrameConfig.width)
    parser.add_argument("--message", type=int, default=FrameConfig.message)
    parser.add_argument("--hidden", type=int, default=FrameConfig.hidden)
    parser.add_argument("--rounds", type=int, default=FrameConfig.rounds)
    parser.add_argument("--start", help="file of another network to begin with")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    folders = [
        collect(given.descriptor, folder, given.images, given.cache)
        for folder in (given.faces, given.photos)
    ]
    logs = torch.cat([one.scales for folder in folders for one in folder]).log()
    config = FrameConfig(
        dim=create_descriptor(given.descriptor).dim,
        width=given.width,
        message=given.message,
        hidden=given.hidden,
        rounds=given.rounds,
        smallest=round(float(logs.kthvalue(max(1, len(logs) // 1000)).values), 2),
        largest=round(float(logs.kthvalue(len(logs) - len(logs) // 500).values), 2),
    )
    recipe = Recipe(
        steps=given.steps,
        minutes=given.minutes,
        keypoints=given.keypoints,
        rate=given.rate,
        start=given.start,
    )
    train(given.descriptor, config, recipe, folders, given.output)


if __name__ == "__main__":
    main()
