"""A secret order of a vector's values, found from what such values are like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from invertdesc.auditing.attacks.habits import Habits
from invertdesc.errors import NotApplicableError
from invertdesc.features.bits import to_values
from invertdesc.features.changes import with_values
from invertdesc.features.local import LocalFeatures

Matrix: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

LEAST = 100  # vectors; with fewer, correlations are noise
ROUNDS = 60  # at most, of one search
# Searches from disturbed guesses: of 120 for SIFT, none reached the right order of 20 photographs
# in 3 of 4 trials; of 360, some did in all 4. One takes 5 ms for 128 values.
STARTS = 400
MOST = 6  # answers
ALIKE = 0.5  # share of places from which on two orders are one answer
COST = 128**3  # of one search; longer vectors are given fewer


def find_orders(values: Tensor, habits: Habits) -> list[Tensor]:
    """Find where each value of a vector has gone: several quite different answers, best first.

    That order is sought under which the correlations of values with each other, and how each is
    distributed, agree best with the known ones: a quadratic assignment problem with a linear term,
    which is solved approximately, from several guesses.

    Args:
        values: (N, D), vectors whose values are all in one unknown order.
        habits: What such vectors are like elsewhere, in the known order.

    A picture and its mirror image are equally common. So the order in which the vectors are those
    of mirrored patches fits as well as the right one, and statistics cannot choose.

    Returns:
        (D,) each, the places of the known order's values: `values[:, order]` is in that order.

    Source: Vogelstein et al., "Fast approximate quadratic programming for graph matching", PLOS ONE
    2015, algorithm 1; linear term and guesses are not in the paper.
    """
    theirs = Habits.of(values)
    own, given = np.asarray(habits.correlation), np.asarray(theirs.correlation)
    away = _squared(np.asarray(habits.marginals), np.asarray(theirs.marginals))
    found = [_search(own, given, -away, start) for start in _guesses(own, given, away)]
    kept: list[Matrix] = []
    for order, _ in sorted(found, key=lambda one: -one[1]):
        if len(kept) < MOST and all((order == one).mean() < ALIKE for one in kept):
            kept.append(order)
    return [torch.from_numpy(order) for order in kept]


def in_order(
    known: Sequence[LocalFeatures],
    habits: Habits,
    judge: Callable[[Sequence[LocalFeatures]], float],
) -> list[LocalFeatures]:
    """Bring the values of all vectors of some images into the known order.

    Args:
        known: Features of the images, all in the same unknown order.
        habits: Statistics of the descriptor.
        judge: Says how well features fit to each other; of several possible orders, the one of the
            highest value is taken.

    Raises:
        NotApplicableError: There are too few vectors to tell.
    """
    values = [to_values(one.descriptors) for one in known]
    count = sum(map(len, values))
    if count < LEAST:
        raise NotApplicableError(
            f"Expected at least {LEAST} vectors to find their order from, got {count}."
        )
    answers = [
        [with_values(one, value[:, order]) for one, value in zip(known, values, strict=True)]
        for order in find_orders(torch.cat(values), habits)
    ]
    return max(answers, key=judge) if len(answers) > 1 else answers[0]


def _search(own: Matrix, theirs: Matrix, linear: Matrix, place: Matrix) -> tuple[Matrix, float]:
    """Return an order, and how well it does, from a doubly stochastic guess (D, D)."""
    for _ in range(ROUNDS):
        slope = 2 * own @ place @ theirs + linear
        step = _permutation(slope) - place
        gain = float((slope * step).sum())
        if gain <= 1e-9 * abs(float((slope * place).sum())):
            break
        bend = float((own @ step @ theirs * step).sum())
        place = place + step * (1.0 if bend >= 0 else min(1.0, -gain / (2 * bend)))
    final = _permutation(place)
    score = float((own @ final @ theirs * final).sum() + (linear * final).sum())
    return final.argmax(1), score


def _guesses(own: Matrix, theirs: Matrix, away: Matrix) -> list[Matrix]:
    """Return guesses (D, D): no idea, values of like rows and distributions, and disturbed ones."""
    rows = _squared(np.sort(own, 1), np.sort(theirs, 1))
    unlike = away / max(away.mean(), 1e-12) + rows / max(rows.mean(), 1e-12)
    count = len(own)
    even, first = np.full((count, count), 1 / count), _permutation(-unlike)
    draws = np.random.default_rng(0)
    starts = max(2, min(STARTS, STARTS * COST // count**3))
    others = [
        _permutation(-unlike - 0.1 * (1 + number % 6) * draws.gumbel(size=unlike.shape))
        for number in range(starts)
    ]
    return [even, *((even + one) / 2 for one in (first, *others))]


def _permutation(gains: Matrix) -> Matrix:
    """Return the permutation matrix of the greatest sum of gains (D, D)."""
    from scipy.optimize import linear_sum_assignment

    made = np.zeros_like(gains)
    made[linear_sum_assignment(gains, maximize=True)] = 1
    return made


def _squared(one: Matrix, other: Matrix) -> Matrix:
    """Return (D, D), squared distances of rows."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(one, other, "sqeuclidean"))
