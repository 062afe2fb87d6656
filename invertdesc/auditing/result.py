"""The results of an audit: numbers for tables, curves and JSON, and pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch import Tensor

from invertdesc._text import RESPONSIBLE
from invertdesc.auditing.scenario import Group, Value
from invertdesc.evaluation.recognition import Bounds
from invertdesc.evaluation.scores import Scores

Headline: TypeAlias = Literal["ncc", "consistency"]


@dataclass(frozen=True)
class Tried:
    """The result of one attack under one scenario.

    Attributes:
        name: Name of the attack.
        title: Short title.
        sentence: Sentence about what the attacker does.
        score: Mean of the measure that the verdict uses, or None.
        note: Reason why the attack was not possible, or None.
    """

    name: str
    title: str
    sentence: str
    score: float | None = None
    note: str | None = None


@dataclass(frozen=True, eq=False)
class Row:
    """The results of one scenario over all images.

    Attributes:
        name: Name of the scenario's kind.
        group: Threat, defence or floor.
        value: Strength: a number, a box, or None.
        title: Short title.
        sentence: Sentence about what the attacker has.
        images: Number of attacked images; 0 if the scenario does not apply.
        keypoints: Mean number of keypoints that the attacker has.
        scores: Mean scores over the images.
        patch_ncc: Mean NCC of single patches, if they cannot be arranged into a picture.
        note: Reason why there are no numbers, or None.
        attack: Title of the attack that gave the scores: the one that sees most.
        tried: All attacks that were tried, the naive one first.
        kept: Correct matches with a second picture under a defence, as a share of those without.
        picture: (3, h, w), the reconstruction of the first image, or None.
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
    attack: str | None = None
    tried: tuple[Tried, ...] = ()
    kept: float | None = None
    picture: Tensor | None = None


@dataclass(frozen=True)
class Series:
    """A line of a chart: (x, y) points from left to right."""

    title: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curve:
    """A chart of leakage curves; see `Sweep`.

    Attributes:
        title: Title of the chart.
        axis: Label of the x axis, with its unit.
        logarithmic: Whether the x axis is logarithmic.
        series: Lines of the chart.
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
        name: Name of the image.
        image_size: (H, W) in pixels, as attacked.
        keypoints: Number of keypoints.
        faces: Number of faces in the original; None without an original.
        scores: Scores of the reconstruction.
        original: (3, H, W) the original, or None.
        drawn: (3, H, W), a drawing of the keypoints.
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


@dataclass(frozen=True)
class Means:
    """What an audit was measured with.

    Attributes:
        recogniser: Name of what tells people apart, or None.
        bounds: Its bounds of distance, or None.
        reader: Name of what reads text, or None.
        detector: Name of the face detector.
        candidates: Number of pictures that the right one was picked from.
        public: Pictures that attackers learned from, in words.
    """

    recogniser: str | None = None
    bounds: Bounds | None = None
    reader: str | None = None
    detector: str = ""
    candidates: int = 0
    public: str = ""


@dataclass(frozen=True, eq=False)
class Audit:
    """The result of an audit.

    Attributes:
        descriptor: Registry name of the descriptor.
        method: Registry name of the attack.
        seed: Random seed.
        headline: Measure that the verdict and the curves use.
        portraits: Pictures and numbers of each image.
        rows: Results of threats, floors and defences.
        curves: Charts of leakage curves.
        notes: Sentences about what was left out or assumed.
        versions: Versions of the packages used.
        total: Number of images that the audited ones were chosen from, evenly spaced; None if all
            were audited.
        left_out: Number of images that could not be read.
        means: What it was measured with.
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
    means: Means = field(default_factory=Means)

    @property
    def chosen(self) -> str:
        """Text with the number of audited images, and of all images."""
        count = len(self.portraits)
        every = self.total is None or self.total <= count
        return str(count) if every else f"{count} of {self.total:,}"

    @property
    def faces(self) -> int:
        """Number of faces in the originals."""
        return sum(one.faces or 0 for one in self.portraits)

    @property
    def faces_found(self) -> float:
        """Number of these faces that are found in the reconstructions."""
        return sum((one.faces or 0) * (one.scores.faces or 0.0) for one in self.portraits)

    def row(self, name: str) -> Row:
        """Return the first row of a name; `"everything"` and `"shuffled"` are always there."""
        return next(row for row in self.rows if row.name == name)

    def score(self, row: Row) -> float | None:
        """Return the score that the verdict uses."""
        value: float | None = getattr(row.scores, self.headline)
        return value

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        source: str = "images",
        command: str | None = None,
    ) -> Path:
        """Write a report as .html, and its numbers as .json in the same folder, both atomically.

        Args:
            path: Path of the page; it must end in .html or .htm.
            source: Name of the audited data, for the title.
            command: Command to repeat the audit, for the page.

        Returns:
            Path of the .json file.

        Raises:
            InputError: The path has another suffix.
            FileError: The file cannot be written.
        """
        from invertdesc.auditing.report.report import save_report

        return save_report(self, path, source=source, command=command)

    def _repr_html_(self) -> str:
        """Show the report in a notebook, in a frame of its own so that styles do not mix."""
        from html import escape

        from invertdesc.auditing.report.report import render

        page = escape(render(self), quote=True)
        style = "width: 100%; height: 40rem; border: 1px solid #8888"
        return f'<iframe title="Report of the audit" style="{style}" srcdoc="{page}"></iframe>'

    def as_json(self) -> dict[str, Any]:
        """Return all numbers, without pictures, as JSON values."""
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
            "means": asdict(self.means),
            "versions": dict(self.versions),
            "use": RESPONSIBLE,
        }


def _plain(one: Portrait | Row) -> dict[str, Any]:
    """Return the fields that are not pictures, including the scores."""
    known = {name: value for name, value in vars(one).items() if not _is_picture(name)}
    scores = asdict(known.pop("scores"))
    tried = {"tried": [asdict(one) for one in known["tried"]]} if "tried" in known else {}
    return known | scores | tried


def _is_picture(name: str) -> bool:
    return name in ("original", "drawn", "picture")
