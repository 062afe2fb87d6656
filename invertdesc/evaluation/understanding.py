"""What a viewer of a reconstruction understands: who it is, what is written, which picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.evaluation.recognition import Face, Recogniser
from invertdesc.evaluation.text import LEAST_SURE, TextReader, has_text, share_read
from invertdesc.image import to_gray

SIDE, CELLS, BINS = 64, 8, 9  # of fingerprints: pixels, cells along a side, directions


@dataclass(frozen=True)
class Understood:
    """What was understood of one reconstruction; None for what was not measured.

    Attributes:
        identity: Distance from the original's faces, a mean over those that were found again.
        recognised: Share of the original's faces that are accepted as the same person where one in
            a hundred of other people would be; a face that is not found again is refused.
        recognised_strict: The same where one in a thousand would be.
        impostors: Share of the other originals' faces that are accepted for the same person.
        characters: Share of the characters read in the original that are read again.
        words: The same of words.
        picked: 1 where the right one is the most like of all candidates, else 0.
    """

    identity: float | None = None
    recognised: float | None = None
    recognised_strict: float | None = None
    impostors: float | None = None
    characters: float | None = None
    words: float | None = None
    picked: float | None = None


@dataclass(frozen=True, eq=False)
class Viewer:
    """Looks at reconstructions of some pictures.

    Attributes:
        originals: (3, H, W) RGB in [0, 1] each; None where one is not at hand.
        recogniser: Tells people apart; None not to.
        reader: Reads text; None not to.
        texts: What is written in originals, where that is known; else it is read in them.
        others: Further pictures to pick the right one from.
    """

    originals: Sequence[Tensor | None]
    recogniser: Recogniser | None = None
    reader: TextReader | None = None
    texts: dict[int, str] = field(default_factory=dict)
    others: Sequence[Tensor] = ()

    def look(self, number: int, picture: Tensor) -> Understood:
        """Say what is understood of a reconstruction.

        Args:
            number: Number of the original.
            picture: (3, H, W) in [0, 1].
        """
        if self.originals[number] is None:
            return Understood()
        identity, loose, strict, impostors = self._people(number, picture)
        characters, words = self._read(number, picture)
        return Understood(
            identity, loose, strict, impostors, characters, words, self._pick(number, picture)
        )

    @property
    def candidates(self) -> int:
        """Number of pictures that the right one is picked from."""
        return len(self._lineup[0])

    @cached_property
    def people(self) -> list[list[Face]]:
        """Faces of each original."""
        if self.recogniser is None:
            return [[] for _ in self.originals]
        return [[] if one is None else self.recogniser.faces(one) for one in self.originals]

    @cached_property
    def written(self) -> list[str]:
        """Text of each original, empty where there is hardly any."""
        return [
            self.texts.get(number) or self._text(one) for number, one in enumerate(self.originals)
        ]

    def _text(self, original: Tensor | None) -> str:
        if self.reader is None or original is None:
            return ""
        text = self.reader.read(original, LEAST_SURE)
        return text if has_text(text) else ""

    def _people(self, number: int, picture: Tensor) -> tuple[float | None, ...]:
        """Return the distance and the shares recognised, loosely, strictly and wrongly."""
        model, own = self.recogniser, self.people[number]
        if model is None or not own:
            return None, None, None, None
        again = model.again(picture, own)
        seen = [(one, face) for one, face in zip(again, own, strict=True) if one is not None]
        away = [model.distance(one.embedding, face.embedding) for one, face in seen]
        identity = sum(away) / len(away) if away else None
        if model.bounds is None:
            return identity, None, None, None
        loose, strict = model.bounds.loose, model.bounds.strict
        others = [f for n, faces in enumerate(self.people) if n != number for f in faces]
        wrong = [
            model.distance(one.embedding, other.embedding) <= loose
            for one, _ in seen
            for other in others
        ]
        pairs = len(own) * len(others)
        return (
            identity,
            sum(one <= loose for one in away) / len(own),
            sum(one <= strict for one in away) / len(own),
            sum(wrong) / pairs if pairs else None,
        )

    def _read(self, number: int, picture: Tensor) -> tuple[float | None, float | None]:
        if self.reader is None or not self.written[number]:
            return None, None
        return share_read(self.written[number], self.reader.read(picture))

    def _pick(self, number: int, picture: Tensor) -> float | None:
        prints, places = self._lineup
        if len(prints) < 2:
            return None
        likeness = prints @ fingerprint(picture)
        return float(int(likeness.argmax()) == places.index(number))

    @cached_property
    def _lineup(self) -> tuple[Tensor, list[int]]:
        """Return fingerprints of the candidates (K, F), originals first, and their numbers."""
        known = [(number, one) for number, one in enumerate(self.originals) if one is not None]
        prints = [fingerprint(one) for one in (*(one for _, one in known), *self.others)]
        empty = torch.zeros(0, BINS * CELLS**2)
        return torch.stack(prints) if prints else empty, [number for number, _ in known]


def fingerprint(picture: Tensor) -> Tensor:
    """Return (F,) numbers of length 1 that near-duplicates of a picture share.

    Directions of gradients, whatever their sign and strength, in 8 x 8 cells: what is bright or
    dark, and how strong contrasts are, a reconstruction often gets wrong.

    Args:
        picture: (3, H, W) RGB in [0, 1].

    Source: Dalal, Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
    """
    gray = to_gray(picture, "luma")
    small = F.interpolate(gray[None, None], (SIDE, SIDE), mode="bilinear", antialias=True)[0, 0]
    down, right = torch.gradient(small)
    size = torch.hypot(right, down)
    place = (torch.atan2(down, right) / torch.pi % 1 * BINS).long().clamp(max=BINS - 1)
    votes = torch.zeros(BINS, SIDE, SIDE).scatter_(0, place[None], size[None])
    cells = F.avg_pool2d(votes, SIDE // CELLS)
    cells = cells / (cells.square().sum(0, keepdim=True) + 1e-4).sqrt()
    return F.normalize(cells.flatten() - cells.mean(), dim=0)
