"""Measure methods on the same pictures: means with standard errors, also of differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from invertdesc.evaluation.kid import kid
from invertdesc.evaluation.recognition import Recogniser
from invertdesc.evaluation.scores import Ruler
from invertdesc.evaluation.vgg16 import VGG16
from invertdesc.features.local import Box, LocalFeatures

MEASURES = ("ncc", "gradient", "ssim", "psnr", "vgg", "recognised")


@dataclass(frozen=True)
class Value:
    """A mean over pictures and its standard error; None for a single picture."""

    mean: float
    error: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Value:
        """Return the mean of values and its error."""
        mean = sum(values) / len(values)
        if len(values) < 2:
            return cls(mean, None)
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
        return cls(mean, spread / math.sqrt(len(values)))

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if self.error is None else f"{self.mean:.3f} ± {self.error:.3f}"


@dataclass
class Seen:
    """What was measured of one row of a table, picture by picture."""

    values: dict[str, list[float]] = field(default_factory=dict)
    features: list[tuple[Tensor, Tensor]] = field(default_factory=list)


class Meter:
    """Collects measurements of pictures by rows, all rows over the same pictures."""

    def __init__(
        self,
        vgg: VGG16 | None = None,
        recogniser: Recogniser | None = None,
        hole: Box | None = None,
        device: str = "cpu",
    ) -> None:
        """Create the meter.

        Args:
            vgg: VGG16, for distances and KID in its features; None to leave them out.
            recogniser: Recogniser of faces, for the share that it accepts; None to leave it out.
            hole: (x0, y0, x1, y1) in whole pixels: measure only inside it.
            device: Device of VGG16.
        """
        self.vgg = None if vgg is None else vgg.to(device)
        self.recogniser, self.hole, self.device = recogniser, hole, device
        self.ruler = Ruler(faces=False, hole=hole)
        self.rows: dict[str, Seen] = {}

    @torch.no_grad()
    def add(self, features: LocalFeatures, image: Tensor, made: dict[str, Tensor]) -> None:
        """Measure pictures (3, H, W) of one image, by the names of their rows."""
        true = None if self.vgg is None else self._seen(image)
        known = None if self.recogniser is None else self.recogniser.faces(image)
        for name, picture in made.items():
            row = self.rows.setdefault(name, Seen())
            scores = asdict(self.ruler.full(features, picture, image))
            found = {key: scores[key] for key in MEASURES if scores.get(key) is not None}
            if true is not None:
                own = self._seen(picture)
                found["vgg"] = float((own - true).square().sum() / true.square().sum())
                row.features.append((own.mean((1, 2)).cpu(), true.mean((1, 2)).cpu()))
            if self.recogniser is not None and known and self.recogniser.bounds is not None:
                again = self.recogniser.again(picture, known)
                pairs = zip(again, known, strict=True)
                right = [
                    one is not None
                    and self.recogniser.distance(one.embedding, other.embedding)
                    <= self.recogniser.bounds.loose
                    for one, other in pairs
                ]
                found["recognised"] = sum(right) / len(right)
            for key, value in found.items():
                row.values.setdefault(key, []).append(value)

    def _seen(self, picture: Tensor) -> Tensor:
        if self.hole is not None:
            x0, y0, x1, y1 = map(int, self.hole)
            picture = picture[..., y0:y1, x0:x1]
        assert self.vgg is not None
        return self.vgg(picture[None].to(self.device))[0].double()

    def table(self, reference: str | None = None) -> dict[str, dict[str, Value]]:
        """Return the means by row and measure.

        Args:
            reference: Row that differences of NCC, SSIM and VGG distance are taken from, picture by
                picture.
        """
        found: dict[str, dict[str, Value]] = {}
        for name, row in self.rows.items():
            found[name] = {key: Value.of(values) for key, values in row.values.items()}
            if row.features and len(row.features) > 2:
                made, true = (torch.stack(part) for part in zip(*row.features, strict=True))
                found[name]["1000 kid"] = Value(*(1000 * part for part in kid(made, true)))
            for key in ("ncc", "ssim", "vgg") if reference is not None else ():
                first, own = self.rows[reference].values.get(key), row.values.get(key)
                if name != reference and first is not None and own is not None:
                    apart = [b - a for a, b in zip(first, own, strict=True)]
                    found[name][f"{key} gained"] = Value.of(apart)
        return found


def as_markdown(table: dict[str, dict[str, Value]]) -> str:
    """Return a table of means with errors."""
    columns = list(dict.fromkeys(key for row in table.values() for key in row))
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, row in table.items():
        cells = (str(row[key]) if key in row else "" for key in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_record(table: dict[str, dict[str, Value]]) -> dict[str, dict[str, list[float | None]]]:
    """Return the table for JSON: mean and error by row and measure."""
    return {
        name: {key: [value.mean, value.error] for key, value in row.items()}
        for name, row in table.items()
    }
