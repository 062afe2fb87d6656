"""Define the threat models: which part of the features an attacker has."""

from __future__ import annotations

from dataclasses import replace

from invertdesc.auditing.kinds import BoxKind, Kind
from invertdesc.auditing.mosaic import lay_out
from invertdesc.auditing.scenario import Surroundings
from invertdesc.errors import NotApplicableError
from invertdesc.features import changes
from invertdesc.features.local import Box, LocalFeatures
from invertdesc.recovery import can_recover, recover_frames


def _everything(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    return features


def _no_scale(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    return _recovered(features, ("scales",), around)


def _no_orientation(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    return _recovered(features, ("orientations",), around)


def _no_frame(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    return _recovered(features, ("scales", "orientations"), around)


def _recovered(
    features: LocalFeatures, names: tuple[str, ...], around: Surroundings
) -> LocalFeatures:
    """Return features whose fields of these names are what an attacker can make of the others."""
    bare = _bare(features, names, around)
    if not can_recover(around.adapter):
        raise NotApplicableError(
            f"No network ships that recovers the frames of {around.adapter.name!r}: see what a "
            "fixed guess gives. That is the least that an attacker gets."
        )
    return recover_frames(bare, descriptor=around.adapter)


def _scale_guessed(features: LocalFeatures, guess: float, around: Surroundings) -> LocalFeatures:
    return _bare(features, ("scales",), around).assume(scales=guess)


def _orientation_guessed(
    features: LocalFeatures, guess: float, around: Surroundings
) -> LocalFeatures:
    return _bare(features, ("orientations",), around).assume(orientations=guess)


def _frame_guessed(features: LocalFeatures, guess: float, around: Surroundings) -> LocalFeatures:
    bare = _bare(features, ("scales", "orientations"), around)
    return bare.assume(scales=guess, orientations=0.0)


def _bare(features: LocalFeatures, names: tuple[str, ...], around: Surroundings) -> LocalFeatures:
    """Return features without fields, all of which the descriptor has to need."""
    for field in names:
        _check_needed(field, around)
    return features.without(*names)


def _check_needed(field: str, around: Surroundings) -> None:
    if field not in around.adapter.frame.needs:
        raise NotApplicableError(
            f"No method needs the {field} of {around.adapter.name!r}, so leaving them out hides "
            "nothing. See the result for everything that is stored."
        )


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


def _permuted(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
    # One order for all images, as a secret of the system.
    return changes.permute_columns(features, around.shared)


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
        "No scales; recovered",
        "The attacker does not know the scales, and recovers them from descriptors, neighbours and "
        "the reconstruction.",
        _no_scale,
    ),
    Kind(
        "no-scale-guessed",
        "threat",
        "No scales; guessed",
        "The attacker does not know the scales and assumes {value} pixels for all.",
        _scale_guessed,
        default=2.0,
        low=0.1,
        high=1000.0,
        family="no-scale",
    ),
    Kind(
        "no-orientation",
        "threat",
        "No orientations; recovered",
        "The attacker does not know the orientations, and recovers them from descriptors, "
        "neighbours and the reconstruction.",
        _no_orientation,
    ),
    Kind(
        "no-orientation-guessed",
        "threat",
        "No orientations; guessed",
        "The attacker does not know the orientations and assumes {value} radians for all.",
        _orientation_guessed,
        default=0.0,
        low=-6.2832,
        high=6.2832,
        family="no-orientation",
    ),
    Kind(
        "no-frame",
        "threat",
        "Neither scales nor orientations; recovered",
        "The attacker has positions and descriptors alone, and recovers scales and orientations "
        "from them and from the reconstruction.",
        _no_frame,
    ),
    Kind(
        "no-frame-guessed",
        "threat",
        "Neither scales nor orientations; guessed",
        "The attacker has positions and descriptors, and assumes orientation 0 and {value} pixels.",
        _frame_guessed,
        default=2.0,
        low=0.1,
        high=1000.0,
        family="no-frame",
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
    ),
    Kind(
        "noisy",
        "threat",
        "Noise of {percent} %",
        "The attacker has descriptors with Gaussian noise of {percent} % of their root mean square "
        "(bits count as -1 and +1).",
        _noisy,
        default=0.5,
    ),
    Kind(
        "permuted",
        "threat",
        "Values in a secret order",
        "The numbers of all descriptors are in one secret order, which the attacker does not "
        "know and does not try to find out. With enough vectors, it might be found.",
        _permuted,
    ),
)
THREATS: dict[str, Kind | BoxKind] = {kind.name: kind for kind in _KINDS}
