"""Name the numbers of an audit, and say in plain words how they were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from invertdesc._text import RESPONSIBLE as RESPONSIBLE

if TYPE_CHECKING:
    from invertdesc.auditing.result import Audit, Portrait

NAMES = {"ncc": "likeness", "consistency": "agreement"}


class Column(NamedTuple):
    """A column of the table: a measure, its heading, what it means, and its digits."""

    name: str
    heading: str
    meaning: str
    digits: int = 3


COLUMNS = (
    Column("recognised", "people", "Share of the faces accepted at 1 % false accepts", 2),
    Column("recognised_strict", "people, strict", "The same at 0.1 % false accepts", 2),
    Column("impostors", "strangers", "Share of the other originals' faces accepted for them", 2),
    Column("identity", "face distance", "Distance of faces by the recogniser; 0 is the same"),
    Column("characters", "characters", "Share of the originals' characters read again", 2),
    Column("words", "words", "Share of the originals' words read again", 2),
    Column("page_characters", "test page", "Share of the characters read on the test page", 2),
    Column("page_words", "its words", "Share of the words read on the test page", 2),
    Column("picked", "right picture", "Share of reconstructions most like the right original", 2),
    Column("ncc", "NCC", "Normalised cross-correlation with the original, gray; 1 is the same"),
    Column("gradient", "gradients", "Correlation of the gradients; 1 is the same"),
    Column("ssim", "SSIM", "Structural similarity, gray, window 11 x 11; 1 is the same"),
    Column("psnr", "PSNR (dB)", "Peak signal to noise ratio, colour; larger is closer", 1),
    Column("vgg", "VGG16", "Distance in the features of VGG16; 0 is the same"),
    Column("lpips", "LPIPS", "LPIPS with the original; 0 is the same"),
    Column("faces", "faces found", "Share of the original's faces that a detector finds again", 2),
    Column("faces_seen", "faces seen", "Faces that a detector sees in a picture, on average", 2),
    Column("consistency", "agreement", "Agreement of the picture's vectors with the stored ones"),
    Column("consistency_floor", "its floor", "The same with the stored descriptors shuffled"),
)


def columns(audit: Audit) -> list[Column]:
    """Return the columns with at least one number."""
    return [
        column
        for column in COLUMNS
        if any(getattr(row.scores, column.name) is not None for row in audit.rows)
    ]


def extremes(audit: Audit) -> str | None:
    """Return which image is seen best, and which least; None if there are no two to compare."""
    scores = {one.name: getattr(one.scores, audit.headline) for one in audit.portraits}
    known = sorted((score, name) for name, score in scores.items() if score is not None)
    if len(known) < 2:
        return None
    (low, least), *_, (high, most) = known
    label = NAMES[audit.headline]
    return f"Best seen is {most} ({label} {high:.2f}), least {least} ({low + 0.0:.2f})."


def caption(one: Portrait) -> str:
    """Return one line about an image."""
    height, width = one.image_size
    found = [f"{one.keypoints:,} keypoints", f"{width} x {height} pixels"]
    if one.scores.recognised is not None and one.faces:
        found.append(f"people recognised {one.scores.recognised * one.faces:.0f} of {one.faces}")
    if one.scores.characters is not None:
        found.append(f"text read {100 * one.scores.characters:.0f} %")
    for name, label in NAMES.items():
        value = getattr(one.scores, name)
        if value is not None:
            found.append(f"{label} {value + 0.0:.2f}")
    return " · ".join(found)


def sample(audit: Audit) -> str:
    """Say how many images of how many were audited, and which."""
    count, total = len(audit.portraits), audit.total or len(audit.portraits)
    names = [one.name for one in audit.portraits]
    shown = ", ".join(names[:8]) + (f" and {count - 8} more, evenly spaced" if count > 8 else "")
    if total <= count:
        return f"All {count} images were audited: {shown}." if count > 1 else f"Audited: {shown}."
    left = f" {audit.left_out} could not be read." if audit.left_out else ""
    return f"{count} of {total:,} images were audited, evenly spaced: {shown}.{left}"


def measured(audit: Audit) -> list[str]:
    """Return sentences about what was measured."""
    count = len(audit.portraits)
    known = sum(one.original is not None for one in audit.portraits)
    scores, means = audit.row("everything").scores, audit.means
    found = [
        f"{_keypoints(audit)} keypoints an image on average, described by {audit.descriptor}, "
        f"attacked by the method {audit.method}. Attackers who answer a defence learned from "
        f"{means.public}."
    ]
    if means.recogniser is not None and means.bounds is not None:
        bounds = means.bounds
        found.append(
            f"People: {means.recogniser} compares aligned faces. Two faces of a distance up to "
            f"{bounds.loose:.3f} count as one person (one in a hundred pairs of different people "
            f"is as near), strictly up to {bounds.strict:.3f} (one in a thousand); measured on "
            f"{bounds.source}. For other groups of people these rates are others."
        )
    if means.reader is not None:
        found.append(
            f"Text: {means.reader} reads; characters are 1 - edit distance / length of letters and "
            "digits. The test page is black on white, 20 pixels high."
        )
    if known:
        found.append(
            f"Likeness to the original (NCC, gradients, SSIM, PSNR), which was given for {known} "
            f"of {count}. It chooses the worst attack; no word of this report comes from it, for a "
            "blurred blob can have more of it than a face that everybody knows."
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
    if any(row.kept is not None for row in audit.rows):
        found.append(
            "Matching: each original is turned by 12 degrees, shrunk by a tenth and tilted. Its "
            "features, not defended, are matched with the stored ones (mutual nearest neighbours); "
            "a match within 3 pixels is correct. The number is relative to no defence."
        )
    return found


def unmeasured(audit: Audit) -> list[str]:
    """Return sentences about what was not measured."""
    scores = audit.row("everything").scores
    found = [
        "Other attacks. A network trained on pictures of this kind, or on defended ones, may see "
        "more. Low numbers mean that these attacks failed, not that every attack fails.",
        "Descriptors without positions: no attack here arranges them into a picture.",
        "What people know besides: a name beside a face, a place, a date.",
        "Other images than these. Texts, plates and faces may leak more or less than the mean.",
        "Localisation and 3D models under a defence. Matches kept are the first step of both; "
        "measure your own pipeline before choosing a defence.",
    ]
    if not audit.curves:
        found.append("Slow attacks, such as correcting recovered scales and orientations in turn.")
    if all(one.original is None for one in audit.portraits):
        found.append("Likeness to originals: there were none. Agreement is used instead.")
    if scores.consistency is None:
        found.append(
            f"Agreement: {audit.descriptor} could not be computed at the stored keypoints."
        )
    if scores.recognised is None:
        found.append("Whether a person can be recognised.")
    if scores.characters is None:
        found.append("Whether text in the pictures can be read.")
    return found


def _keypoints(audit: Audit) -> str:
    return f"{sum(one.keypoints for one in audit.portraits) / len(audit.portraits):,.0f}"


def _faces(audit: Audit) -> str:
    counted = [one.faces for one in audit.portraits if one.faces is not None]
    how = audit.means.detector
    if not counted:
        return f"Faces that a detector finds in reconstructions ({how}); false alarms count."
    total = sum(counted)
    if not total:
        return f"No faces: a detector found none in the originals to look for again ({how})."
    return (
        f"Whether the {total} face{'s' * (total != 1)} that a detector finds in the originals can "
        f"be found in the reconstructions too ({how})."
    )
