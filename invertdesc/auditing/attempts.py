"""Attack the images under one scenario in every way that fits it, and measure the worst case."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from invertdesc.auditing import mosaic
from invertdesc.auditing.attacks.attack import NAIVE, Attack
from invertdesc.auditing.attacks.lab import Lab
from invertdesc.auditing.matching import Matching
from invertdesc.auditing.result import Headline, Row, Tried
from invertdesc.auditing.scenario import Scenario
from invertdesc.auditing.subjects import Subject
from invertdesc.errors import InvertDescError, NoKeypointsWarning
from invertdesc.evaluation.baselines import flat_picture
from invertdesc.evaluation.metrics import ncc
from invertdesc.evaluation.scores import Ruler, Scores, mean_of
from invertdesc.evaluation.text import TextReader, share_read
from invertdesc.evaluation.understanding import Viewer
from invertdesc.image import to_gray

if TYPE_CHECKING:
    from invertdesc.auditing.inputs import Inputs
    from invertdesc.features.local import LocalFeatures
    from invertdesc.methods import MethodLike


@dataclass(frozen=True, eq=False)
class Page:
    """A page of known text, attacked beside the images.

    Attributes:
        subject: The page and its features.
        text: What is written on it.
        reader: Program that reads it in reconstructions.
    """

    subject: Subject
    text: str
    reader: TextReader


class Try(NamedTuple):
    """What an attack made of all images, the page last if there is one."""

    attack: Attack
    known: list[LocalFeatures]
    pictures: list[Tensor]
    score: float | None


@dataclass(frozen=True, eq=False)
class Attempts:
    """Attacks the images of an audit.

    Attributes:
        inputs: Images with features, with or without originals.
        lab: What the attacker has besides.
        ruler: Computes the measures of likeness.
        viewer: Measures what is understood of a reconstruction.
        page: A page of text, or None.
        matching: Measures what defences cost, or None to leave that out.
        thorough: Whether to try slow attacks as well.
        batch_size: Number of images of one size that are reconstructed together.
        device: Device for the method.
    """

    inputs: Inputs
    lab: Lab
    ruler: Ruler
    viewer: Viewer
    page: Page | None = None
    matching: Matching | None = None
    thorough: bool = False
    batch_size: int = 4
    device: str | torch.device | None = None

    @property
    def headline(self) -> Headline:
        """The measure by which the worst case is chosen."""
        compared = any(one.image is not None for one in self.inputs.subjects)
        return "ncc" if compared else "consistency"

    @cached_property
    def subjects(self) -> list[Subject]:
        """Images, and the page if there is one."""
        return [*self.inputs.subjects, *([] if self.page is None else [self.page.subject])]

    def row(self, scenario: Scenario, *, quick: bool = False) -> Row:
        """Return the row of a scenario, or a row with a note why it cannot be tried.

        Args:
            scenario: The scenario.
            quick: Whether to measure only what curves show.
        """
        blank = Row(
            scenario.name, scenario.group, scenario.value, scenario.title, scenario.sentence
        )
        if not scenario.arranged:
            return self._mosaic(blank, scenario)
        tries, outcomes = [], []
        answers = [one for one in scenario.attacks if self.thorough or not one.slow]
        for attack in (NAIVE, *answers):
            note = score = None
            try:
                found = self._try(scenario, attack)
                tries.append(found)
                score = found.score
            except InvertDescError as error:
                note = str(error)
            outcomes.append(Tried(attack.name, attack.title, attack.sentence, score, note))
        if not tries:
            return replace(blank, note=outcomes[0].note, tried=tuple(outcomes))
        worst = max(tries, key=lambda one: -2.0 if one.score is None else one.score)
        row = self.make_row(blank, worst, quick=quick)
        return replace(row, tried=tuple(outcomes), kept=None if quick else self._kept(scenario))

    def make_row(self, blank: Row, worst: Try, *, quick: bool = False) -> Row:
        """Return a row with the pictures and scores of an attack."""
        count = len(self.inputs.subjects)
        scores = Scores(**{self.headline: worst.score}) if quick else self.mean(worst.pictures)
        return replace(
            blank,
            images=count,
            keypoints=sum(map(len, worst.known[:count])) / count,
            scores=scores,
            attack=worst.attack.title,
            picture=worst.pictures[0],
        )

    def whole(self) -> Try:
        """Attack everything that is stored.

        Raises:
            InvertDescError: The method cannot be used.
        """
        known = [one.features for one in self.subjects]
        pictures = self.reconstruct(known, self.lab.method)
        return Try(NAIVE, known, pictures, self._quick(pictures))

    def mean(self, pictures: Sequence[Tensor]) -> Scores:
        """Return the means of all measures over the images."""
        found = mean_of([self.measure(number, one) for number, one in self._shown(pictures)])
        if self.page is None or len(pictures) == len(self.inputs.subjects):
            return found
        read = share_read(self.page.text, self.page.reader.read(pictures[-1]))
        return replace(found, page_characters=read.characters, page_words=read.words)

    def measure(self, number: int, picture: Tensor) -> Scores:
        """Measure the reconstruction of one image by all measures."""
        one = self.inputs.subjects[number]
        scores = self.ruler.full(one.features, picture, one.image, one.faces)
        return replace(scores, **asdict(self.viewer.look(number, picture)))

    def flat(self) -> Row:
        """Return the floor of a flat gray picture."""
        pictures = [flat_picture(one.features.image_size) for one in self.subjects]
        return Row(
            "flat",
            "floor",
            None,
            "Floor: a flat gray picture",
            "No attack: the value of each measure for a flat picture.",
            len(self.inputs.subjects),
            scores=self.mean(pictures),
            picture=pictures[0],
        )

    def reconstruct(self, known: Sequence[LocalFeatures], method: MethodLike) -> list[Tensor]:
        """Return a picture for each of the features; a flat one if there are no keypoints."""
        from invertdesc.api import reconstruct

        some = [one for one in known if len(one)]
        with warnings.catch_warnings():
            # An attacker who knows only positions uses the same vector for all.
            warnings.simplefilter("ignore", NoKeypointsWarning)
            pictures = reconstruct(
                some,
                descriptor=self.lab.adapter,
                method=method,
                batch_size=self.batch_size,
                device=self.device,
            )
        made = iter(pictures)
        return [next(made).cpu() if len(one) else flat_picture(one.image_size) for one in known]

    def _try(self, scenario: Scenario, attack: Attack) -> Try:
        method = self.lab.method_for(scenario, attack)
        known = [
            self.lab.known(scenario, attack, subject.features, number, subject.faces)
            for number, subject in enumerate(self.subjects)
        ]
        if attack.pooled is not None:
            known = attack.pooled(known, self.lab)
        pictures = self.reconstruct(known, method)
        return Try(attack, known, pictures, self._quick(pictures))

    def _quick(self, pictures: Sequence[Tensor]) -> float | None:
        """Return the mean of the headline alone."""
        subjects = self.inputs.subjects
        scores = [
            self.ruler.quick(subjects[number].features, one, subjects[number].image)
            for number, one in self._shown(pictures)
        ]
        value: float | None = getattr(mean_of(scores), self.headline)
        return value

    def _shown(self, pictures: Sequence[Tensor]) -> list[tuple[int, Tensor]]:
        """Return the pictures of images, without that of the page, numbered."""
        return list(enumerate(pictures[: len(self.inputs.subjects)]))

    def _kept(self, scenario: Scenario) -> float | None:
        if self.matching is None or scenario.group != "defence":
            return None
        return self.matching.kept(scenario)

    def _mosaic(self, blank: Row, scenario: Scenario) -> Row:
        """Return the row of descriptors without positions."""
        subjects = self.inputs.subjects
        try:
            known = [
                self.lab.known(scenario, NAIVE, one.features, number, one.faces)
                for number, one in enumerate(subjects)
            ]
            pictures = self.reconstruct(known, self.lab.method)
        except InvertDescError as error:
            return replace(blank, note=str(error))
        frame, values, shown = self.lab.adapter.frame, [], []
        for subject, one, picture in zip(subjects, known, pictures, strict=True):
            patches = mosaic.cut_out(to_gray(picture, "luma"), frame, len(one))
            shown.append(mosaic.show(patches))
            if subject.image is not None and len(patches):
                gray = to_gray(subject.image, "luma")
                true = mosaic.true_patches(gray, subject.features, frame)
                values.append(float(ncc(patches, true).mean()))
        return replace(
            blank,
            images=len(subjects),
            keypoints=sum(map(len, known)) / len(known),
            patch_ncc=sum(values) / len(values) if values else None,
            picture=shown[0],
        )
