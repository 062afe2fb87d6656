"""What an audit found: numbers for the report's table, curves and JSON, and its pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch import Tensor

from invertdesc.auditing.scenario import Group, Value
from invertdesc.evaluation.scores import Scores

Headline: TypeAlias = Literal["ncc", "consistency"]


@dataclass(frozen=True, eq=False)
class Row:
    """One scenario, over all images.

    Attributes:
        name: Name of the scenario's kind.
        group: Threat, defence or floor.
        value: Strength, a number or a box, or None.
        title: A few words.
        sentence: What the attacker has.
        images: How many were attacked; 0 where the scenario does not apply.
        keypoints: That the attacker has, a mean over the images.
        scores: Means over the images.
        patch_ncc: Of patches each by itself, where they cannot be arranged.
        note: Why there are no numbers, or None.
        family: Of scenarios that are one defence under several attacks, the same.
        picture: (3, h, w), what became of the first image; None where there is none.
    """

    name: str
    group: Group
    value: Value
    title: str
    sentence: str
    images: int = 0
    keypoints: float = 0.0
    scores: Scores = field(default_factory=Scores)
    patch_ncc: float | None = None
    note: str | None = None
    family: str = ""
    picture: Tensor | None = None


@dataclass(frozen=True)
class Series:
    """A line of a chart: (x, y) points from left to right."""

    title: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curve:
    """A chart; see `Sweep`.

    Attributes:
        title: What is varied.
        axis: What stands along the x axis, with its unit.
        logarithmic: Whether the x axis is.
        series: Lines.
        best: y with everything that is stored.
        floor: y with the descriptors shuffled.
    """

    title: str
    axis: str
    logarithmic: bool
    series: tuple[Series, ...]
    best: float | None
    floor: float | None


@dataclass(frozen=True, eq=False)
class Portrait:
    """One image's pictures and numbers, with everything that is stored.

    Attributes:
        name: As the user knows it.
        image_size: (H, W) in pixels, as attacked.
        keypoints: How many.
        faces: In the original; None without one.
        scores: Of the reconstruction.
        original: (3, H, W) or None.
        drawn: (3, H, W), the keypoints alone.
        picture: (3, H, W), the reconstruction.
    """

    name: str
    image_size: tuple[int, int]
    keypoints: int
    faces: int | None
    scores: Scores
    original: Tensor | None
    drawn: Tensor
    picture: Tensor


@dataclass(frozen=True, eq=False)
class Audit:
    """All of it.

    Attributes:
        descriptor: Registry name.
        method: Registry name of the attack.
        seed: Of everything drawn.
        headline: The measure that the verdict and the curves go by.
        portraits: One an image.
        rows: Threats, floors and defences.
        curves: Charts.
        notes: What was left out or assumed, a sentence each.
        versions: Of what computed it.
        total: Images that those audited were chosen from, evenly spaced; None for all.
        left_out: Number of images that could not be read.
    """

    descriptor: str
    method: str
    seed: int
    headline: Headline
    portraits: tuple[Portrait, ...]
    rows: tuple[Row, ...]
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]
    versions: Mapping[str, str]
    total: int | None = None
    left_out: int = 0

    @property
    def chosen(self) -> str:
        """How many images were audited, and of how many."""
        count = len(self.portraits)
        every = self.total is None or self.total <= count
        return str(count) if every else f"{count} of {self.total:,}"

    @property
    def faces(self) -> int:
        """Number of faces in the originals."""
        return sum(one.faces or 0 for one in self.portraits)

    @property
    def faces_found(self) -> float:
        """Number of those that are found in the reconstructions."""
        return sum((one.faces or 0) * (one.scores.faces or 0.0) for one in self.portraits)

    def row(self, name: str) -> Row:
        """Return the first row of a name; `"everything"` and `"shuffled"` are always there."""
        return next(row for row in self.rows if row.name == name)

    def score(self, row: Row) -> float | None:
        """Return what the verdict goes by."""
        value: float | None = getattr(row.scores, self.headline)
        return value

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        source: str = "images",
        command: str | None = None,
    ) -> Path:
        """Write a report as .html, and its numbers as .json beside it, each whole or not at all.

        Args:
            path: Name of the page, which ends in .html or .htm.
            source: What was audited, for the title.
            command: What was run, to be repeated.

        Returns:
            Where the numbers are.

        Raises:
            InputError: Another suffix.
            FileError: The place cannot be written.
        """
        from invertdesc.auditing.report.report import save_report

        return save_report(self, path, source=source, command=command)

    def as_json(self) -> dict[str, Any]:
        """Return all numbers, with no picture, as JSON takes them."""
        return {
            "format": "invertdesc-audit",
            "format_version": 1,
            "descriptor": self.descriptor,
            "method": self.method,
            "seed": self.seed,
            "headline": self.headline,
            "images_in_all": self.total,
            "images": [_plain(one) for one in self.portraits],
            "rows": [_plain(row) for row in self.rows],
            "curves": [asdict(curve) for curve in self.curves],
            "notes": list(self.notes),
            "versions": dict(self.versions),
        }


def _plain(one: Portrait | Row) -> dict[str, Any]:
    """Return the fields that are no pictures, with the scores among them."""
    known = {name: value for name, value in vars(one).items() if not _is_picture(name)}
    scores = asdict(known.pop("scores"))
    return known | scores


def _is_picture(name: str) -> bool:
    return name in ("original", "drawn", "picture")
