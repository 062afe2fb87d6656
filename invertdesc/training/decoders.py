"""Fit the network that corrects an unfolding's linear maps, to patches of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc._options import check_range
from invertdesc._progress import watch
from invertdesc.errors import InputError
from invertdesc.unfolding.decoder import Decoder
from invertdesc.unfolding.fit import patches_of
from invertdesc.unfolding.frame import Frame

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.local import LocalFeatures
    from invertdesc.unfolding.unfolding import Unfolding
SMALLEST = 1e-4  # added to the size of gradients, as for the linear map
WARM = 0.15  # share of the steps in which the rate rises


@dataclass(frozen=True)
class DecoderConfig:
    """Size and training of a decoder.

    Attributes:
        width: Numbers in each of the two hidden layers.
        epochs: How many times all patches are seen.
        batch: Patches in a step.
        rate: Largest learning rate of AdamW; it rises, then falls as a cosine.
        decay: Weight decay of AdamW.
        most: Patches to train with at most, drawn at random.
        seed: Seed of the patches that are drawn, the weights and the order.
    """

    width: int = 256
    epochs: int = 6
    batch: int = 1024
    rate: float = 2e-3
    decay: float = 0.02
    most: int = 100_000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("width", "epochs", "batch", "most"):
            check_range(name, getattr(self, name), 1)
        check_range("rate", self.rate, above=0)


@dataclass(frozen=True, eq=False)
class Samples:
    """Vectors, and what the pictures are around their keypoints in several frames.

    Attributes:
        vectors: (M, D) float32, encoded.
        gradients: For each frame (M, 2 * G * G) float16, scaled to a root mean square of 1.
        sizes: For each frame (M,) float32, the logarithm of the gradients' root mean square, with
            mean 0.
        pictures: (M,) int64, numbers of the pictures.
    """

    vectors: Tensor
    gradients: tuple[Tensor, ...]
    sizes: tuple[Tensor, ...]
    pictures: Tensor

    def targets(self, rows: Tensor) -> Tensor:
        """Return (R, frames * (2 * G * G + 1)) float32, what a network is to predict."""
        columns = []
        for gradients, sizes in zip(self.gradients, self.sizes, strict=True):
            columns += [gradients[rows].float(), sizes[rows, None]]
        return torch.cat(columns, 1)


def collect_samples(
    descriptor: Descriptor,
    described: Sequence[tuple[Tensor, LocalFeatures]],
    frames: Sequence[Frame],
    *,
    grid: int = 8,
    most: int = 100_000,
    seed: int = 0,
) -> Samples:
    """Look at pictures around the keypoints of their features, in several frames.

    Args:
        descriptor: Adapter; its `encode` is used.
        described: Pictures of shape (3, H, W), RGB in [0, 1], each with its features.
        frames: Squares to look at.
        grid: Number G of cells along their sides.
        most: Keypoints to take at most, drawn at random from all.
        seed: Seed of the draw.

    Raises:
        InputError: No image has a keypoint.
        MissingFieldError: The features have no scales or orientations, but a frame needs them.
    """
    draw = torch.Generator().manual_seed(seed)
    total = sum(len(features) for _, features in described)
    vectors, pictures = [], []
    gradients: list[list[Tensor]] = [[] for _ in frames]
    sizes: list[list[Tensor]] = [[] for _ in frames]
    for number, (image, features) in enumerate(described):
        some = features[torch.rand(len(features), generator=draw) < most / max(total, 1)]
        if not len(some):
            continue
        vectors.append(descriptor.encode(some.descriptors))
        pictures.append(torch.full((len(some),), number))
        for frame, ones, others in zip(frames, gradients, sizes, strict=True):
            (patches,) = patches_of(descriptor, [(image, some)], frame, grid)
            size = patches.targets.square().mean(1, keepdim=True).sqrt() + SMALLEST
            ones.append((patches.targets / size).half())
            others.append(size.log()[:, 0])
    if not vectors:
        raise InputError("Expected images with keypoints to fit a decoder to, found none.")
    logarithms = [torch.cat(one) for one in sizes]
    return Samples(
        vectors=torch.cat(vectors),
        gradients=tuple(torch.cat(one) for one in gradients),
        sizes=tuple(one - one.mean() for one in logarithms),
        pictures=torch.cat(pictures),
    )


def fit_decoders(
    samples: Samples, rows: Tensor, maps: Sequence[Unfolding], config: DecoderConfig
) -> tuple[Decoder, ...]:
    """Train one network for all frames to predict what their linear maps leave.

    Args:
        samples: Patches.
        rows: (R,), the patches to train with.
        maps: The linear map of each frame, with its contrast.
        config: Size and training.

    Returns:
        A decoder for each frame. Their hidden layers are the same.

    Raises:
        InputError: There are no rows, or a map has no contrast.
    """
    if not len(rows) or any(one.contrast is None for one in maps):
        raise InputError("Expected patches and linear maps with a contrast to fit a decoder to.")
    mean = maps[0].mean
    spread = float(samples.vectors.std(0).mean().clamp(min=1e-6))
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(config.seed)
        outputs = sum(one.matrix.shape[1] + 1 for one in maps)
        network = _network(len(mean), outputs, config.width)
        steps = config.epochs * -(-len(rows) // config.batch)
        optimizer = torch.optim.AdamW(network.parameters(), config.rate, weight_decay=config.decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.rate, max(steps, 2), pct_start=WARM
        )
        for some in watch(_batches(rows, config), "train the decoder", unit="step", total=steps):
            vectors = samples.vectors[some]
            left = samples.targets(some) - _linear(maps, vectors)
            loss = F.mse_loss(network((vectors - mean) / spread), left)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return _split(network, spread, len(samples.gradients))


def _linear(maps: Sequence[Unfolding], vectors: Tensor) -> Tensor:
    """Return what linear maps say of vectors, in the order of `Samples.targets`."""
    columns = []
    for one in maps:
        columns += [one.directions(vectors).flatten(1), one.sizes(vectors).log().flatten(1)]
    return torch.cat(columns, 1)


def _network(inputs: int, outputs: int, width: int) -> nn.Sequential:
    """Return a network whose answer is 0 at first."""
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), last
    )


def _batches(rows: Tensor, config: DecoderConfig) -> Iterable[Tensor]:
    for _ in range(config.epochs):
        yield from torch.split(rows[torch.randperm(len(rows))], config.batch)


def _split(network: nn.Sequential, spread: float, frames: int) -> tuple[Decoder, ...]:
    """Return a decoder for each frame, with its outputs of the last layer."""
    linear = [part for part in network if isinstance(part, nn.Linear)]
    *hidden, last = [(part.weight.detach().T, part.bias.detach()) for part in linear]
    outputs = zip(last[0].chunk(frames, 1), last[1].chunk(frames), strict=True)
    return tuple(
        Decoder(
            weights=(*(weight for weight, _ in hidden), matrix),
            biases=(*(bias for _, bias in hidden), bias),
            spread=spread,
        )
        for matrix, bias in outputs
    )
