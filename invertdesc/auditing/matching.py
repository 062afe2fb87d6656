"""Measure how many correct matches with a second picture a defence keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.auditing.scenario import Scenario
from invertdesc.auditing.typical import Typical
from invertdesc.errors import InvertDescError
from invertdesc.features.bits import to_values
from invertdesc.features.local import LocalFeatures

if TYPE_CHECKING:
    from invertdesc.auditing.subjects import Subject
    from invertdesc.descriptors import Descriptor

TURN, SHRINK, TILT = math.radians(12), 0.9, 0.12  # of the second picture
NEAR = 3.0  # pixels: a match this far from where it should be is still correct
LEAST = 10  # correct matches without a defence, to say which share is left


class View(NamedTuple):
    """A second picture of a scene, and where its points are in it.

    Attributes:
        picture: (3, H, W) RGB in [0, 1].
        warp: (3, 3), from (x, y, 1) of the first picture to that of the second.
    """

    picture: Tensor
    warp: Tensor

    def where(self, points: Tensor) -> Tensor:
        """Return (N, 2), the positions of points (N, 2) of the first picture."""
        moved = F.pad(points, (0, 1), value=1.0) @ self.warp.T
        return moved[:, :2] / moved[:, 2:]


@dataclass(frozen=True, eq=False)
class Matching:
    """Matches stored features with those of a second picture of the same scene.

    The second picture is the original, turned by 12 degrees, smaller by a tenth and tilted; so each
    keypoint's position in it is known. The query is not defended: it stays with its owner.

    Attributes:
        adapter: Adapter of the descriptor.
        subjects: Images; those without an original are left out.
        typical: Descriptors of other pictures.
        seed: Random seed of the audit.
    """

    adapter: Descriptor
    subjects: Sequence[Subject]
    typical: Typical
    seed: int = 0

    def kept(self, scenario: Scenario) -> float | None:
        """Return the number of correct matches under a defence, relative to that without it.

        None if there are too few matches without it, or if nothing can be matched.
        """
        if self._correct_before < LEAST:
            return None
        try:
            found = sum(self._correct(scenario, *one) for one in self._pairs)
        except InvertDescError:
            return None
        return found / self._correct_before

    @cached_property
    def _pairs(self) -> list[tuple[int, LocalFeatures, LocalFeatures, Tensor]]:
        """Number, features, query, and where the features are in the query's picture."""
        found = []
        for number, subject in enumerate(self.subjects):
            if subject.image is None or not len(subject.features):
                continue
            view = second_view(subject.image)
            try:
                query = self.adapter.extract(view.picture)
            except InvertDescError:
                return []
            place = view.where(subject.features.keypoints)
            found.append((number, subject.features, query, place))
        return found

    @cached_property
    def _correct_before(self) -> int:
        return sum(
            count_correct(far(one, query), place, query.keypoints)
            for _, one, query, place in self._pairs
        )

    def _correct(
        self,
        scenario: Scenario,
        number: int,
        features: LocalFeatures,
        query: LocalFeatures,
        place: Tensor,
    ) -> int:
        if scenario.distances is not None:
            around = scenario.surroundings(self.adapter, self.typical, seed=self.seed, image=number)
            away = scenario.distances(features, query, scenario.strength, around)
            return count_correct(away, place, query.keypoints)
        stored = scenario.apply(
            features,
            self.adapter,
            self.typical,
            seed=self.seed,
            image=number,
            faces=self.subjects[number].faces,
        )
        image = self.subjects[number].image
        if image is None:
            return 0
        where = second_view(image).where(stored.keypoints)
        return count_correct(far(stored, query), where, query.keypoints)


def second_view(image: Tensor) -> View:
    """Turn, shrink and tilt an image (3, H, W) about its middle.

    >>> view = second_view(torch.zeros(3, 21, 31))
    >>> view.where(torch.tensor([[15.0, 10.0]]))
    tensor([[15., 10.]])
    """
    height, width = image.shape[1:]
    x, y = (width - 1) / 2, (height - 1) / 2
    cos, sin = SHRINK * math.cos(TURN), SHRINK * math.sin(TURN)
    turned = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [TILT / width, 0.0, 1.0]])
    shift = torch.tensor([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
    back = torch.tensor([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]])
    warp = shift @ turned @ back
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack([columns, rows, torch.ones_like(rows)], -1).float()
    origin = grid @ torch.linalg.inv(warp).T
    origin = origin[..., :2] / origin[..., 2:]
    place = 2 * origin / torch.tensor([max(width - 1, 1), max(height - 1, 1)]) - 1
    seen = F.grid_sample(
        image[None], place[None], mode="bicubic", padding_mode="reflection", align_corners=True
    )
    return View(seen[0].clamp(0, 1), warp)


def far(stored: LocalFeatures, query: LocalFeatures) -> Tensor:
    """Return (N, M) distances of vectors, each scaled to length 1."""
    one, other = (F.normalize(to_values(f.descriptors), dim=1) for f in (stored, query))
    return torch.cdist(one, other)


def count_correct(away: Tensor, place: Tensor, keypoints: Tensor) -> int:
    """Count pairs that are each other's nearest, and where they should be.

    Args:
        away: (N, M) distances of vectors.
        place: (N, 2), where stored keypoints are in the query's picture.
        keypoints: (M, 2) of the query.
    """
    if not away.numel():
        return 0
    best = away.argmin(1)
    mutual = away.argmin(0)[best] == torch.arange(len(away))
    near = (place - keypoints[best]).norm(dim=1) <= NEAR
    return int((mutual & near).sum())
