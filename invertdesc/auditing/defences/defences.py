"""Define the defences that an audit attacks: changes of features before they are stored."""

from __future__ import annotations

from invertdesc.auditing.defences.lifting import lift_and_guess
from invertdesc.auditing.defences.privacy import privatise
from invertdesc.auditing.kinds import Kind
from invertdesc.auditing.scenario import Surroundings
from invertdesc.features import changes
from invertdesc.features.local import LocalFeatures

_HIDDEN = (
    "Each descriptor is stored as an affine subspace through itself and {value} descriptors of "
    "other pictures (Dusmanu et al. 2021). "
)


def _keep_strongest(features: LocalFeatures, share: float, around: Surroundings) -> LocalFeatures:
    return changes.keep_strongest(features, share)


def _keep_random(features: LocalFeatures, share: float, around: Surroundings) -> LocalFeatures:
    return changes.keep_random(features, share, around.generator)


def _quantise(features: LocalFeatures, bits: float, around: Surroundings) -> LocalFeatures:
    return changes.quantise(features, bits)


def _privatise(features: LocalFeatures, epsilon: float, around: Surroundings) -> LocalFeatures:
    return privatise(features, epsilon, around.generator)


def _lift(features: LocalFeatures, count: float, around: Surroundings) -> LocalFeatures:
    return lift_and_guess(features, count, around, nearest=False)


def _lift_nearest(features: LocalFeatures, count: float, around: Surroundings) -> LocalFeatures:
    return lift_and_guess(features, count, around, nearest=True)


_KINDS = (
    Kind(
        "keep-strongest",
        "defence",
        "Keep the strongest {percent} %",
        "Only the strongest {percent} % of the keypoints are stored.",
        _keep_strongest,
        default=0.1,
        high=1.0,
    ),
    Kind(
        "keep-random",
        "defence",
        "Keep a random {percent} %",
        "Only {percent} % of the keypoints are stored, chosen at random.",
        _keep_random,
        default=0.1,
        high=1.0,
    ),
    Kind(
        "quantise",
        "defence",
        "Quantise to {value} bit",
        "Each value is stored with {value} bit, in equal steps over the image's range.",
        _quantise,
        default=1.0,
        low=1.0,
        high=16.0,
    ),
    Kind(
        "ldp-noise",
        "defence",
        "Local DP noise, epsilon {value}",
        "Each descriptor is locally differentially private, epsilon {value}: it is divided by its "
        "sum and gets Laplace noise of scale 2/{value}; bits are flipped at random instead. The N "
        "descriptors of a picture together have N x {value}. Positions are not protected.",
        _privatise,
        default=100.0,
        low=1e-3,
        high=1e9,
    ),
    Kind(
        "lift",
        "defence",
        "Lift to dimension {value}; guessed by mean",
        _HIDDEN + "The attacker takes the subspace's point nearest to the mean of typical ones.",
        _lift,
        default=4.0,
        low=1.0,
        high=32.0,
    ),
    Kind(
        "lift-nearest",
        "defence",
        "Lift to dimension {value}; guessed by nearest",
        _HIDDEN + "The attacker takes the subspace's point nearest to any of 2,000 descriptors "
        "known from other pictures than the defender's.",
        _lift_nearest,
        default=4.0,
        low=1.0,
        high=32.0,
        family="lift",
    ),
)
DEFENCES: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
