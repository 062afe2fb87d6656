"""Describe the numbers of an audit in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from invertdesc.auditing.result import Audit, Portrait, Row


Level: TypeAlias = Literal["high", "partial", "low"]

# Thresholds of likeness, which is NCC, and of agreement, rescaled from its floor to 1. They were
# chosen by looking at reconstructions of scikit-image's pictures: above the first, one can see what
# the picture shows; below the second, hardly an outline is visible.
BOUNDS = {"ncc": (0.6, 0.3), "consistency": (0.5, 0.2)}
NAMES = {"ncc": "likeness", "consistency": "agreement"}
CHIPS: dict[Level, str] = {"high": "recognisable", "partial": "in part", "low": "little seen"}
VERDICTS: dict[Level, str] = {
    "high": "What is stored is enough to see the pictures again.",
    "partial": "What is stored is enough to see parts and outlines of the pictures.",
    "low": "This attack recovered little of the pictures.",
}


class Column(NamedTuple):
    """A column of the table: a measure, its heading, what it means, and its digits."""

    name: str
    heading: str
    meaning: str
    digits: int = 3


COLUMNS = (
    Column("ncc", "NCC", "Normalised cross-correlation with the original, gray; 1 is the same"),
    Column("gradient", "gradients", "Correlation of the gradients; 1 is the same"),
    Column("ssim", "SSIM", "Structural similarity, gray, window 11 x 11; 1 is the same"),
    Column("psnr", "PSNR (dB)", "Peak signal to noise ratio, colour; larger is closer", 1),
    Column("vgg", "VGG16", "Distance in the features of VGG16; 0 is the same"),
    Column("lpips", "LPIPS", "LPIPS with the original; 0 is the same"),
    Column("identity", "identity", "Distance of faces by the given model; 0 is the same"),
    Column("faces", "faces found", "Share of the original's faces that a detector finds again", 2),
    Column("faces_seen", "faces seen", "Faces that a detector sees in a picture, on average", 2),
    Column("consistency", "agreement", "Agreement of the picture's vectors with the stored ones"),
    Column("consistency_floor", "its floor", "The same with the stored descriptors shuffled"),
)


def level_of(audit: Audit, row: Row) -> Level | None:
    """Return the level of leakage in a scenario; None if it was not measured."""
    score, floor = audit.score(row), row.scores.consistency_floor
    if score is None:
        return None
    if audit.headline == "consistency" and floor is not None:
        score = (score - floor) / max(1 - floor, 1e-9)
    high, partial = BOUNDS[audit.headline]
    return "high" if score >= high else "partial" if score >= partial else "low"


def columns(audit: Audit) -> list[Column]:
    """Return the columns with at least one number."""
    return [
        column
        for column in COLUMNS
        if any(getattr(row.scores, column.name) is not None for row in audit.rows)
    ]


def caption(one: Portrait) -> str:
    """Return one line of text about an image."""
    height, width = one.image_size
    found = [f"{one.keypoints:,} keypoints", f"{width} x {height} pixels"]
    for name, label in NAMES.items():
        value = getattr(one.scores, name)
        if value is not None:
            found.append(f"{label} {value + 0.0:.2f}")
    return " · ".join(found)


def verdict(audit: Audit) -> str:
    """Return the verdict, one sentence."""
    level = level_of(audit, audit.row("everything"))
    return "Nothing could be measured." if level is None else VERDICTS[level]


def outcome(audit: Audit) -> str:
    """Describe the score with everything stored, its floor, and the score of the best defence."""
    name = NAMES[audit.headline]
    best, floor = (audit.score(audit.row(which)) for which in ("everything", "shuffled"))
    if best is None:
        return ""
    text = f"With everything that is stored, {name} is {best:.2f} (1 is perfect)"
    text += "." if floor is None else f"; with the same descriptors shuffled, {floor:.2f}."
    tried = _defences(audit)
    if tried:
        score, row = min(tried, key=lambda one: one[0])
        text += f" Of {len(tried)} defences tried, “{row.title}” lowered it most, to {score:.2f}"
        text += "." if floor is None or score <= floor else ", which is still above shuffled."
    return text


def _defences(audit: Audit) -> list[tuple[float, Row]]:
    """Return the score of each defence under its strongest attack."""
    worst: dict[tuple[str, object], tuple[float, Row]] = {}
    for row in audit.rows:
        score = audit.score(row)
        if row.group == "defence" and score is not None:
            key = (row.family, row.value)
            worst[key] = max(worst.get(key, (score, row)), (score, row), key=lambda one: one[0])
    return list(worst.values())


def measured(audit: Audit) -> list[str]:
    """Return sentences about what was measured."""
    count = len(audit.portraits)
    known = sum(one.original is not None for one in audit.portraits)
    scores = audit.row("everything").scores
    found = [
        f"{_images(audit)} with {_keypoints(audit)} keypoints on average, "
        f"described by {audit.descriptor}, attacked by the method {audit.method}."
    ]
    if known:
        found.append(
            f"Likeness to the original (NCC, gradients, SSIM, PSNR), which was given for {known} "
            f"of {count}. Descriptors contain neither brightness nor contrast: read NCC first."
        )
    if scores.consistency is not None:
        found.append(
            "Agreement: the reconstruction is described again at the stored keypoints, and its "
            "descriptors are compared with the stored ones (mean cosine; for bits, the share that "
            "agrees). It needs no original. Its floor is the same with the stored ones shuffled."
        )
    if scores.vgg is not None:
        found.append("Distance in the features of VGG16, 0 for the same picture.")
    if scores.faces_seen is not None or any(one.faces is not None for one in audit.portraits):
        found.append(_faces(audit))
    if scores.identity is not None:
        found.append("Distance of faces by the identity model that was given, 0 for the same.")
    return found


def unmeasured(audit: Audit) -> list[str]:
    """Return sentences about what was not measured."""
    scores = audit.row("everything").scores
    found = [
        f"Other attacks. Only one method was tried; a network trained on pictures of this kind may "
        f"see more. Low numbers mean that {audit.method} failed, not that every attack fails.",
        "Guesses of an attacker about missing data: a secret order from statistics, descriptors in "
        "subspaces from overlapping ones, positions from descriptors. Here they are assumed or not "
        "changed. Orientations and scales were recovered if the table says so, in one way.",
        "How well matching or localisation still works under a defence. Measure that with your own "
        "pipeline before choosing one.",
        "Other images than these. Texts, plates and faces may leak more or less than the mean.",
    ]
    if all(one.original is None for one in audit.portraits):
        found.append("Likeness to originals: there were none. Agreement is used instead.")
    if scores.consistency is None:
        found.append(
            f"Agreement: {audit.descriptor} could not be computed at the stored keypoints."
        )
    if scores.identity is None:
        found.append("Whether a person can be identified: no identity model was given.")
    if scores.vgg is None:
        found.append("Distance in VGG16: no weights were given.")
    return found


def _images(audit: Audit) -> str:
    count = len(audit.portraits)
    if audit.chosen == str(count):
        return f"{count} image{'s' * (count != 1)}"
    return f"{audit.chosen} images, evenly spaced,"


def _keypoints(audit: Audit) -> str:
    return f"{sum(one.keypoints for one in audit.portraits) / len(audit.portraits):,.0f}"


def _faces(audit: Audit) -> str:
    counted = [one.faces for one in audit.portraits if one.faces is not None]
    how = "scikit-image's cascade for frontal faces, which misses small, turned and blurred ones"
    if not counted:
        return f"Faces that a detector finds in reconstructions ({how}); false alarms count."
    total = sum(counted)
    if not total:
        return f"No faces: a detector found none in the originals to look for again ({how})."
    return (
        f"Whether the {total} face{'s' * (total != 1)} that a detector finds in the originals can "
        f"be found in the reconstructions too ({how})."
    )
