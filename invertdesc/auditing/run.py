"""Attack features under every scenario, and measure the reconstructions."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc._progress import Steps
from invertdesc._version import __version__
from invertdesc.auditing.attacks.lab import Lab
from invertdesc.auditing.attacks.public import Public
from invertdesc.auditing.attempts import Attempts, Page
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.matching import Matching
from invertdesc.auditing.result import Audit, Curve, Means, Portrait, Row, Series
from invertdesc.auditing.scenario import Scenario, Value
from invertdesc.auditing.subjects import Subject
from invertdesc.auditing.sweeps import Sweep
from invertdesc.auditing.threats import EVERYTHING, SHUFFLED, THREATS
from invertdesc.auditing.typical import Typical
from invertdesc.errors import InputError, InvertDescError
from invertdesc.evaluation.faces import detector_name
from invertdesc.evaluation.scores import Ruler, Scores
from invertdesc.evaluation.text import text_page
from invertdesc.evaluation.understanding import Viewer
from invertdesc.methods.base import name_of

if TYPE_CHECKING:
    from invertdesc.auditing.inputs import Inputs
    from invertdesc.descriptors import Descriptor
    from invertdesc.evaluation.recognition import Recogniser
    from invertdesc.evaluation.text import TextReader
    from invertdesc.methods import MethodLike


@dataclass(frozen=True, eq=False)
class Plan:
    """The scenarios to try; the full features and the floors are always tried.

    Attributes:
        threats: Threat models.
        defences: Defences.
        sweeps: Leakage curves to measure.
        seed: Random seed.
        thorough: Whether to try slow attacks as well.
        batch_size: Number of images of one size that are reconstructed together.
        device: Device for the method.
    """

    threats: Sequence[Scenario] = field(default_factory=lambda: [k.at() for k in THREATS.values()])
    defences: Sequence[Scenario] = field(
        default_factory=lambda: [k.at() for k in DEFENCES.values()]
    )
    sweeps: Sequence[Sweep] = ()
    seed: int = 0
    thorough: bool = False
    batch_size: int = 4
    device: str | torch.device | None = None

    @property
    def table(self) -> list[Scenario]:
        """Scenarios with all measures, each once."""
        chosen = [EVERYTHING.at(), *self.threats, *self.defences, SHUFFLED.at()]
        return list({one.key: one for one in chosen}.values())

    @property
    def drawn(self) -> list[Scenario]:
        """Further scenarios, which only the curves need."""
        taken = {one.key for one in self.table}
        points = [one for sweep in self.sweeps for line in sweep.lines for _, one in line.points]
        return list({one.key: one for one in points if one.key not in taken}.values())


@dataclass(frozen=True, eq=False)
class Tools:
    """What tells how much is understood, and what attackers learn from.

    Attributes:
        recogniser: Tells people apart; None to leave that out.
        reader: Reads text; None to leave that out.
        public: Pictures (3, H, W) that attackers learn from; empty for scikit-image's photographs.
    """

    recogniser: Recogniser | None = None
    reader: TextReader | None = None
    public: Sequence[Tensor] = ()


def run_plan(
    inputs: Inputs,
    *,
    method: MethodLike,
    ruler: Ruler,
    plan: Plan | None = None,
    tools: Tools | None = None,
    steps: Steps | None = None,
) -> Audit:
    """Attack images under every scenario of a plan.

    Args:
        inputs: Images with features, with or without originals.
        method: Method of the attack.
        ruler: Computes the measures.
        plan: Scenarios to try; None for all with default strengths, without curves.
        tools: What the attacker and the measures have besides; None for what ships.
        steps: Shows the scenarios, and how long the rest will take.

    Raises:
        InputError: There is no image, or no image has a keypoint.
        InvertDescError: The method cannot be used even with everything that is stored.
    """
    chosen = plan or Plan()
    if not any(len(subject.features) for subject in inputs.subjects):
        reasons = ["Expected at least one image with keypoints to audit, got none.", *inputs.notes]
        raise InputError(" ".join(reasons))
    steps = steps or Steps("audit", 0, "scenario", shown=False)
    attempts = _prepare(inputs, method, ruler, chosen, tools or Tools())
    whole = attempts.whole()
    count = len(inputs.subjects)
    scores = [attempts.measure(number, whole.pictures[number]) for number in range(count)]
    steps.begin()
    rows = []
    for scenario in chosen.table:
        rows.append(attempts.row(scenario))
        steps.take(scenario.title)
    rows.append(attempts.flat())
    light = []
    for scenario in chosen.drawn:
        light.append(attempts.row(scenario, quick=True))
        steps.take(scenario.title)
    draft = _result(attempts, chosen, rows, map(_portrait, inputs.subjects, whole.pictures, scores))
    found = {(row.name, row.value): row for row in (*rows, *light)}
    return replace(draft, curves=tuple(_curve(sweep, draft, found) for sweep in chosen.sweeps))


def _prepare(
    inputs: Inputs, method: MethodLike, ruler: Ruler, plan: Plan, tools: Tools
) -> Attempts:
    adapter = inputs.adapter
    originals = [one.image for one in inputs.subjects]
    there = [one for one in originals if one is not None]
    public = Public.of(adapter, tools.public) if tools.public else Public.shipped(adapter, there)
    typical = Typical(adapter)
    return Attempts(
        inputs,
        Lab(adapter, method, public, typical, plan.seed),
        ruler,
        Viewer(originals, tools.recogniser, tools.reader, others=public.pictures),
        _page(adapter, tools.reader),
        Matching(adapter, inputs.subjects, typical, plan.seed),
        plan.thorough,
        plan.batch_size,
        plan.device,
    )


def _page(adapter: Descriptor, reader: TextReader | None) -> Page | None:
    """Return a page of text, if it can be read and described."""
    if reader is None:
        return None
    picture, text = text_page()
    try:
        subject = Subject("page of text", adapter.extract(picture), picture)
    except InvertDescError:  # an adapter that only reads what others stored
        return None
    return Page(subject, text, reader)


def _result(
    attempts: Attempts, plan: Plan, rows: Sequence[Row], portraits: Iterable[Portrait]
) -> Audit:
    """Return the audit without curves."""
    given, viewer = attempts.inputs, attempts.viewer
    recogniser = viewer.recogniser
    return Audit(
        given.adapter.name,
        name_of(attempts.lab.method),
        plan.seed,
        attempts.headline,
        tuple(portraits),
        tuple(_in_order(rows)),
        (),
        given.notes,
        _versions(),
        given.total,
        given.left_out,
        Means(
            None if recogniser is None else recogniser.name,
            None if recogniser is None else recogniser.bounds,
            None if viewer.reader is None else viewer.reader.name,
            detector_name(),
            viewer.candidates,
            attempts.lab.public.source,
        ),
    )


def _in_order(rows: Sequence[Row]) -> list[Row]:
    """Return threats, then floors, then defences, each in the order given."""
    return [row for group in ("threat", "floor", "defence") for row in rows if row.group == group]


def _portrait(subject: Subject, picture: Tensor, scores: Scores) -> Portrait:
    from invertdesc.drawing import draw_keypoints

    return Portrait(
        subject.name,
        subject.features.image_size,
        len(subject.features),
        None if subject.image is None else len(subject.faces),
        scores,
        subject.image,
        draw_keypoints(subject.features),
        picture,
    )


def _curve(sweep: Sweep, draft: Audit, found: dict[tuple[str, Value], Row]) -> Curve:
    best, floor = (draft.score(draft.row(name)) for name in ("everything", "shuffled"))
    series = []
    for line in sweep.lines:
        rows = [(x, found[scenario.key]) for x, scenario in line.points]
        answered = any(len(row.tried) > 1 for _, row in rows)
        title = "an attacker who knows it" if answered else line.title
        series.append(_series(title, [(x, draft.score(row)) for x, row in rows], line.end, best))
        if answered:
            naive = [(x, row.tried[0].score) for x, row in rows if row.tried]
            series.append(_series("the naive one", naive, line.end, best))
    drawn = tuple(one for one in series if one.points)
    return Curve(sweep.title, sweep.axis, sweep.logarithmic, drawn, best, floor)


def _series(
    title: str, points: list[tuple[float, float | None]], end: float | None, best: float | None
) -> Series:
    """Return a line of the points that have a score, and of that of everything at its end."""
    if end is not None and any(y is not None for _, y in points):
        points = [*points, (end, best)]
    return Series(title, tuple(sorted((x, y) for x, y in points if y is not None)))


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("torch", "numpy", "opencv-contrib-python", "scikit-image")
    found = {"invertdesc": __version__, "python": platform.python_version()}
    return found | {name: _version_of(name, version) for name in names}


def _version_of(name: str, ask: Callable[[str], str]) -> str:
    from importlib.metadata import PackageNotFoundError

    try:
        return ask(name)
    except PackageNotFoundError:  # OpenCV has packages of several names
        return "unknown"
