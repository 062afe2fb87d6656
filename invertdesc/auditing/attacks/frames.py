"""Keypoints without scales or orientations: guessed, recovered, or not needed."""

from __future__ import annotations

from invertdesc.auditing.attacks.attack import Attack, Change
from invertdesc.auditing.surroundings import Surroundings
from invertdesc.errors import NotApplicableError
from invertdesc.features.local import LocalFeatures
from invertdesc.recovery import can_recover, recover_frames

ROUNDS = 4  # in which frames are corrected by the reconstruction
SCALE, ORIENTATION = 2.0, 0.0  # guesses of who does not think about it


def bare(*names: str) -> Change:
    """Return what leaves fields out and guesses them: a change whose strength is the scale.

    Args:
        names: `"scales"`, `"orientations"` or both.
    """

    def change(features: LocalFeatures, guess: float, around: Surroundings) -> LocalFeatures:
        values = {"scales": SCALE, "orientations": ORIENTATION}
        left = _without(features, names, around)
        if len(names) == 1 or guess:
            values[names[0]] = guess
        return left.assume(**{name: values[name] for name in names})

    return change


def _without(
    features: LocalFeatures, names: tuple[str, ...], around: Surroundings
) -> LocalFeatures:
    """Return features without some fields.

    Raises:
        NotApplicableError: The descriptor does not need them all.
    """
    needs = around.adapter.frame.needs
    unused = [name for name in names if name not in needs]
    if unused:
        raise NotApplicableError(
            f"No method needs the {' and '.join(unused)} of {around.adapter.name!r}: leaving them "
            "out helps nobody. See everything."
        )
    return features.without(*names)


def recovered(*names: str) -> tuple[Attack, Attack]:
    """Return the attacks that recover fields which are left out: a fast one and a better one.

    Args:
        names: `"scales"`, `"orientations"` or both.
    """
    words = " and ".join(names)
    return (
        Attack(
            "guessed",
            f"{words} guessed by a network",
            "A network guesses scales and orientations from descriptors, positions and neighbours.",
            reading=_recover(names, 0),
        ),
        Attack(
            "recovered",
            f"{words} recovered",
            "A network guesses scales and orientations; then they are corrected until the "
            "reconstruction is described as stored.",
            reading=_recover(names, ROUNDS),
            slow=True,
        ),
    )


def _recover(names: tuple[str, ...], rounds: int) -> Change:

    def change(features: LocalFeatures, _: float, around: Surroundings) -> LocalFeatures:
        left = _without(features, names, around)
        if not can_recover(around.adapter):
            raise NotApplicableError(
                f"No network that recovers the frames of {around.adapter.name!r} ships."
            )
        return recover_frames(left, descriptor=around.adapter, rounds=rounds)

    return change


FRAMELESS = Attack(
    "frameless",
    "by a method without them",
    "The attacker uses the method 'coarse', a network that needs neither scales nor orientations.",
    method="coarse",
)
