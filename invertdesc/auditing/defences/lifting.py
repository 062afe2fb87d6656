"""Hide descriptors in affine subspaces (lifting), and guess them in two ways."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from invertdesc.auditing.scenario import Surroundings
from invertdesc.features.bits import to_values
from invertdesc.features.changes import floored, with_values
from invertdesc.features.local import LocalFeatures

AT_ONCE = 128  # subspaces that are compared with all vectors at once, to limit the memory


class Subspaces(NamedTuple):
    """N affine subspaces of dimension p, which are stored in place of N vectors.

    Attributes:
        origin: (N, D), a random point of each subspace.
        basis: (N, D, p), an orthonormal basis of each subspace.
    """

    origin: Tensor
    basis: Tensor

    def nearest_to(self, points: Tensor) -> Tensor:
        """Return (N, D), the point of each subspace that is nearest to a given point (N, D)."""
        along = torch.einsum("ndp,nd->np", self.basis, points - self.origin)
        return self.origin + torch.einsum("ndp,np->nd", self.basis, along)


def lift(values: Tensor, others: Tensor, count: int, generator: torch.Generator) -> Subspaces:
    """Hide each vector in the affine subspace through it and `count` random other vectors.

    The result does not show which point is the vector, since origin and basis are random.

    Args:
        values: (N, D), the vectors to hide.
        others: (K, D), a database of real vectors.
        count: Number p of other vectors, less than D.
        generator: Random generator.

    Source: Dusmanu, Schoenberger, Sinha, Pollefeys, "Privacy-preserving image features via
    adversarial affine subspace embeddings", CVPR 2021, section 3, adversarial lifting.
    """
    rows = torch.randint(len(others), (len(values), count), generator=generator)
    spans = (others[rows] - values[:, None]).transpose(1, 2)  # (N, D, p)
    turn = torch.randn(len(values), count, count, generator=generator)
    basis = torch.linalg.qr(spans @ turn).Q
    size = spans.square().sum(1).mean().sqrt() if spans.numel() else spans.new_zeros(())
    along = torch.randn(len(values), count, generator=generator) * size
    return Subspaces(values + torch.einsum("ndp,np->nd", basis, along), basis)


def guess_by_mean(spaces: Subspaces, mean: Tensor) -> Tensor:
    """Guess the point of each subspace that is nearest to the mean of typical vectors (D,)."""
    return spaces.nearest_to(mean.expand_as(spaces.origin))


def guess_by_nearest(spaces: Subspaces, typical: Tensor) -> Tensor:
    """Guess the point of each subspace that is nearest to any of some typical vectors (K, D)."""
    guesses = [spaces.origin[:0]]
    for first in range(0, len(spaces.origin), AT_ONCE):
        part = Subspaces(*(field[first : first + AT_ONCE] for field in spaces))
        # The squared distance to the subspace is that to the origin minus the part along the basis.
        along = torch.einsum("ndp,kd->nkp", part.basis, typical)
        along = along - torch.einsum("ndp,nd->np", part.basis, part.origin)[:, None]
        away = torch.cdist(part.origin, typical).square() - along.square().sum(2)
        guesses.append(part.nearest_to(typical[away.argmin(1)]))
    return torch.cat(guesses)


def lift_and_guess(
    features: LocalFeatures, count: float, around: Surroundings, *, nearest: bool
) -> LocalFeatures:
    """Return features with the descriptors that an attacker guesses from subspaces.

    Args:
        features: Features to hide.
        count: Number p of other vectors that each vector is hidden among.
        around: Has the vectors to hide among, and other vectors that the attacker knows.
        nearest: Whether to guess by the nearest typical vector; else by their mean.
    """
    values = to_values(features.descriptors)
    known = to_values(around.typical.attacker)
    spaces = lift(values, to_values(around.typical.defender), round(count), around.generator)
    guess = guess_by_nearest(spaces, known) if nearest else guess_by_mean(spaces, known.mean(0))
    return with_values(features, floored(guess, values))
