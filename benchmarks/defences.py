"""Measure what defences buy against attackers who know them: a table with standard errors.

    python benchmarks/defences.py --data FACES --data PHOTOS --images 20 -o defences.json
    python benchmarks/defences.py --data FACES --public PICTURES -o defences.json ldp-noise=30
    python benchmarks/defences.py --show defences.json

Each row is a defence on pictures of a folder: NCC of the naive attack and of the best other one,
each with its standard error, in the gray of the features; the share of people whom dlib accepts as
the right one, at one false accept in a hundred, after either attack; and the share of correct
matches with a second picture that is left. Rows that the file already has are skipped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invertdesc import create_descriptor, create_method, read_image
from invertdesc._files import atomic_write
from invertdesc.auditing.attacks.attack import NAIVE, Attack
from invertdesc.auditing.attacks.lab import Lab
from invertdesc.auditing.attacks.public import MOST, Public
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.inputs import read_pictures
from invertdesc.auditing.matching import Matching
from invertdesc.auditing.scenario import Scenario
from invertdesc.auditing.subjects import Subject
from invertdesc.auditing.threats import EVERYTHING
from invertdesc.auditing.typical import Typical
from invertdesc.errors import InvertDescError, NotApplicableError
from invertdesc.evaluation.baselines import flat_picture
from invertdesc.evaluation.dlib_faces import DlibRecogniser
from invertdesc.evaluation.metrics import ncc
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import to_gray
from invertdesc.sources import spread

CHOSEN = (
    "permute",
    "ldp-noise=30",
    "ldp-noise=100",
    "ldp-feat=8",
    "lift=4",
    "lift-seen=4",
    "lift-hybrid=4",
    "quantise=1",
    "drop-fields",
    "keep-strongest=0.1",
    "avoid-faces",
)
Figures = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Bench:
    """Pictures of a folder, and what attackers have.

    Attributes:
        data: Name of the folder.
        subjects: The pictures with their features.
        lab: What attackers have.
        model: Tells people apart; None for a folder without people.
        matching: Measures what a defence costs.
    """

    data: str
    subjects: list[Subject]
    lab: Lab
    model: DlibRecogniser | None
    matching: Matching

    def row(self, scenario: Scenario) -> Figures:
        """Return the figures of a defence."""
        tried: dict[str, Figures] = {}
        for attack in (NAIVE, *scenario.attacks):
            try:
                tried[attack.name] = self.attack(scenario, attack)
            except InvertDescError as error:  # such as weights of another gray
                print(f"{scenario.name}, {attack.name}: {error}", flush=True)
        if NAIVE.name not in tried:
            raise NotApplicableError("the naive attack cannot be tried.")
        others = {name: one for name, one in tried.items() if name != NAIVE.name}
        best = max(others, key=lambda name: others[name]["ncc"][0], default=None)
        return {
            "data": self.data,
            "defence": scenario.name,
            "value": scenario.value,
            "images": len(self.subjects),
            "tried": tried,
            "best": best,
            "kept": self.matching.kept(scenario) if scenario.group == "defence" else 1.0,
        }

    def attack(self, scenario: Scenario, attack: Attack) -> Figures:
        """Attack all pictures."""
        method = self.lab.method_for(scenario, attack)
        known = [
            self.lab.known(scenario, attack, one.features, number, one.faces)
            for number, one in enumerate(self.subjects)
        ]
        if attack.pooled is not None:
            known = attack.pooled(known, self.lab)
        likeness, accepted = [], []
        for subject, one in zip(self.subjects, known, strict=True):
            picture = flat_picture(one.image_size)
            if len(one):
                picture = method(FeatureBatch.collate([one]))[0].detach()
            mode = one.provenance.gray_mode
            likeness.append(float(ncc(to_gray(picture, mode), to_gray(subject.image, mode))))
            accepted += self.accepted(subject.image, picture)
        found = {"ncc": mean_and_error(likeness)}
        return found | ({"accepted": mean_and_error(accepted)} if accepted else {})

    def accepted(self, image: Tensor, picture: Tensor) -> list[float]:
        """Say for each face of an original whether it is accepted as the same person."""
        if self.model is None or self.model.bounds is None:
            return []
        own = self.model.faces(image)
        again = self.model.again(picture, own)
        return [
            float(
                one is not None
                and self.model.distance(one.embedding, face.embedding) <= self.model.bounds.loose
            )
            for one, face in zip(again, own, strict=True)
        ]


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return a mean and its standard error, both of four digits."""
    some = torch.tensor(values, dtype=torch.float64)
    error = some.std() / len(some) ** 0.5 if len(some) > 1 else torch.tensor(torch.nan)
    return round(float(some.mean()), 4), round(float(error), 4)


