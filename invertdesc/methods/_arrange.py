"""Arrange visual words by their usual places and their usual neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Placement:
    """The quality of an arrangement.

    Attributes:
        words: Share of places with the correct word.
        neighbours: Share of pairs of neighbours (one word to the right of or below another) that
            also occur in the original, at any place.
    """

    words: float
    neighbours: float


def score_arrangement(truth: Tensor, found: Tensor) -> Placement:
    """Compare an arrangement of words with the original.

    Args:
        truth: (ny, nx) int64, the words of the original.
        found: (ny, nx) int64, the same words in another order.

    >>> truth = torch.tensor([[0, 1], [2, 3]])
    >>> score_arrangement(truth, torch.tensor([[0, 1], [3, 2]]))
    Placement(words=0.5, neighbours=0.25)

    Source: Kato, Harada, "Image reconstruction from bag-of-visual-words", CVPR 2014, for the two.
    """
    count = int(torch.maximum(truth.max(), found.max())) + 1 if truth.numel() else 0
    shared = total = 0
    for one, other in zip(pairs_of(truth), pairs_of(found), strict=True):
        counts = [torch.bincount(a * count + b, minlength=count**2) for a, b in (one, other)]
        shared += int(torch.minimum(*counts).sum())
        total += len(one[0])
    right = (truth == found).double().mean()
    return Placement(float(right) if truth.numel() else 1.0, shared / total if total else 1.0)


def pairs_of(words: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the words (P,) of all pairs: left and right, then upper and lower."""
    beside = words[:, :-1].flatten(), words[:, 1:].flatten()
    return beside, (words[:-1].flatten(), words[1:].flatten())


def start_arrangement(words: Tensor, places: Tensor) -> Tensor:
    """Assign a word to each place with the smallest total cost.

    Args:
        words: (n,) int64, the words of the bag.
        places: (K, n), cost of a word at a place.

    Returns:
        (n,) int64, the word at each place.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(places[words].numpy())
    arranged = torch.empty_like(words)
    arranged[torch.from_numpy(columns)] = words[torch.from_numpy(rows)]
    return arranged


def improve_arrangement(words: Tensor, places: Tensor, beside: Tensor, rounds: int = 500) -> Tensor:
    """Swap words as long as this lowers the cost.

    Each round considers all pairs of places, and makes the best swaps that do not touch each other,
    so their gains are independent. It ends when no swap lowers the cost.

    Args:
        words: (ny, nx) int64, the words at their first places.
        places: (K, ny * nx) float64, cost of a word at a place.
        beside: (2, K, K) float64, cost of a word with another one on its right, and below it.
        rounds: Maximum number of rounds.

    Returns:
        (ny, nx) int64.
    """
    shape = words.shape
    near = _neighbours(*shape)
    for _ in range(rounds):
        gains = _swaps(words, places, beside)
        best = _apart(gains, near)
        if not best:
            break
        flat = words.flatten().clone()  # do not change the argument
        for one, other in best:
            flat[[one, other]] = flat[[other, one]]
        words = flat.view(shape)
    return words


def cost_of(words: Tensor, places: Tensor, beside: Tensor) -> float:
    """Return the cost of an arrangement.

    Args:
        words: (ny, nx) int64.
        places: (K, ny * nx) float64, cost of a word at a place.
        beside: (2, K, K) float64, cost of a word with another one on its right, and below it.

    >>> words = torch.tensor([[0, 1]])
    >>> cost_of(words, torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.full((2, 2, 2), 0.5))
    5.5
    """
    own = places.gather(0, words.flatten()[None]).sum()
    pairs = zip(beside.unbind(), pairs_of(words), strict=True)
    return float(own + sum(cost[one, other].sum() for cost, (one, other) in pairs))


def _swaps(words: Tensor, places: Tensor, beside: Tensor) -> Tensor:
    """Return (n, n), the change of the cost when the words of two places are swapped."""
    flat = words.flatten()
    costs = _costs_here(words, places, beside)[:, flat]  # at place p with the word of place q
    own = costs.diagonal()
    change = costs + costs.T - own[:, None] - own
    number = torch.arange(len(flat)).view(words.shape)
    for cost, (first, second) in zip(beside.unbind(), pairs_of(number), strict=True):
        # Correction for neighbours: the sums above count each with a copy of itself as neighbour.
        a, b = flat[first], flat[second]
        mend = cost[b, a] + cost[a, b] - cost[a, a] - cost[b, b]
        change[first, second] += mend
        change[second, first] += mend
    return change


def _costs_here(words: Tensor, places: Tensor, beside: Tensor) -> Tensor:
    """Return (n, K), the cost of each word at each place, with the present neighbours."""
    costs = places.T.reshape(*words.shape, -1).clone()
    right, below = beside
    costs[:, :-1] += right.T[words[:, 1:]]
    costs[:, 1:] += right[words[:, :-1]]
    costs[:-1] += below.T[words[1:]]
    costs[1:] += below[words[:-1]]
    return costs.flatten(0, 1)


def _apart(change: Tensor, near: list[list[int]]) -> list[tuple[int, int]]:
    """Return the best swaps that do not touch each other."""
    ahead = torch.ones_like(change, dtype=torch.bool).triu(1)
    rows, columns = ((change < -1e-9) & ahead).nonzero().unbind(1)
    order = change[rows, columns].argsort(stable=True)[: 4 * len(near)]
    taken: set[int] = set()
    chosen = []
    for pair in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if taken.isdisjoint(pair):
            chosen.append(pair)
            taken.update(near[pair[0]], near[pair[1]])
    return chosen


def _neighbours(rows: int, columns: int) -> list[list[int]]:
    """Return, for each place, the place and its neighbours."""
    steps = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
    return [
        [
            (y + down) * columns + x + right
            for down, right in steps
            if 0 <= y + down < rows and 0 <= x + right < columns
        ]
        for y in range(rows)
        for x in range(columns)
    ]
