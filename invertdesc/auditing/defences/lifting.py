"""Descriptors hidden in affine subspaces, ways to guess them back, and how they are matched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from invertdesc.auditing.surroundings import Surroundings
from invertdesc.features.bits import to_values
from invertdesc.features.changes import with_values
from invertdesc.features.local import LocalFeatures

SEEN = 3  # images that a point is stored in
APART = 0.2  # how far its vectors in two images are apart, relative to their length
AT_ONCE = 128  # subspaces that are compared with all vectors together, to bound the memory


class Subspaces(NamedTuple):
    """N affine subspaces of dimension p, all that is stored of N vectors.

    Attributes:
        origin: (N, D), the point of each that is nearest to 0: it tells nothing else of the vector.
        basis: (N, D, p), orthonormal.
    """

    origin: Tensor
    basis: Tensor

    def nearest_to(self, points: Tensor) -> Tensor:
        """Return (N, D), the point of each subspace that is nearest to a given point (N, D)."""
        along = torch.einsum("ndp,nd->np", self.basis, points - self.origin)
        return self.origin + torch.einsum("ndp,np->nd", self.basis, along)

    def distances(self, points: Tensor) -> Tensor:
        """Return (N, M), how far each of M points (M, D) is from each subspace."""
        found = [self.origin.new_zeros(0, len(points))]
        for first in range(0, len(self.origin), AT_ONCE):
            part = Subspaces(*(field[first : first + AT_ONCE] for field in self))
            # The square is that to the origin, less what lies along the basis.
            along = torch.einsum("ndp,md->nmp", part.basis, points)
            along = along - torch.einsum("ndp,nd->np", part.basis, part.origin)[:, None]
            away = torch.cdist(part.origin, points).square() - along.square().sum(2)
            found.append(away.clamp(min=0).sqrt())
        return torch.cat(found)


def lift(
    values: Tensor,
    others: Tensor,
    count: int,
    generator: torch.Generator,
    *,
    random: int = 0,
) -> Subspaces:
    """Hide each vector in the affine subspace through itself and `count` others, drawn at random.

    The result is made of the subspace alone, so that it does not tell which of its points the
    vector is: a point drawn around the vector would.

    Args:
        values: (N, D).
        others: (K, D), a database of real vectors.
        count: p, fewer than D.
        generator: Random generator.
        random: How many of the p directions lead nowhere in particular, and not to a real vector.

    Source: Dusmanu, Schoenberger, Sinha, Pollefeys, "Privacy-preserving image features via
    adversarial affine subspace embeddings", CVPR 2021, section 3: adversarial lifting, and hybrid
    lifting where some directions are random.
    """
    rows = torch.randint(len(others), (len(values), count), generator=generator)
    spans = (others[rows] - values[:, None]).transpose(1, 2)  # (N, D, p)
    if random:
        size = spans.square().mean().sqrt() if spans.numel() else spans.new_ones(())
        spans[..., :random] = size * torch.randn(spans[..., :random].shape, generator=generator)
    turn = torch.randn(len(values), count, count, generator=generator)
    basis = torch.linalg.qr(spans @ turn).Q
    along = torch.einsum("ndp,nd->np", basis, values)
    return Subspaces(values - torch.einsum("ndp,np->nd", basis, along), basis)


def guess_by_mean(spaces: Subspaces, mean: Tensor) -> Tensor:
    """Guess the point of each subspace that is nearest to the mean of typical vectors (D,)."""
    return spaces.nearest_to(mean.expand_as(spaces.origin))


def guess_by_nearest(spaces: Subspaces, typical: Tensor) -> Tensor:
    """Guess the point of each subspace that is nearest to any of typical vectors (K, D)."""
    return spaces.nearest_to(typical[spaces.distances(typical).argmin(1)])


def guess_by_gaussian(spaces: Subspaces, typical: Tensor, ridge: float = 0.02) -> Tensor:
    """Guess the likeliest point of each subspace, if vectors are Gaussian like typical ones (K, D).

    Args:
        spaces: N of them.
        typical: Vectors whose mean and covariance are taken.
        ridge: Added to the covariance, relative to its mean variance.
    """
    mean, spread = typical.mean(0), torch.cov(typical.T.double())
    spread += ridge * spread.diagonal().mean() * torch.eye(len(spread), dtype=torch.float64)
    weight = torch.linalg.inv(spread).float()
    pulled = torch.einsum("ndp,de->npe", spaces.basis, weight)
    sides = pulled @ spaces.basis  # (N, p, p)
    along = torch.linalg.solve(sides, torch.einsum("npe,ne->np", pulled, mean - spaces.origin))
    return spaces.origin + torch.einsum("ndp,np->nd", spaces.basis, along)


def intersect(seen: Sequence[Subspaces], mean: Tensor, pull: float = 1e-3) -> Tensor:
    """Guess the vectors (N, D) that are nearest to several subspaces each.

    One point of a scene that was stored in several images has about the same vector in all. Its
    subspaces differ, and meet in little more than that vector.

    Args:
        seen: The same N points in each image.
        mean: (D,), of typical vectors, for what the subspaces leave open.
        pull: Weight of that mean.
    """
    shape = seen[0].origin.shape
    normal = pull * torch.eye(shape[1]).expand(shape[0], -1, -1).clone()
    right = pull * mean.expand(shape)
    for one in seen:
        normal += torch.eye(shape[1]) - one.basis @ one.basis.transpose(1, 2)
        right = right + one.origin  # which has nothing along the basis
    found: Tensor = torch.linalg.solve(normal, right)
    return found


def hide(
    features: LocalFeatures, count: float, around: Surroundings, *, hybrid: bool = False
) -> Subspaces:
    """Return what is stored of features, see `lift`; hybrid: half of the directions are random."""
    values = to_values(features.descriptors)
    others = to_values(around.typical.defender)
    number = round(count)
    return lift(values, others, number, around.generator, random=number // 2 if hybrid else 0)


def read_back(
    guess: Callable[[Subspaces, Tensor], Tensor], *, hybrid: bool = False
) -> Callable[[LocalFeatures, float, Surroundings], LocalFeatures]:
    """Return what hides features, and guesses them back by typical vectors (K, D)."""

    def change(features: LocalFeatures, count: float, around: Surroundings) -> LocalFeatures:
        spaces = hide(features, count, around, hybrid=hybrid)
        found = guess(spaces, to_values(around.typical.attacker))
        return with_values(features, around.typical.floored(found))

    return change


def seen_together(features: LocalFeatures, count: float, around: Surroundings) -> LocalFeatures:
    """Hide each vector in `SEEN` images, slightly changed in each, and guess it where they meet."""
    values = to_values(features.descriptors)
    size = APART * values.norm(dim=1, keepdim=True) / values.shape[1] ** 0.5
    others = to_values(around.typical.defender)
    seen = []
    for _ in range(SEEN):
        noise = size * torch.randn(values.shape, generator=around.generator)
        seen.append(lift(values + noise, others, round(count), around.generator))
    found = intersect(seen, to_values(around.typical.attacker).mean(0))
    return with_values(features, around.typical.floored(found))


def far_from(
    features: LocalFeatures, query: LocalFeatures, count: float, around: Surroundings
) -> Tensor:
    """Return (N, M), distances of a query's M vectors from the subspaces of N stored ones."""
    return hide(features, count, around).distances(to_values(query.descriptors))
