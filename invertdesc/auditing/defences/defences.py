"""Defences: what can be done to features before they are stored or sent, attacked afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from invertdesc.auditing.attacks.attack import REFIT, Attack
from invertdesc.auditing.attacks.frames import FRAMELESS, bare, recovered
from invertdesc.auditing.attacks.lab import Lab
from invertdesc.auditing.attacks.order import in_order
from invertdesc.auditing.defences.lifting import (
    Subspaces,
    far_from,
    guess_by_gaussian,
    guess_by_mean,
    guess_by_nearest,
    read_back,
    seen_together,
)
from invertdesc.auditing.defences.privacy import privatise, read_likely
from invertdesc.auditing.defences.subset import (
    far_from_words,
    read_first,
    read_fitting,
    read_mean,
)
from invertdesc.auditing.kinds import Kind
from invertdesc.auditing.surroundings import Surroundings
from invertdesc.features import changes
from invertdesc.features.bits import to_values
from invertdesc.features.local import Box, LocalFeatures

ROOM = 0.25  # of a face's sides, left free of keypoints around it: hair, chin, ears


def _keep_strongest(features: LocalFeatures, share: float, around: Surroundings) -> LocalFeatures:
    return changes.keep_strongest(features, share)


def _keep_random(features: LocalFeatures, share: float, around: Surroundings) -> LocalFeatures:
    return changes.keep_random(features, share, around.generator)


def _quantise(features: LocalFeatures, bits: float, around: Surroundings) -> LocalFeatures:
    return changes.quantise(features, bits)


def _permute(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    # One order for all images: it is a secret of the system.
    return changes.permute_columns(features, around.shared)


def _permuted_alike(
    features: LocalFeatures, query: LocalFeatures, _: float, around: Surroundings
) -> Tensor:
    # Whoever knows the order brings the query into it, too: distances stay.
    return torch.cdist(to_values(features.descriptors), to_values(query.descriptors))


def _ordered(known: Sequence[LocalFeatures], lab: Lab) -> list[LocalFeatures]:
    return in_order(known, lab.habits, lab.fits)


def _avoid_faces(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    for box in around.faces:
        features = features.outside(_wider(box))
    return features


def _wider(box: Box) -> Box:
    x0, y0, x1, y1 = box
    across, down = ROOM * (x1 - x0), ROOM * (y1 - y0)
    return x0 - across, y0 - down, x1 + across, y1 + down


def _by_mean(spaces: Subspaces, typical: Tensor) -> Tensor:
    return guess_by_mean(spaces, typical.mean(0))


def _lifted(name: str, title: str, sentence: str, *, hybrid: bool) -> Kind:
    """Return hiding in subspaces, with attackers who guess by mean, nearest, and likelihood."""
    likeliest = read_back(guess_by_gaussian, hybrid=hybrid)
    return Kind(
        name,
        "defence",
        title,
        sentence,
        read_back(_by_mean, hybrid=hybrid),
        default=4.0,
        low=2.0 if hybrid else 1.0,
        high=32.0,
        attacks=(
            Attack(
                "nearest",
                "nearest known vector",
                "The attacker takes the subspace's point nearest to any of 2,000 vectors that are "
                "known from other pictures than the defender's.",
                reading=read_back(guess_by_nearest, hybrid=hybrid),
            ),
            REFIT,
            Attack(
                "likeliest",
                "likeliest vector, map fitted anew",
                "The attacker takes the subspace's likeliest point by the mean and the covariance "
                "of public vectors, and fits the map from vectors to gradients anew to those.",
                reading=likeliest,
                refit=True,
            ),
        ),
        distances=far_from,
    )


_HIDDEN = (
    "Each descriptor is stored as an affine subspace through itself and {value} descriptors of "
    "other pictures (Dusmanu et al. 2021, adversarial lifting). Matched by distance to a subspace."
)
_HYBRID = (
    "Each descriptor is stored as an affine subspace of {value} dimensions through itself, half of "
    "them towards descriptors of other pictures, half in random directions (Dusmanu et al. 2021, "
    "hybrid lifting)."
)
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
        "avoid-faces",
        "defence",
        "No keypoints on faces",
        "Keypoints on the faces that a detector finds in the original, and close around them, are "
        "not stored.",
        _avoid_faces,
    ),
    Kind(
        "drop-fields",
        "defence",
        "Drop scales and orientations",
        "Positions and descriptors alone are stored. The naive attacker takes all keypoints as "
        "upright and of 2 pixels.",
        bare("scales", "orientations"),
        attacks=(*recovered("scales", "orientations"), FRAMELESS),
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
        attacks=(REFIT,),
    ),
    Kind(
        "permute",
        "defence",
        "Values in a secret order",
        "The numbers of all descriptors are stored in one secret order, the same for all images.",
        _permute,
        attacks=(
            Attack(
                "order",
                "order found",
                "The attacker finds the order from all stored vectors together: which values go "
                "with which, and how each is distributed, is known of such descriptors. Of "
                "several possible orders, the one whose picture is described as stored is right.",
                pooled=_ordered,
            ),
        ),
        distances=_permuted_alike,
    ),
    Kind(
        "ldp-noise",
        "defence",
        "Local DP noise, epsilon {value}",
        "Each descriptor alone is locally differentially private, epsilon {value}: divided by its "
        "sum, it gets Laplace noise of scale 2/{value}; bits are turned over at random instead. N "
        "descriptors of a picture have N x {value} together; positions are not protected.",
        privatise,
        default=100.0,
        low=1e-3,
        high=1e9,
        attacks=(
            Attack(
                "expected",
                "expected values, map fitted anew",
                "The attacker takes for each value what it is on average where such a value is "
                "stored, by public vectors and the noise, and fits the map from vectors to "
                "gradients anew to those.",
                reading=read_likely,
                refit=True,
            ),
        ),
    ),
    Kind(
        "ldp-feat",
        "defence",
        "Words of a dictionary, epsilon {value}",
        "Each descriptor is replaced by a small set of words of a public dictionary, which has the "
        "nearest one with some chance (LDP-Feat, Pittaluga and Zhuang 2023): each descriptor alone "
        "is locally differentially private, epsilon {value}. Matched by the nearest word.",
        read_first,
        default=8.0,
        low=4.0,
        high=1e9,
        attacks=(
            Attack(
                "mean",
                "mean of the words, map fitted anew",
                "The attacker takes the mean of all words, each as likely as it is after its set "
                "was seen, and fits the map from vectors to gradients anew to such means.",
                reading=read_mean,
                refit=True,
            ),
            Attack(
                "fitting",
                "words that fit, map fitted anew",
                "The attacker makes a picture of those means, takes the words that are nearest to "
                "its description, and fits the map from vectors to gradients anew to those.",
                reading=read_fitting,
                refit=True,
                slow=True,
            ),
        ),
        distances=far_from_words,
    ),
    _lifted("lift", "Hide among {value} others", _HIDDEN, hybrid=False),
    Kind(
        "lift-seen",
        "defence",
        "Hide among {value} others, in 3 images",
        "Each point of the scene is stored in three images, each time in a subspace through its "
        "vector there and {value} descriptors of other pictures. Vectors of one point are taken to "
        "differ by a fifth of their length.",
        read_back(_by_mean),
        default=4.0,
        low=1.0,
        high=32.0,
        attacks=(
            Attack(
                "intersect",
                "where three subspaces meet",
                "The attacker knows which keypoints are the same point, and takes the vector that "
                "is nearest to all three of its subspaces.",
                reading=seen_together,
            ),
        ),
        distances=far_from,
    ),
    _lifted("lift-hybrid", "Hide among others and noise, {value}", _HYBRID, hybrid=True),
)
DEFENCES: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
