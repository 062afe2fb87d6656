"""The network that guesses orientations and scales from vectors, places and neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc.unfolding.frames.inputs import HARMONICS, KNOWN, FrameInputs, harmonics

_WAVES = 9  # numbers that tell a distance


@dataclass(frozen=True)
class FrameConfig:
    """The size of a `FrameNetwork`, and the orientations and scales that it tells apart.

    Attributes:
        dim: D, the length of an encoded vector.
        width: Numbers that a keypoint's state has.
        message: Numbers of what a neighbour tells.
        hidden: Numbers between the two linear maps that merge a state with what was heard.
        rounds: Number of rounds of exchange between neighbours, each with weights of its own.
        turns: Bins of orientations, over a whole turn.
        scales: Bins of scales.
        smallest: Natural logarithm of the scale, in pixels, in the middle of the first bin.
        largest: The same of the last bin.
    """

    dim: int
    width: int = 128
    message: int = 64
    hidden: int = 160
    rounds: int = 3
    turns: int = 36
    scales: int = 20
    smallest: float = -0.2
    largest: float = 4.0


@dataclass(frozen=True, eq=False)
class Belief:
    """What the network thinks of M keypoints, after some rounds.

    Attributes:
        turns: (M, turns) scores of orientations, before softmax.
        scales: (M, scales) the same of scales.
    """

    turns: Tensor
    scales: Tensor


class Exchange(nn.Module):
    """One round: each keypoint hears its neighbours, and changes its state and what it believes.

    All angles in a message are relative to the direction in which the neighbour lies, and
    what is heard of the own orientation is turned back from there. So a turned picture gives
    messages that are turned, whatever the weights are.

    Args:
        config: Sizes.
    """

    def __init__(self, config: FrameConfig) -> None:
        super().__init__()
        width, message = config.width, config.message
        self.before = nn.LayerNorm(width)
        self.asked = nn.Linear(width, 2 * message)
        self.sent = nn.Linear(width, 2 * message)
        self.place = nn.Linear(4 * HARMONICS + _WAVES, message)
        self.out = nn.Linear(message, message + 2 * HARMONICS)
        self.merge = nn.Sequential(
            nn.Linear(width + 2 * message, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, width),
        )
        self.head = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, config.turns + config.scales)
        )

    def forward(
        self, states: Tensor, turns: Tensor, scales: Tensor, inputs: FrameInputs
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Exchange.

        Args:
            states: (M, width).
            turns: (M, 2, 12), means of the harmonics of what each believes of its orientation.
            scales: (M,), the mean of the logarithms of what each believes of its scale.
            inputs: Inputs of these keypoints.

        Returns:
            States (M, width); what was heard of the own orientation, (M, 2, 12) harmonics; scores
            (M, turns + scales) to add to what each believes.
        """
        ready, rows = self.before(states), inputs.neighbours
        asked, sent = self.asked(ready), F.embedding(rows % len(ready), self.sent(ready))
        away = inputs.distances
        near = F.embedding(rows % len(ready), torch.cat([turns.flatten(1), scales[:, None]], 1))
        theirs = near[..., :-1].reshape(*rows.shape, 2, HARMONICS)
        seen = torch.cat(
            [
                _turned(theirs, inputs.directions, -1).flatten(-2),
                _turned(turns[:, None], inputs.directions, -1).flatten(-2),
                _waves(away - 2, away - near[..., -1], away - scales[:, None]),
            ],
            -1,
        )
        (ask, own), (key, value) = asked[:, None].chunk(2, -1), sent.chunk(2, -1)
        heard = F.gelu(ask + key + self.place(seen)) * (own + value)
        message, angle = self.out(heard).split([value.shape[-1], 2 * HARMONICS], -1)
        there = (rows >= 0).to(message)
        count = there.sum(1).clamp(min=1)[:, None]
        message = message * there[..., None]
        angle = _turned(angle.reshape(*rows.shape, 2, HARMONICS), inputs.directions, 1)
        angle = (angle * there[..., None, None]).sum(1) / count[..., None] ** 0.5
        merged = self.merge(torch.cat([ready, message.sum(1) / count, message.amax(1)], 1))
        states = states + merged
        return states, angle, self.head(states)


class FrameNetwork(nn.Module):
    """Guess orientation and scale of each keypoint, as scores of bins.

    Args:
        config: Its size.

    >>> network = FrameNetwork(FrameConfig(dim=4, width=8, message=4, hidden=8, rounds=1))
    >>> from invertdesc.unfolding.frames.inputs import frame_inputs
    >>> beliefs = network(frame_inputs(torch.rand(3, 4), torch.rand(3, 2) * 9, (10, 10)))
    >>> [(tuple(one.turns.shape), tuple(one.scales.shape)) for one in beliefs]
    [((3, 36), (3, 20)), ((3, 36), (3, 20))]
    """

    def __init__(self, config: FrameConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.start = nn.Sequential(
            nn.Linear(config.dim + KNOWN + 1, width), nn.GELU(), nn.Linear(width, width)
        )
        self.head = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, config.turns + config.scales)
        )
        self.exchanges = nn.ModuleList(Exchange(config) for _ in range(config.rounds))

    def forward(self, inputs: FrameInputs) -> list[Belief]:
        """Return what is believed at first and after each round, the last being the best."""
        sizes = [self.config.turns, self.config.scales]
        states = self.start(torch.cat([inputs.vectors, inputs.known, inputs.scales[:, None]], 1))
        turns, scales = self.head(states).split(sizes, 1)
        found = [Belief(turns, scales)]
        waves = self._waves(turns)
        for exchange in self.exchanges:
            states, angle, more = exchange(states, *self._means(found[-1], waves, inputs), inputs)
            turns = turns + (angle.flatten(1) @ waves.T) + more[:, : sizes[0]]
            scales = scales + more[:, sizes[0] :]
            found.append(Belief(turns, scales))
        return found

    def _waves(self, like: Tensor) -> Tensor:
        """Return (turns, 24), the harmonics of each bin's middle."""
        bins = self.config.turns
        return harmonics((torch.arange(bins) + 0.5) * (2 * math.pi / bins)).flatten(1).to(like)

    def _means(self, belief: Belief, waves: Tensor, inputs: FrameInputs) -> tuple[Tensor, Tensor]:
        """Return the mean harmonics and the mean logarithm of scales, or those that are known."""
        turns = (belief.turns.softmax(1) @ waves).view(-1, 2, HARMONICS)
        logs = torch.linspace(self.config.smallest, self.config.largest, self.config.scales)
        scales = belief.scales.softmax(1) @ logs.to(turns)
        sized, turned = inputs.known[:, 3], inputs.known[:, 4]
        return (
            torch.where(turned[:, None, None] > 0, inputs.turns, turns),
            torch.where(sized > 0, inputs.scales, scales),
        )


def _turned(waves: Tensor, directions: Tensor, sign: int) -> Tensor:
    """Turn harmonics (..., 2, 12) by directions, or back where the sign is -1."""
    real, imaginary = waves.unbind(-2)
    cos, sin = directions.unbind(-2)
    sin = sign * sin
    return torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], -2)


def _waves(*logs: Tensor) -> Tensor:
    """Return three numbers for each logarithm of a distance, behind each other."""
    return torch.stack(
        [part for log in logs for part in (log, (2 * log).sin(), (2 * log).cos())], -1
    )
