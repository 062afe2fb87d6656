"""Where attacks are prepared: what an attacker has beside what is stored."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from torch import nn

from invertdesc.auditing.attacks.attack import Attack
from invertdesc.auditing.attacks.habits import Habits, shipped_habits
from invertdesc.auditing.attacks.public import Public
from invertdesc.auditing.typical import Typical
from invertdesc.descriptors.base import JointUnfolding
from invertdesc.errors import NotApplicableError
from invertdesc.evaluation.consistency import agreement
from invertdesc.evaluation.metrics import ncc
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import Box, LocalFeatures
from invertdesc.image import to_gray
from invertdesc.methods import create_method, list_methods
from invertdesc.methods.backprojection import BackProjection
from invertdesc.methods.base import MethodLike, name_of
from invertdesc.methods.poisson import Poisson
from invertdesc.rasterizers.field import MERGE_POWER, FieldRasterizer
from invertdesc.sources import spread
from invertdesc.unfolding.fit import Patches, fit_patches
from invertdesc.unfolding.unfolding import Unfolding

if TYPE_CHECKING:
    from invertdesc.auditing.scenario import Scenario
    from invertdesc.descriptors import Descriptor

JUDGED = 3  # images by which possible orders are compared
POWERS = (4.0, 2.0, 1.0)  # with which pieces are averaged, see `FieldRasterizer`
SHOWN = 6  # public pictures by which those are compared
FIRST = 1_000_000  # number of the first public picture, whose draws differ from the audited ones'


@dataclass(eq=False)
class Lab:
    """An attacker's means.

    Attributes:
        adapter: Adapter of the descriptor.
        method: The attack that is audited.
        public: Pictures to learn from.
        typical: Vectors of other pictures.
        seed: Random seed of the audit.
    """

    adapter: Descriptor
    method: MethodLike
    public: Public
    typical: Typical
    seed: int = 0
    _fitted: dict[object, MethodLike] = field(default_factory=dict)

    def known(
        self,
        scenario: Scenario,
        attack: Attack,
        features: LocalFeatures,
        number: int,
        faces: Sequence[Box] = (),
    ) -> LocalFeatures:
        """Return what an attack knows of an image.

        Args:
            scenario: What is stored.
            attack: What the attacker does with it.
            features: Features of the image.
            number: Number of the image, which draws depend on.
            faces: Boxes of the faces in the original.
        """
        if not len(features):
            return features
        return scenario.apply(
            features,
            self.adapter,
            self.typical,
            seed=self.seed,
            image=number,
            attack=attack,
            faces=faces,
        )

    def method_for(self, scenario: Scenario, attack: Attack) -> MethodLike:
        """Return what makes the pictures.

        Raises:
            NotApplicableError: The attack does not fit the method or the descriptor.
            InvertDescError: The adapter cannot describe public pictures.
        """
        if attack.method is not None:
            return self._other(attack.method)
        if not attack.refit:
            return self.method
        key = (scenario.key, attack.name)
        if key not in self._fitted:
            self._fitted[key] = self._refit(scenario, attack)
        return self._fitted[key]

    @cached_property
    def habits(self) -> Habits:
        """What the values of vectors are like: what ships, else what public pictures tell.

        Raises:
            InvertDescError: The adapter cannot extract.
        """
        shipped = shipped_habits(self.adapter.name)
        return Habits.of(self.public.values) if shipped is None else shipped

    def fits(self, known: Sequence[LocalFeatures]) -> float:
        """Return how well the reconstructions of some images agree with the features.

        They are described again at the keypoints; 0 where the adapter cannot do that.
        """
        from invertdesc.api import reconstruct

        some = [one for one in known if len(one)][:JUDGED]
        pictures = reconstruct(some, descriptor=self.adapter, method=self.method)
        pairs = zip(some, pictures, strict=True)
        found = [agreement(self.adapter, one, picture.cpu()) for one, picture in pairs]
        values = [one[0] - one[1] for one in found if one is not None]
        return sum(values) / len(values) if values else 0.0

    def _other(self, name: str) -> MethodLike:
        if name == name_of(self.method):
            raise NotApplicableError(f"The method {name!r} is the one that is audited.")
        if name not in list_methods(descriptor=self.adapter, ready=True):
            raise NotApplicableError(f"No weights of {name!r} ship for {self.adapter.name!r}.")
        return create_method(name, descriptor=self.adapter)

    def _refit(self, scenario: Scenario, attack: Attack) -> MethodLike:
        """Return the method with the map fitted anew, and pieces averaged as serves it best."""
        if isinstance(self.adapter, JointUnfolding):
            raise NotApplicableError(
                f"Vectors of {self.adapter.name!r} are unfolded together, by a map that is known."
            )
        defended = [
            Patches(self._defended(scenario, attack, one.features, number), one.targets, one.cell)
            for number, one in enumerate(self.public.patches, FIRST)
        ]
        if any(len(one.features) != len(one.targets) for one in defended):
            raise NotApplicableError("Vectors that are left are as they were: nothing to fit anew.")
        unfolding = fit_patches(self.adapter, defended)
        shown = spread([one.features for one in defended], SHOWN)
        # With a noise that drowns single vectors, an average over many serves better.
        power = max(POWERS, key=lambda one: self._shown_again(unfolding, one, shown))
        return with_unfolding(self.method, unfolding, power)

    def _shown_again(
        self, unfolding: Unfolding, power: float, known: Sequence[LocalFeatures]
    ) -> float:
        """Return how like public pictures are to what a map makes of their defended features."""
        poisson = with_unfolding(Poisson(self.adapter), unfolding, power)
        truths = spread([one.gray for one in self.public.looks], SHOWN)
        total = 0.0
        for one, truth in zip(known, truths, strict=True):
            picture = poisson(FeatureBatch.collate([one]))[0]
            total += float(ncc(to_gray(picture, one.provenance.gray_mode), truth))
        return total

    def _defended(
        self, scenario: Scenario, attack: Attack, features: LocalFeatures, number: int
    ) -> LocalFeatures:
        return scenario.apply(
            features, self.adapter, self.typical, seed=self.seed, image=number, attack=attack
        )


def with_unfolding(
    method: MethodLike, unfolding: Unfolding, power: float = MERGE_POWER
) -> MethodLike:
    """Return a method that unfolds by another map, and is the same otherwise.

    Args:
        method: The method.
        unfolding: The map.
        power: See `FieldRasterizer`.

    Raises:
        NotApplicableError: The method does not make its pictures of an unfolded field alone.
    """
    if isinstance(method, BackProjection):
        method = method.first  # what is defended is not what a picture is described as
    rasterizer = getattr(method, "rasterizer", None)
    if not isinstance(method, nn.Module) or not isinstance(rasterizer, FieldRasterizer):
        raise NotApplicableError(
            f"The method {name_of(method)!r} takes no other unfolding: use 'unfold' or 'poisson'."
        )
    other = copy.copy(rasterizer)
    other.unfolding, other.power = unfolding, power
    twin = copy.copy(method)
    twin._modules = method._modules | {"rasterizer": other}  # the method itself keeps its own
    return twin