def bench_of(folder: Path, given: argparse.Namespace) -> Bench:
    """Describe the pictures of a folder."""
    adapter = create_descriptor(given.descriptor, gray=given.gray)
    images = [read_image(path) for path in spread(sorted(folder.iterdir()), given.images)]
    subjects = [
        Subject(f"{number}", adapter.extract(one), one) for number, one in enumerate(images)
    ]
    pictures = [one for path in given.public or [] for one in read_pictures(path, MOST)]
    shipped = Public.shipped(adapter, images)
    public = Public.of(adapter, pictures[:MOST]) if pictures else shipped
    typical, method = Typical(adapter), create_method(given.method, descriptor=adapter)
    data = folder.parent.name if folder.name in ("test", "train") else folder.name
    model = DlibRecogniser() if data == "faces" else None
    lab = Lab(adapter, method, public, typical)
    return Bench(data, subjects, lab, model, Matching(adapter, subjects, typical))


def scenario_of(words: str) -> Scenario:
    """Return the defence of a word such as `ldp-noise=30`."""
    name, _, value = words.partition("=")
    return DEFENCES[name].at(float(value) if value else None)


def show(rows: Sequence[Figures]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    columns = ("data", "defence", "naive", "who knows it", "how", "accepted, naive", "accepted")
    yield "| " + " | ".join((*columns, "matches kept")) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for row in rows:
        naive, best = row["tried"]["naive"], row["tried"].get(row["best"], {})
        value = "" if row["value"] is None else f" {row['value']:g}"
        kept = "" if row["kept"] is None else f"{row['kept']:.2f}"
        cells = [
            f"{row['data']}, {row['images']}",
            f"{row['defence']}{value}",
            _words(naive.get("ncc"), 3),
            _words(best.get("ncc"), 3),
            row["best"] or "",
            _words(naive.get("accepted"), 2),
            _words(best.get("accepted"), 2),
            kept,
        ]
        yield "| " + " | ".join(cells) + " |"


def _words(figure: Sequence[float] | None, digits: int) -> str:
    return "" if figure is None else f"{figure[0]:.{digits}f} ± {figure[1]:.{digits}f}"


def measure_all(given: argparse.Namespace) -> None:
    """Measure what the command line asks for."""
    found = json.loads(given.output.read_text()) if given.output.is_file() else {"rows": []}
    scenarios = [EVERYTHING.at(), *map(scenario_of, given.defences or CHOSEN)]
    for folder in given.data:
        bench = bench_of(folder, given)
        for scenario in scenarios:
            key = {
                "data": bench.data,
                "defence": scenario.name,
                "value": scenario.value,
                "public": bench.lab.public.source,
            }
            if any(key.items() <= row.items() for row in found["rows"]):
                continue
            start = time.process_time()
            try:
                row = bench.row(scenario) | key
            except InvertDescError as error:
                print(f"{scenario.name}: {error}", flush=True)
                continue
            row["seconds"] = round(time.process_time() - start, 1)
            found |= {"descriptor": given.descriptor, "gray": given.gray, "method": given.method}
            found["rows"].append(row)
            with atomic_write(given.output) as file:
                file.write(json.dumps(found, indent=1).encode())
            print(*list(show([row]))[2:], f"{row['seconds']} s", flush=True)


def main() -> None:
    """Read the command line; measure, or print the table of a file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("defences", nargs="*", help="such as ldp-noise=30; a usual choice if none")
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder")
    parser.add_argument("--public", type=Path, action="append", help="folder attackers learn from")
    parser.add_argument("--images", type=int, default=20, help="of each folder (20)")
    parser.add_argument("-d", "--descriptor", default="sift")
    parser.add_argument("-m", "--method", default="unfold")
    parser.add_argument("--gray", default="luma", help="gamma or luma (luma)")
    parser.add_argument("--show", type=Path, help="print the table of a file, and end")
    parser.add_argument("-o", "--output", type=Path, default=Path("defences.json"))
    given = parser.parse_args()
    if given.show is not None:
        print(*show(json.loads(given.show.read_text())["rows"]), sep="\n")
    elif not given.data:
        parser.error("expected --data with a folder of pictures, or --show with a file")
    else:
        measure_all(given)


if __name__ == "__main__":
    main()
