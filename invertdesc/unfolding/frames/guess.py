"""Orientations and scales guessed by the network that ships for a descriptor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from invertdesc.features.local import LocalFeatures
from invertdesc.unfolding.frames.bins import peak_turns, scale_quantiles
from invertdesc.unfolding.frames.inputs import frame_inputs
from invertdesc.unfolding.frames.network import FrameConfig, FrameNetwork
from invertdesc.weights import FOLDER
from invertdesc.weights._files import build_network, read_network

METHOD = "frames"  # what the header of the weights says they are for
FIELDS = ("scales", "orientations")


@dataclass(frozen=True, eq=False)
class Guess:
    """What is thought of N keypoints before any picture is looked at.

    Attributes:
        turns: (N, turns) natural logarithms of the shares of each bin of orientations.
        scales: (N, bins) the same of scales.
        config: What the bins are.
    """

    turns: Tensor
    scales: Tensor
    config: FrameConfig

    def fill(self, features: LocalFeatures, names: Sequence[str]) -> LocalFeatures:
        """Return features with the likeliest orientations, the median scales, or both."""
        filled: dict[str, Any] = {}
        if "orientations" in names:
            filled["orientations"] = peak_turns(self.turns)[0][:, 0]
        if "scales" in names:
            filled["scales"] = scale_quantiles(self.scales, self.config, [0.5])[:, 0]
        return replace(features, **filled)

    def pick(self, rows: Tensor) -> Guess:
        """Return what is thought of some of the keypoints."""
        return Guess(self.turns[rows], self.scales[rows], self.config)


def load_frame_network(path: str | os.PathLike[str]) -> FrameNetwork:
    """Read the network of a .safetensors file, in evaluation mode.

    Raises:
        FileError: Missing, broken, or of something else.
    """
    trained, state = read_network(path, METHOD)
    network = build_network(
        lambda config: FrameNetwork(FrameConfig(**config)), trained.config, state, path
    )
    return network.eval()  # type: ignore[return-value]


@lru_cache
def shipped_frame_network(encoding: str) -> FrameNetwork | None:
    """Return the network that ships for vectors of an encoding, None where none does.

    >>> shipped_frame_network("brief") is None
    True
    """
    path = FOLDER / f"{METHOD}-{encoding}.safetensors"
    return load_frame_network(path) if path.is_file() else None


@torch.no_grad()
def guess_frames(network: FrameNetwork, features: LocalFeatures, vectors: Tensor) -> Guess:
    """Guess orientations and scales from vectors, places and what else is known.

    The result of a keypoint does not depend on the order of keypoints, nor on other images.

    Args:
        network: Network of the descriptor.
        features: Features of one image; orientations and scales that they have are used.
        vectors: (N, D) encoded.
    """
    order = canonical_order(features, vectors)
    known = {
        name: value[order] for name in FIELDS if (value := getattr(features, name)) is not None
    }
    inputs = frame_inputs(vectors[order], features.keypoints[order], features.image_size, **known)
    belief = network(inputs)[-1]
    turns, scales = belief.turns.log_softmax(1), belief.scales.log_softmax(1)
    back = order.argsort()
    return Guess(turns[back], scales[back], network.config)


def canonical_order(features: LocalFeatures, vectors: Tensor) -> Tensor:
    """Return the rows (N,) in an order that depends on what they hold alone."""
    x, y = features.keypoints.unbind(1)
    marks = vectors * torch.arange(1.0, vectors.shape[1] + 1, device=vectors.device).sqrt()
    keys: Sequence[Tensor] = (marks.sum(1), x, y)  # the last counts for most
    return torch.from_numpy(np.lexsort([key.cpu().numpy() for key in keys])).to(x.device)
