"""Attack features under every scenario, and measure the reconstructions."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc._version import __version__
from invertdesc.auditing import mosaic
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.result import Audit, Curve, Portrait, Row, Series
from invertdesc.auditing.scenario import Scenario, Value
from invertdesc.auditing.sweeps import Sweep
from invertdesc.auditing.threats import EVERYTHING, SHUFFLED, THREATS
from invertdesc.auditing.typical import Typical
from invertdesc.errors import InputError, InvertDescError, NoKeypointsWarning
from invertdesc.evaluation.baselines import flat_picture
from invertdesc.evaluation.metrics import ncc
from invertdesc.evaluation.scores import Ruler, Scores, mean_of
from invertdesc.image import to_gray
from invertdesc.methods.base import name_of

if TYPE_CHECKING:
    from invertdesc.auditing.inputs import Inputs
    from invertdesc.auditing.subjects import Subject
    from invertdesc.features.local import LocalFeatures
    from invertdesc.methods import MethodLike


@dataclass(frozen=True, eq=False)
class Plan:
    """The scenarios to try; the full features and the floors are always tried.

    Attributes:
        threats: Threat models.
        defences: Defences.
        sweeps: Leakage curves to measure.
        seed: Random seed.
        batch_size: Number of images of one size that are reconstructed together.
        device: Device for the method.
    """

    threats: Sequence[Scenario] = field(default_factory=lambda: [k.at() for k in THREATS.values()])
    defences: Sequence[Scenario] = field(
        default_factory=lambda: [k.at() for k in DEFENCES.values()]
    )
    sweeps: Sequence[Sweep] = ()
    seed: int = 0
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


def run_plan(
    inputs: Inputs,
    *,
    method: MethodLike,
    ruler: Ruler,
    plan: Plan | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Audit:
    """Attack images under every scenario of a plan.

    Args:
        inputs: Images with features, with or without originals.
        method: Method of the attack.
        ruler: Computes the measures.
        plan: Scenarios to try; None for all with default strengths, without curves.
        tick: Called after each scenario.

    Raises:
        InputError: There is no image, or no image has a keypoint.
        InvertDescError: The method cannot be used even with everything that is stored.
    """
    chosen = plan or Plan()
    if not any(len(subject.features) for subject in inputs.subjects):
        reasons = ["Expected at least one image with keypoints to audit, got none.", *inputs.notes]
        raise InputError(" ".join(reasons))
    run = _Run(inputs, method, ruler, chosen, Typical(inputs.adapter))
    first, *others = chosen.table
    known = [subject.features for subject in inputs.subjects]
    base = run.reconstruct(known)
    scores = run.measure(base)
    rows = [run.make_row(first, known, base, scores)]
    tick()
    for scenario in others:
        rows.append(run.row(scenario))
        tick()
    rows.append(run.flat())
    light = []
    for scenario in chosen.drawn:
        light.append(run.row(scenario, quick=True))
        tick()
    draft = run.result(rows, map(_portrait, inputs.subjects, base, scores))
    found = {(row.name, row.value): row for row in (*rows, *light)}
    return replace(draft, curves=tuple(_curve(sweep, draft, found) for sweep in chosen.sweeps))


@dataclass
class _Run:
    """Runs the attack on features and measures the results."""

    inputs: Inputs
    method: MethodLike
    ruler: Ruler
    plan: Plan
    typical: Typical

    def result(self, rows: Sequence[Row], portraits: Iterable[Portrait]) -> Audit:
        """Return the audit without curves."""
        given = self.inputs
        compared = any(one.image is not None for one in given.subjects)
        return Audit(
            given.adapter.name,
            name_of(self.method),
            self.plan.seed,
            "ncc" if compared else "consistency",
            tuple(portraits),
            tuple(_in_order(rows)),
            (),
            given.notes,
            _versions(),
            given.total,
            given.left_out,
        )

    def measure(self, pictures: Sequence[Tensor], *, quick: bool = False) -> list[Scores]:
        """Measure the reconstruction of each image, by all measures or only those of curves."""
        pairs = zip(self.inputs.subjects, pictures, strict=True)
        if quick:
            return [self.ruler.quick(one.features, made, one.image) for one, made in pairs]
        return [self.ruler.full(one.features, made, one.image, one.faces) for one, made in pairs]

    def row(self, scenario: Scenario, *, quick: bool = False) -> Row:
        """Return the row of a scenario, or a row with a note why it cannot be tried."""
        try:
            known = [self._known(scenario, number) for number in range(len(self.inputs.subjects))]
            pictures = self.reconstruct(known)
        except InvertDescError as error:
            return replace(_blank(scenario), note=str(error))
        if not scenario.arranged:
            patches = [self._patches(*pair) for pair in zip(known, pictures, strict=True)]
            found = self.make_row(scenario, known, [mosaic.show(patches[0])], [])
            return replace(found, patch_ncc=self._patch_ncc(patches))
        return self.make_row(scenario, known, pictures, self.measure(pictures, quick=quick))

    def make_row(
        self,
        scenario: Scenario,
        known: Sequence[LocalFeatures],
        pictures: Sequence[Tensor],
        scores: Sequence[Scores],
    ) -> Row:
        """Return the row of a scenario with pictures and scores."""
        return replace(
            _blank(scenario),
            images=len(known),
            keypoints=sum(map(len, known)) / len(known),
            scores=mean_of(scores) if scores else Scores(),
            picture=pictures[0],
        )

    def flat(self) -> Row:
        """Return the floor of a flat gray picture."""
        pictures = [flat_picture(one.features.image_size) for one in self.inputs.subjects]
        return Row(
            "flat",
            "floor",
            None,
            "Floor: a flat gray picture",
            "No attack: the value of each measure for a flat picture.",
            len(pictures),
            0.0,
            mean_of(self.measure(pictures)),
            picture=pictures[0],
        )

    def reconstruct(self, known: Sequence[LocalFeatures]) -> list[Tensor]:
        """Return a picture for each of the features; a flat one if there are no keypoints."""
        from invertdesc.api import reconstruct

        some = [one for one in known if len(one)]
        with warnings.catch_warnings():
            # An attacker who knows only positions uses the same vector for all.
            warnings.simplefilter("ignore", NoKeypointsWarning)
            pictures = reconstruct(
                some,
                descriptor=self.inputs.adapter,
                method=self.method,
                batch_size=self.plan.batch_size,
                device=self.plan.device,
            )
        made = iter(pictures)
        return [next(made).cpu() if len(one) else flat_picture(one.image_size) for one in known]

    def _known(self, scenario: Scenario, number: int) -> LocalFeatures:
        features = self.inputs.subjects[number].features
        if not len(features):
            return features
        return scenario.apply(
            features, self.inputs.adapter, self.typical, seed=self.plan.seed, image=number
        )

    def _patches(self, known: LocalFeatures, picture: Tensor) -> Tensor:
        gray = to_gray(picture, "luma")
        return mosaic.cut_out(gray, self.inputs.adapter.frame, len(known))

    def _patch_ncc(self, patches: Sequence[Tensor]) -> float | None:
        """Return the mean NCC of patches with the corresponding squares of the original."""
        values = []
        for subject, made in zip(self.inputs.subjects, patches, strict=True):
            if subject.image is not None and len(made):
                gray = to_gray(subject.image, "luma")
                true = mosaic.true_patches(gray, subject.features, self.inputs.adapter.frame)
                values.append(float(ncc(made, true).mean()))
        return sum(values) / len(values) if values else None


def _blank(scenario: Scenario) -> Row:
    return Row(
        scenario.name,
        scenario.group,
        scenario.value,
        scenario.title,
        scenario.sentence,
        family=scenario.family,
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
        points = [(x, draft.score(found[scenario.key])) for x, scenario in line.points]
        if line.end is not None and any(y is not None for _, y in points):
            points.append((line.end, best))
        known = sorted((x, y) for x, y in points if y is not None)
        series.append(Series(line.title, tuple(known)))
    drawn = tuple(one for one in series if one.points)
    return Curve(sweep.title, sweep.axis, sweep.logarithmic, drawn, best, floor)


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
