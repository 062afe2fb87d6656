"""Define the threat models: which part of the features an attacker has."""

from __future__ import annotations

from dataclasses import replace

from invertdesc.auditing.attacks.attack import REFIT
from invertdesc.auditing.attacks.frames import FRAMELESS, bare, recovered
from invertdesc.auditing.kinds import BoxKind, Kind
from invertdesc.auditing.mosaic import lay_out
from invertdesc.auditing.surroundings import Surroundings
from invertdesc.features import changes
from invertdesc.features.local import Box, LocalFeatures


def _everything(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    return features


def _descriptors(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    return lay_out(features, around.adapter)


def _coordinates(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    # The mean vector of an oriented keypoint contains information: there is an edge across it.
    mean = around.typical.mean
    return replace(features, descriptors=mean.expand(len(features), -1).contiguous())


def _strongest(features: LocalFeatures, share: float, around: Surroundings) -> LocalFeatures:
    return changes.keep_strongest(features, share)


def _random(features: LocalFeatures, share: float, around: Surroundings) -> LocalFeatures:
    return changes.keep_random(features, share, around.generator)


def _outside(features: LocalFeatures, box: Box | None, around: Surroundings) -> LocalFeatures:
    height, width = features.image_size
    middle = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
    return features.outside(middle if box is None else box)


def _quantised(features: LocalFeatures, bits: float, around: Surroundings) -> LocalFeatures:
    return changes.quantise(features, bits)


def _noisy(features: LocalFeatures, sigma: float, around: Surroundings) -> LocalFeatures:
    return changes.add_gaussian(features, sigma, around.generator)


def _shuffled(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    return changes.shuffle_rows(features, around.generator)


EVERYTHING = Kind(
    "everything",
    "threat",
    "Everything that is stored",
    "The attacker has all that is stored: positions, scales, orientations and descriptors.",
    _everything,
)
SHUFFLED = Kind(
    "shuffled",
    "floor",
    "Floor: descriptors shuffled",
    "The attacker has all positions and all descriptors, but not which belongs to which, and pairs "
    "them at random. This score is what positions alone give.",
    _shuffled,
)
_KINDS: tuple[Kind | BoxKind, ...] = (
    EVERYTHING,
    Kind(
        "no-scale",
        "threat",
        "No scales",
        "The attacker does not know the scales; the naive one assumes {value} pixels for all.",
        bare("scales"),
        default=2.0,
        low=0.1,
        high=1000.0,
        attacks=(*recovered("scales"), FRAMELESS),
    ),
    Kind(
        "no-orientation",
        "threat",
        "No orientations",
        "The attacker does not know the orientations; the naive one assumes {value} radians for "
        "all.",
        bare("orientations"),
        default=0.0,
        low=-6.2832,
        high=6.2832,
        attacks=(*recovered("orientations"), FRAMELESS),
    ),
    Kind(
        "no-frame",
        "threat",
        "Neither scales nor orientations",
        "The attacker has positions and descriptors; the naive one assumes orientation 0 and "
        "{value} pixels.",
        bare("scales", "orientations"),
        default=2.0,
        low=0.1,
        high=1000.0,
        attacks=(*recovered("scales", "orientations"), FRAMELESS),
    ),
    Kind(
        "descriptors",
        "threat",
        "Descriptors without positions",
        "The attacker has only the descriptors. No method here can arrange them into the picture, "
        "but each still shows its own patch: up to 96 of them, side by side in stored order.",
        _descriptors,
        arranged=False,
    ),
    Kind(
        "coordinates",
        "threat",
        "Keypoints without descriptors",
        "The attacker has positions, scales and orientations, and puts the mean descriptor of "
        "other pictures at each. An orientation alone gives the direction of an edge.",
        _coordinates,
    ),
    Kind(
        "strongest",
        "threat",
        "The strongest {percent} %",
        "The attacker has {percent} % of the keypoints, those that the detector found strongest.",
        _strongest,
        default=0.25,
        high=1.0,
    ),
    Kind(
        "random",
        "threat",
        "A random {percent} %",
        "The attacker has {percent} % of the keypoints, chosen at random.",
        _random,
        default=0.25,
        high=1.0,
    ),
    BoxKind(
        "outside",
        "threat",
        "Keypoints around a hole",
        "The keypoints inside {value} were deleted; the attacker has those around it. Measured "
        "over the whole picture.",
        _outside,
        "the middle quarter of the picture",
    ),
    Kind(
        "quantised",
        "threat",
        "{value} bits per value",
        "The attacker has descriptors rounded to {value} bits per value.",
        _quantised,
        default=2.0,
        low=1.0,
        high=16.0,
        attacks=(REFIT,),
    ),
    Kind(
        "noisy",
        "threat",
        "Noise of {percent} %",
        "The attacker has descriptors with Gaussian noise of {percent} % of their root mean square "
        "(bits count as -1 and +1).",
        _noisy,
        default=0.5,
        attacks=(REFIT,),
    ),
)
THREATS: dict[str, Kind | BoxKind] = {kind.name: kind for kind in _KINDS}
