"""Decide which descriptor the vectors of a store have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from invertdesc.descriptors.checking import ENOUGH, ROOT_SUM, Check, check
from invertdesc.features.convert import meant_name
from invertdesc.features.local import LocalFeatures
from invertdesc.stores import _learned
from invertdesc.stores.record import Array, Record

UNKNOWN = "unknown"
SUSPICIOUS = 0.7  # confidence from which a fault is reported
# The most likely one first; the others are named in the note.
BITS = {
    32: ("orb", "brief", "latch", "boostdesc", "beblid", "teblid"),
    61: ("akaze",),
    64: ("brisk", "freak", "beblid", "teblid"),
}
NUMBERS = {64: ("kaze",), 120: ("vgg",), 200: ("daisy",), 238: ("mkd",)}
SURF, MOST = 64, 3000  # values of a vector, and maximum number of checked vectors
# Vectors of SURF, computed by an implementation from its paper, are similar to those of KAZE: by
# the measure of `check` they have 0.43 to 0.50, and KAZE with at least 50 keypoints has 0.64 to
# 0.86 (4 pictures). This confidence corresponds to 0.58.
SURE = 0.9999


@dataclass(frozen=True)
class Decision:
    """The decision about vectors.

    Attributes:
        descriptor: Registry name, or `"unknown"`.
        normalisation: How the vectors are scaled, and how this was found.
        notes: Sentences about doubts.
    """

    descriptor: str
    normalisation: str
    notes: tuple[str, ...] = ()


def decide(sample: Sequence[Record], given: str | None) -> Decision:
    """Name the descriptor of a store.

    SIFT and RootSIFT have the same width and length. The mean sum of their vectors distinguishes
    them in photographs (see `invertdesc.descriptors.checking`).

    Args:
        sample: Images with keypoints.
        given: Descriptor given by the user, which has priority, or None.
    """
    if not sample:
        return Decision(given or UNKNOWN, "no vectors found")
    first = sample[0]
    width = first.vectors.shape[1]
    alike = [r.vectors for r in sample if r.vectors.shape[1] == width]
    name = given or (first.descriptor and meant_name(first.descriptor))
    if width == 128 and (name in (None, "sift", "rootsift")):
        return _decide_sift(alike, name)
    bits = first.vectors.dtype == np.uint8
    scaling = f"{8 * width} bits" if bits else _lengths(alike)
    if name is not None:
        return Decision(name, scaling)
    likely = (BITS if bits else NUMBERS).get(width, ())
    if not likely:
        return _decide_unknown(alike, bits, scaling)
    if width == SURF and not bits:
        return _decide_surf(alike, scaling)
    others = f"; {', '.join(likely[1:])} have as many" if likely[1:] else ""
    what = f"{width} {'bytes' if bits else 'numbers'}"
    note = f"{likely[0]!r} is a guess from {what}{others}: say which with descriptor=NAME."
    return Decision(likely[0], scaling, (note,))


def _decide_unknown(vectors: Sequence[Array], bits: bool, scaling: str) -> Decision:
    width = vectors[0].shape[1]
    if not bits:
        name, note = _learned.guess(np.concatenate(vectors))
        return Decision(name or UNKNOWN, scaling, (note,))
    note = f"Nothing known has vectors of {width} bytes: say what they are, with descriptor=NAME."
    return Decision(UNKNOWN, scaling, (f"{note} {_learned.FIT}",))


def _decide_surf(vectors: Sequence[Array], scaling: str) -> Decision:
    """Decide between KAZE, learned descriptors and SURF for 64 numbers."""
    learned = _learned.guess(np.concatenate(vectors))
    if learned.name is not None:
        return Decision(learned.name, scaling, (learned.note,))
    joined = torch.from_numpy(np.concatenate(vectors).astype(np.float32))[:MOST]
    seen = check(
        LocalFeatures(
            keypoints=torch.zeros(len(joined), 2),
            descriptors=joined,
            image_size=(1, 1),
            descriptor="kaze",
        )
    )
    if seen.ok and seen.confidence > SURE:
        note = "'kaze' is a guess from what the 64 numbers look like; SURF has as many, and alike."
        return Decision("kaze", scaling, (note,))
    note = (
        "64 numbers are KAZE's, SURF's, XFeat's or ALIKED's, and these are too few or too unlike "
        f"KAZE's to tell. If they are KAZE's, say descriptor='kaze'. {_learned.FIT}"
    )
    return Decision(UNKNOWN, scaling, (note,))


def doubts(found: Check, mend: bool) -> tuple[str, ...]:
    """Return notes about an unexpected order or unit of a store, and about its correction.

    Args:
        found: Result of the check of the images, as they are stored.
        mend: Whether certain faults are corrected.
    """
    sure = f"{100 * found.share:.0f} % sure from {found.count:,} vectors"
    harm = "Pictures may then be noise, and an audit may show less than leaks"
    if found.layout == UNKNOWN:
        if found.count < ENOUGH or found.share < SUSPICIOUS:
            return ()
        what = f"do not look like {found.expected!r}, nor like an order known for it"
        return (f"The vectors {what} ({sure}). {harm}: name theirs with descriptor=NAME.",)
    if not found.faults or found.share < SUSPICIOUS:
        return ()
    if found.certain and mend:
        return (f"Mended {found.faults} ({sure}); mend=False leaves them.",)
    if found.certain:
        return (f"Left as stored: {found.faults} ({sure}). {harm}: mend=True mends them.",)
    doubt = f"Perhaps {found.faults} ({sure}), left so, as that is not certain"
    return (f"{doubt}. {harm}: in Python, check(features).mend(features) mends them.",)


def _decide_sift(vectors: Sequence[Array], given: str | None) -> Decision:
    # The mean over images of the mean over keypoints, as in the measurement.
    if any(bool((part < 0).any()) for part in vectors):
        learned = _learned.guess(np.concatenate(vectors))
        return Decision(given or learned.name or UNKNOWN, _lengths(vectors), (learned.note,))
    total = float(np.mean([mean_sum_over_length(part) for part in vectors]))
    rooted = total > ROOT_SUM
    found = "rootsift" if rooted else "sift"
    name = {"rootsift": "L1 root (RootSIFT)", "sift": "L2 (SIFT)"}
    side = "above" if rooted else "not above"
    measured = f"sum over length is {total:.2f} on average, {side} {ROOT_SUM:g}"
    if given is None or given == found:
        return Decision(found, f"{name[found]}: {measured}")
    note = f"The vectors look like {found!r}: their {measured}."
    return Decision(given, f"{name[given]}, as the caller says", (note,))


def mean_sum_over_length(vectors: Array) -> float:
    """Return the mean sum of vectors (N, D), divided by their lengths; 0 if all are 0."""
    values = vectors.astype(np.float64)
    lengths = np.linalg.norm(values, axis=1)
    kept = (lengths > 0) & np.isfinite(lengths)
    if not kept.any():
        return 0.0
    return float((values[kept].sum(1) / lengths[kept]).mean())


def _lengths(vectors: Sequence[Array]) -> str:
    lengths = np.concatenate([np.linalg.norm(part.astype(np.float64), axis=1) for part in vectors])
    middle = float(np.median(lengths)) if len(lengths) else 0.0
    if np.allclose(lengths, middle, rtol=0.01):
        return f"length {middle:.4g}"
    return f"none: lengths from {lengths.min():.4g} to {lengths.max():.4g}"
