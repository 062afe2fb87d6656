"""Frames and picture improved in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.unfolding.frames.guess import Guess, canonical_order, guess_frames
from invertdesc.unfolding.frames.improve import (
    Hypotheses,
    Weights,
    describe_at,
    gray_of,
    propose,
)
from invertdesc.unfolding.frames.network import FrameNetwork

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

# Fitted to hypotheses of 16 pictures for training: what speaks for the right one.
FIRST = Weights(gradient=7.2, vector=0.0, turn=0.27, scale=0.0)
SECOND = Weights(gradient=2.9, vector=11.0, turn=0.0, scale=0.0)
LEVELS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)  # of the guess of scales that are tried at first
DESCRIBED = 8  # hypotheses of each keypoint at which the picture is described
# A keypoint is looked at in a picture that it was left out of, else it finds its own mistake there.
# NCC without orientations and scales on 10 faces for training, after 3 rounds: 0.880 so, 0.842 not.
PARTS = 4
FEWEST = 4 * PARTS  # keypoints: with less, none is left out


def recover(
    network: FrameNetwork,
    adapter: Descriptor,
    features: LocalFeatures,
    paint: Callable[[FeatureBatch], Tensor],
    missing: Sequence[str],
    *,
    rounds: int = 4,
) -> LocalFeatures:
    """Return features with the orientations, the scales, or both, that they lack.

    Args:
        network: That guesses frames from vectors of the adapter's encoding.
        adapter: Adapter of the descriptor.
        features: Features of one image.
        paint: Reconstructs pictures (B, 3, H, W) of features with frames.
        missing: `"orientations"`, `"scales"`, or both.
        rounds: At most that many times a picture is made and looked at; fewer where the frames that
            are found fit no better than those before.
    """
    vectors = adapter.encode(features.descriptors)
    search = Search(adapter, guess_frames(network, features, vectors), frozenset(missing))
    best, least = search.guess.fill(features, missing), float("inf")
    if not len(features):
        return best
    order = canonical_order(features, vectors)
    for number in range(rounds):
        found, distance = search.look(best, _parts(order, number), paint, first=number == 0)
        if distance >= least:
            break
        best, least = found, distance
    return best


@dataclass(frozen=True, eq=False)
class Search:
    """What is sought of one image.

    Attributes:
        adapter: Adapter of the descriptor.
        guess: Guess of the network.
        missing: Fields that are sought.
    """

    adapter: Descriptor
    guess: Guess
    missing: frozenset[str]

    def look(
        self,
        best: LocalFeatures,
        parts: list[Tensor],
        paint: Callable[[FeatureBatch], Tensor],
        *,
        first: bool,
    ) -> tuple[LocalFeatures, float]:
        """Make pictures, and choose the frame of each keypoint anew.

        Args:
            best: With the frames that are thought of now.
            parts: Rows of keypoints; each part is looked at in a picture of all others.
            paint: Makes pictures.
            first: Whether frames are still those of the network alone.

        Returns:
            Features with the frames chosen, and 1 less the mean likeness of what they show.
        """
        turns, scales = (value.clone() for value in _frames(best))
        fit = 0.0
        for mine in parts:
            others = torch.ones(len(best), dtype=torch.bool)
            others[mine] = len(parts) == 1
            picture = paint(FeatureBatch.collate([best[others]]))[0]
            chosen = self._choose(best[mine], self.guess.pick(mine), picture, first=first)
            turns[mine], scales[mine] = chosen.turns[:, 0], chosen.scales[:, 0]
            fit += float(chosen.likeness.sum())
        return self._filled(best, turns, scales), 1 - fit / len(best)

    def _choose(
        self, best: LocalFeatures, guess: Guess, picture: Tensor, *, first: bool
    ) -> Hypotheses:
        """Return the frame (N, 1) for which most speaks, of keypoints in a picture."""
        gray = gray_of(best, picture)
        tried = propose(
            self.adapter,
            best,
            guess,
            gray,
            turning="orientations" in self.missing,
            scaling="scales" in self.missing,
            levels=LEVELS if first else None,
        )
        if not describes(self.adapter):
            return tried.pick(tried.support(FIRST).argmax(1, keepdim=True))
        few = min(DESCRIBED, tried.turns.shape[1])
        likely = tried.pick(tried.support(FIRST).topk(few, 1).indices)
        likely = describe_at(self.adapter, best, gray, likely)
        return likely.pick(likely.support(SECOND).argmax(1, keepdim=True))

    def _filled(self, best: LocalFeatures, turns: Tensor, scales: Tensor) -> LocalFeatures:
        found: dict[str, Any] = {"orientations": turns, "scales": scales}
        return replace(best, **{name: found[name] for name in self.missing})


def describes(adapter: Descriptor) -> bool:
    """Say whether an adapter can describe a picture in orientations that it is given."""
    return hasattr(adapter, "describe") and not getattr(adapter, "orients", False)


def _frames(features: LocalFeatures) -> Iterator[Tensor]:
    """Yield orientations and scales (N,), ones where the descriptor has none."""
    for value in (features.orientations, features.scales):
        yield torch.ones_like(features.keypoints[:, 0]) if value is None else value


def _parts(order: Tensor, number: int) -> list[Tensor]:
    """Deal rows out, differently in each round, whatever their order was."""
    if len(order) < FEWEST:
        return [order]
    drawn = torch.randperm(len(order), generator=torch.Generator().manual_seed(number))
    return [order[drawn[part::PARTS]] for part in range(PARTS)]
