"""Turn what was measured into words: who and what is recognised, how much each defence buys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invertdesc.auditing.result import Audit, Row

Level: TypeAlias = Literal["high", "partial", "low"]
What: TypeAlias = Literal["people", "text", "picture"]

# Shares from which the words change. A tenth is ten times what a recogniser accepts of strangers.
HALF, SOME = 0.5, 0.1
TRUST = 0.1  # likeness that an attacker who knows the defence gains, from which to warn of it
LEAST = 15  # faces or pictures, from which "a defence held" means something
USEFUL = 0.5  # share of correct matches kept, from which a defence is worth its price

CHIPS: dict[What, str] = {
    "people": "people recognised",
    "text": "text read",
    "picture": "right picture picked",
}
VERDICTS: dict[tuple[What, Level], str] = {
    ("people", "high"): "People can be recognised from what is stored.",
    ("people", "partial"): "Some people can be recognised from what is stored.",
    ("people", "low"): "This attack made nearly no person recognisable.",
    ("text", "high"): "Text in the pictures can be read from what is stored.",
    ("text", "partial"): "Parts of the text in the pictures can be read from what is stored.",
    ("text", "low"): "This attack made nearly no text readable.",
    ("picture", "high"): "What is stored shows which picture it came from.",
    ("picture", "partial"): "What is stored often shows which picture it came from.",
    ("picture", "low"): "This attack hardly shows which picture it was.",
}


class Finding(NamedTuple):
    """What is understood in a scenario.

    Attributes:
        what: People, text, or which picture it is where there is neither.
        share: Share from 0 to 1.
        level: The word for it.
    """

    what: What
    share: float
    level: Level

    @property
    def chip(self) -> str:
        """A few words with the number."""
        return f"{CHIPS[self.what]}: {100 * self.share:.0f} %"


def finding(audit: Audit, row: Row) -> Finding | None:
    """Return what is understood most in a scenario; None where nothing of it was measured.

    People and text come first. Which picture it is counts only where originals have neither, and
    where it does not follow from the places of keypoints alone, as among a few pictures.
    """
    scores = row.scores
    known: list[tuple[What, float | None]] = [
        ("people", scores.recognised),
        ("text", scores.characters),
    ]
    found = [(what, share) for what, share in known if share is not None]
    if not found and scores.picked is not None and _tells_pictures(audit):
        found = [("picture", scores.picked)]
    if not found:
        return None
    what, share = max(found, key=lambda one: one[1])
    floor = 2 * (scores.impostors or 0.0) if what == "people" else 0.0
    level: Level = "high" if share >= HALF else "partial" if share >= max(SOME, floor) else "low"
    return Finding(what, share, level)


def _tells_pictures(audit: Audit) -> bool:
    """Say whether more of the right pictures are picked than with descriptors shuffled."""
    seen, floor = (audit.row(name).scores.picked for name in ("everything", "shuffled"))
    return floor is None or (seen is not None and seen >= floor + SOME)


def verdict(audit: Audit) -> str:
    """Return one sentence about what is stored."""
    found = finding(audit, audit.row("everything"))
    if found is None:
        return "Whether anybody can be recognised was not measured."
    if (found.what, found.level) == ("people", "low") and audit.faces < LEAST:
        words = "face was" if audit.faces == 1 else "faces were"
        return (
            f"{found.share * audit.faces:.0f} of {audit.faces} {words} recognised: too few faces "
            "to say that people are safe."
        )
    return VERDICTS[found.what, found.level]


def understood(audit: Audit) -> list[str]:
    """Return what can be recognised with everything that is stored, a sentence each."""
    return [_people(audit), _text(audit), _page(audit), _picture(audit)]


def _people(audit: Audit) -> str:
    scores, means = audit.row("everything").scores, audit.means
    if scores.recognised is None:
        reason = "no face was found in an original"
        if all(one.original is None for one in audit.portraits):
            reason = "no original is at hand"
        elif means.recogniser is None:
            reason = "no face recogniser is installed (extra identity)"
        elif means.bounds is None:
            reason = "nobody measured from which distance on the given model means two people"
        return f"People: not measured, since {reason}."
    text = (
        f"People: {_percent(scores.recognised)} of the faces are accepted as the same person by "
        f"{means.recogniser} where it accepts one in a hundred strangers"
    )
    if scores.recognised_strict is not None:
        text += f", {_percent(scores.recognised_strict)} where it accepts one in a thousand"
    text += ". A face that is not found again counts as not recognised."
    if scores.impostors is not None:
        text += f" Of the other people here it takes {_percent(scores.impostors)} for them."
    floor = audit.row("shuffled").scores.recognised
    return text + ("" if floor is None else f" With descriptors shuffled: {_percent(floor)}.")


def _text(audit: Audit) -> str:
    scores = audit.row("everything").scores
    if audit.means.reader is None:
        return "Text: not measured, since no program that reads text is installed (extra text)."
    if scores.characters is None:
        return "Text in the pictures: none was found in an original to be read again."
    return (
        f"Text in the pictures: {_percent(scores.characters)} of the characters and "
        f"{_percent(scores.words or 0.0)} of the words that {audit.means.reader} reads in "
        "originals are read again."
    )


def _page(audit: Audit) -> str:
    scores = audit.row("everything").scores
    if scores.page_characters is None:
        return ""
    return (
        "A test page of text 20 pixels high, described and attacked in the same way: "
        f"{_percent(scores.page_characters)} of its characters are read, "
        f"{_percent(scores.page_words or 0.0)} of its words."
    )


def _picture(audit: Audit) -> str:
    scores, count = audit.row("everything").scores, audit.means.candidates
    if scores.picked is None:
        return "Which picture it is: not measured, since no original is at hand."
    text = (
        f"Which picture it is: {_percent(scores.picked)} of the reconstructions are more like the "
        f"right original than like any other of {count} pictures; by chance it would be "
        f"{_percent(1 / max(count, 1))}."
    )
    floor = audit.row("shuffled").scores.picked
    return text + ("" if floor is None else f" With descriptors shuffled: {_percent(floor)}.")


def advice(audit: Audit) -> list[str]:
    """Return what to do about it, a sentence each."""
    found = finding(audit, audit.row("everything"))
    said = []
    if found is None:
        shown = any(one.original is not None for one in audit.portraits)
        bring = "" if shown else "bring the originals of some pictures, and "
        said.append(
            f"Have it measured before you decide: {bring}install the extras identity and text. "
            "Until then treat what is stored like the pictures."
        )
    elif found.level == "low":
        said.append(
            "This attack failed. That does not prove that what is stored is safe: others may see "
            "more. Publish it only if you could also accept that the pictures become known."
        )
    else:
        said.append(
            "Treat what is stored as you treat the pictures themselves: the same people may have "
            "it, for the same time, under the same agreement."
        )
    return [*said, *_defences(audit), *_warnings(audit)]


def _defences(audit: Audit) -> list[str]:
    tried = [
        row for row in audit.rows if row.group == "defence" and finding(audit, row) is not None
    ]
    if not tried:
        return []
    about = _about(audit, tried)
    count = audit.faces if about == "faces" else len(audit.portraits)
    if count < LEAST:
        return [
            f"Which defence helps, {count} {about} cannot show: audit more pictures, such "
            "as 20. Look at the pictures above meanwhile."
        ]
    helped = [row for row in tried if _level(audit, row) == "low" and not _betrayed(audit, row)]
    worth = [row for row in helped if row.kept is not None and row.kept >= USEFUL]
    if worth:
        names = ", ".join(
            f"“{row.title}” ({_percent(row.kept or 0.0)} of matches)" for row in worth
        )
        return [f"Against the attacks tried here these defences held and kept matching: {names}."]
    if helped:
        names = ", ".join(f"“{row.title}” ({_matches(row)})" for row in helped)
        return [
            f"Only these defences held, and each costs most of the matching: {names}. A smaller "
            "set of features, or none, may serve you as well."
        ]
    return ["No defence that was tried held against an attacker who knows it."]


def _warnings(audit: Audit) -> list[str]:
    """Return the defences that only stop attackers who do not know them."""
    found = []
    for row in audit.rows:
        if row.group == "defence" and _betrayed(audit, row):
            naive, worst = row.tried[0].score or 0.0, audit.score(row) or 0.0
            found.append(
                f"Do not rely on “{row.title}”: the naive attack reaches a likeness of "
                f"{naive:.2f}, one that knows it {worst:.2f} ({row.attack})."
            )
    return found


def _betrayed(audit: Audit, row: Row) -> bool:
    """Say whether an attacker who knows a defence sees much more than one who does not."""
    naive, worst = (row.tried[0].score if row.tried else None), audit.score(row)
    return naive is not None and worst is not None and worst - naive >= TRUST


def _about(audit: Audit, rows: Sequence[Row]) -> str:
    """Return what the findings of rows are about, for a count of them."""
    found = finding(audit, rows[0])
    return {"people": "faces"}.get("" if found is None else found.what, "pictures")


def _level(audit: Audit, row: Row) -> Level | None:
    found = finding(audit, row)
    return None if found is None else found.level


def _matches(row: Row) -> str:
    return "matching not measured" if row.kept is None else f"{_percent(row.kept)} of matches"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 or not share else f"{100 * share:.1f} %"
