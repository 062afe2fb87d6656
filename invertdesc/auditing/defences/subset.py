"""Descriptors replaced by sets of words of a public dictionary, and ways to guess them back."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from invertdesc.auditing.surroundings import Surroundings
from invertdesc.descriptors.describing import can_describe, describe_gray
from invertdesc.errors import NotApplicableError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.bits import to_values
from invertdesc.features.changes import with_values
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_gray
from invertdesc.methods.poisson import Poisson

AT_ONCE = 256  # vectors whose words are drawn together, to bound the memory
LOOKS = 2  # times that a reconstruction is described, to choose among words


class Words(NamedTuple):
    """All that is stored of N vectors.

    Attributes:
        dictionary: (K, D), words that everybody knows.
        rows: (N, m) int64, ascending, m different words for each vector.
    """

    dictionary: Tensor
    rows: Tensor

    @property
    def candidates(self) -> Tensor:
        """(N, m, D)."""
        return self.dictionary[self.rows]


def set_size(count: int, epsilon: float) -> int:
    """Return how many of K words a set has: as many as tell most for an epsilon.

    >>> set_size(10_000, 8.0)
    3

    Source: Ye, Barg, "Optimal schemes for discrete distribution estimation under locally
    differential privacy", IEEE Transactions on Information Theory 2018, section III.
    """
    return max(1, round(count / (1 + math.exp(min(epsilon, 700.0)))))


def chance_of(count: int, size: int, epsilon: float) -> float:
    """Return how likely the right one of K words is among the m of its set.

    >>> round(chance_of(10_000, 3, 8.0), 3)
    0.472
    """
    weight = size * math.exp(min(epsilon, 700.0))
    return weight / (weight + count - size)


def draw_sets(true: Tensor, count: int, epsilon: float, generator: torch.Generator) -> Tensor:
    """Draw a set of words for each of some right words.

    All sets with the right word are equally likely, and so are all without it; the former are
    exp(epsilon) times as likely as the latter, so that a set is epsilon-private.

    Args:
        true: (N,) int64, the right word of each vector.
        count: K, the number of words.
        epsilon: The privacy of each.
        generator: Random generator.

    Returns:
        (N, m) int64, ascending, so that the order tells nothing.

    Source: Pittaluga, Zhuang, "LDP-Feat: image features with local differential privacy", ICCV
    2023, section 4, for descriptors; Wang et al., "Mutual information optimally local private
    discrete distribution estimation", 2016, for the mechanism.
    """
    size = set_size(count, epsilon)
    found = [true.new_zeros(0, size)]
    for part in torch.split(true, AT_ONCE):
        # The m smallest draws of each row; the right word's is the smallest or the largest.
        draws = torch.rand(len(part), count, generator=generator)
        kept = torch.rand(len(part), generator=generator) < chance_of(count, size, epsilon)
        draws[torch.arange(len(part)), part] = torch.where(kept, -1.0, 2.0)
        found.append(draws.topk(size, 1, largest=False).indices.sort(1).values)
    return torch.cat(found)


def replace_by_words(features: LocalFeatures, epsilon: float, around: Surroundings) -> Words:
    """Return what is stored of features: sets that may have the word nearest to each vector."""
    dictionary = to_values(around.typical.dictionary)
    values = to_values(features.descriptors)
    parts = [torch.cdist(one, dictionary).argmin(1) for one in torch.split(values, AT_ONCE)]
    nearest = torch.cat([torch.zeros(0, dtype=torch.int64), *parts])
    return Words(dictionary, draw_sets(nearest, len(dictionary), epsilon, around.generator))


def read_first(features: LocalFeatures, epsilon: float, around: Surroundings) -> LocalFeatures:
    """Take any word of each set as the vector."""
    words = replace_by_words(features, epsilon, around)
    pick = torch.randint(words.rows.shape[1], (len(features),), generator=around.generator)
    return with_values(features, words.candidates[torch.arange(len(features)), pick])


def read_mean(features: LocalFeatures, epsilon: float, around: Surroundings) -> LocalFeatures:
    """Take the mean of all words, each as likely as it is after its set was seen."""
    words = replace_by_words(features, epsilon, around)
    size, count = words.rows.shape[1], len(words.dictionary)
    chance = chance_of(count, size, epsilon)
    inside = words.candidates.sum(1)
    outside = (words.dictionary.sum(0) - inside) / max(count - size, 1)
    return with_values(features, chance * inside / size + (1 - chance) * outside)


def read_fitting(features: LocalFeatures, epsilon: float, around: Surroundings) -> LocalFeatures:
    """Take those words of each set that fit to a picture of all others.

    A picture is made of the means, and described at the keypoints. Words count the more, the nearer
    they are to what is described; then once more.

    Raises:
        NotApplicableError: The descriptor cannot be computed at given keypoints.
    """
    adapter = around.adapter
    if not can_describe(adapter):
        raise NotApplicableError(
            f"Pictures cannot be described by {adapter.name!r} at given keypoints."
        )
    state = around.generator.get_state()
    best = read_mean(features, epsilon, around)
    around.generator.set_state(state)
    words = replace_by_words(features, epsilon, around)
    poisson = Poisson(adapter)
    for _ in range(LOOKS):
        picture = poisson(FeatureBatch.collate([best]))[0]
        gray = to_gray(picture, features.provenance.gray_mode)
        seen = describe_gray(adapter, gray, best)
        away = words.candidates[seen.rows] - to_values(seen.features.descriptors)[:, None]
        square = away.square().sum(2)
        share = (-square / square.amin(1).mean().clamp(min=1e-12)).softmax(1)
        values = to_values(best.descriptors)
        values[seen.rows] = (share[..., None] * words.candidates[seen.rows]).sum(1)
        best = with_values(best, values)
    return best


def far_from_words(
    features: LocalFeatures, query: LocalFeatures, epsilon: float, around: Surroundings
) -> Tensor:
    """Return (N, M), how far each of M vectors is from the nearest word of each set."""
    words = replace_by_words(features, epsilon, around)
    away = torch.cdist(words.dictionary, to_values(query.descriptors))  # (K, M)
    found = [away.new_zeros(0, len(query))]
    found += [away[rows].amin(1) for rows in torch.split(words.rows, AT_ONCE)]
    return torch.cat(found)
