"""Measure who is recognised, and which text is read, in reconstructions: a table with errors.

    python benchmarks/understood.py FACES --number 200 --gallery 400 -d sift -m unfold -m auto \
        -o understood.json
    python benchmarks/understood.py FACES -d orb -d hog -m poisson -o understood.json
    python benchmarks/understood.py --show understood.json

FACES is a folder of pictures of different people. Some of them are reconstructed; others, the
gallery, say up to which distance two faces count as one person: one or ten in a thousand pairs of
the gallery are as near. A person is accepted if dlib finds a face where it was, as near to the
original's as that. `others` is the share of the gallery that is accepted in place of the right
person, `first` the share of reconstructions that are nearer to the right person than to all people
of the gallery. `text` is the share of characters that RapidOCR, or tesseract, reads in
reconstructions of pages of known text, letters of 20 and of 14 pixels. NCC and features are those
of the gray that `--gray` names. Runs that the file already has are skipped; what dlib finds in the
gallery is kept beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from invertdesc import FeatureBatch, create_descriptor, create_method, read_image
from invertdesc._files import atomic_write
from invertdesc.evaluation.dlib_faces import DlibRecogniser
from invertdesc.evaluation.metrics import ncc
from invertdesc.evaluation.recognition import RATES, Face
from invertdesc.evaluation.text import load_reader, share_read, text_page
from invertdesc.features.changes import shuffle_rows
from invertdesc.image import to_gray
from invertdesc.sources import spread

HEIGHTS = (20, 14)  # pixels of letters
Paint: TypeAlias = Callable[[Tensor], Tensor]
Figure: TypeAlias = tuple[float, float]  # a mean and its standard error


@dataclass(frozen=True)
class Gallery:
    """People who are not reconstructed.

    Attributes:
        embeddings: (K, 128).
        loose: Distance that one pair of different people in a hundred is below.
        strict: The same for one in a thousand.
    """

    embeddings: Tensor
    loose: float
    strict: float

    @classmethod
    def of(cls, model: DlibRecogniser, files: Sequence[Path], kept: Path) -> Gallery:
        """Look at the largest face of each picture, or take what was kept of them."""
        if kept.is_file():
            embeddings = torch.load(kept, weights_only=True)
        else:
            found = [face for path in files if (face := largest(model, read_image(path)))]
            embeddings = torch.stack([face.embedding for face in found])
            torch.save(embeddings, kept)
        loose, strict = torch.pdist(embeddings).quantile(torch.tensor(RATES)).tolist()
        return cls(embeddings, loose, strict)


def largest(model: DlibRecogniser, picture: Tensor) -> Face | None:
    """Return the largest face of a picture (3, H, W)."""
    return max(model.faces(picture), key=lambda one: one.box[2] - one.box[0], default=None)


def look_at_faces(
    paint: Paint, files: Sequence[Path], model: DlibRecogniser, gallery: Gallery, gray: str
) -> dict[str, Figure]:
    """Reconstruct pictures of people, and measure who is accepted in them."""
    rows: dict[str, list[float]] = {}
    for path in files:
        image = read_image(path)
        true = largest(model, image)
        if true is None:
            continue
        picture = paint(image)
        again = model.again(picture, [true])[0]
        own, others = float("inf"), torch.full((1,), torch.inf)
        if again is not None:
            own = model.distance(again.embedding, true.embedding)
            others = (gallery.embeddings - again.embedding).norm(dim=1)
        values = {
            "found": again is not None,
            "accepted": own <= gallery.loose,
            "accepted_strict": own <= gallery.strict,
            "others": (others <= gallery.loose).double().mean(),
            "first": own < float(others.min()),
            "ncc": ncc(to_gray(picture, gray), to_gray(image, gray)),
        }
        for name, value in values.items():
            rows.setdefault(name, []).append(float(value))
    return {name: mean_and_error(values) for name, values in rows.items()}


def read_pages(paint: Paint, count: int) -> dict[str, Figure]:
    """Reconstruct pages of text, and measure how many of their characters are read."""
    reader, found = load_reader(), {}
    for height in HEIGHTS:
        shares = []
        for seed in range(count):
            page, text = text_page(height, seed=seed)
            shares.append(share_read(text, reader.read(paint(page))).characters)
        found[f"text_{height}"] = mean_and_error(shares)
    return found


def mean_and_error(values: Sequence[float]) -> Figure:
    """Return a mean and its standard error, both of four digits."""
    some = torch.tensor(values, dtype=torch.float64)
    error = some.std() / len(some) ** 0.5 if len(some) > 1 else torch.tensor(torch.nan)
    return round(float(some.mean()), 4), round(float(error), 4)


def painter(descriptor: str, method: str, gray: str, *, shuffled: bool) -> Paint:
    """Return what describes a picture (3, H, W), and makes a picture of its features alone."""
    adapter = create_descriptor(descriptor, gray=gray)
    made = create_method(method, descriptor=adapter)

    def paint(image: Tensor) -> Tensor:
        features = adapter.extract(image)
        if shuffled:
            features = shuffle_rows(features, torch.Generator().manual_seed(0))
        return made(FeatureBatch.collate([features]))[0].detach()

    return paint


def show(runs: Sequence[dict[str, object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    columns = ("accepted", "accepted_strict", "first", "others", "text_20", "text_14", "ncc")
    yield "| descriptor | method | faces | " + " | ".join(columns) + " |"
    yield "|---|---|---|" + "---|" * len(columns)
    for run in runs:
        figures: dict[str, Figure] = run["figures"]  # type: ignore[assignment]
        places = {"others": 4, "ncc": 3}
        cells = [
            f"{mean:.{places.get(name, 2)}f} ± {error:.{places.get(name, 2)}f}"
            for name in columns
            for mean, error in [figures[name]]
        ]
        note = ", shuffled" if run["shuffled"] else ""
        yield f"| {run['descriptor']}{note} | `{run['method']}` | {run['faces']} | " + (
            " | ".join(cells) + " |"
        )


def write(path: Path, found: dict[str, object]) -> None:
    """Write the file, whole or not at all."""
    with atomic_write(path) as file:
        file.write(json.dumps(found, indent=1).encode())


def measure_all(given: argparse.Namespace) -> None:
    """Measure what the command line asks for."""
    files = sorted(given.faces.iterdir())
    queries = spread(files, given.number)
    rest = [path for path in files if path not in set(queries)]
    model = DlibRecogniser()
    kept = given.output.with_suffix(f".{given.number}-{given.gallery}.pt")
    gallery = Gallery.of(model, spread(rest, given.gallery), kept)
    found = json.loads(given.output.read_text()) if given.output.is_file() else {"runs": []}
    if "originals" not in found:
        found["originals"] = read_pages(lambda page: page, given.pages)
    found |= {"gray": given.gray, "torch": torch.__version__, "machine": platform.machine()}
    for descriptor in given.descriptor or ["sift"]:
        for method in given.method or ["unfold"]:
            key = {"descriptor": descriptor, "method": method, "shuffled": given.shuffled}
            if any(key.items() <= run.items() for run in found["runs"]):
                continue
            start = time.process_time()
            paint = painter(descriptor, method, given.gray, shuffled=given.shuffled)
            figures = look_at_faces(paint, queries, model, gallery, given.gray)
            figures |= read_pages(paint, given.pages)
            run = key | {
                "faces": len(queries),
                "pages": given.pages,
                "gallery": {k: v for k, v in asdict(gallery).items() if k != "embeddings"}
                | {"faces": len(gallery.embeddings)},
                "seconds": round(time.process_time() - start, 1),
                "figures": figures,
            }
            found["runs"].append(run)
            write(given.output, found)
            print(*list(show([run]))[2:], f"{run['seconds']} s", flush=True)


def main() -> None:
    """Read the command line; measure, or print the table of a file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("faces", type=Path, nargs="?", help="folder")
    parser.add_argument("--number", type=int, default=40, help="pictures to reconstruct (40)")
    parser.add_argument("--gallery", type=int, default=400, help="people to tell apart (400)")
    parser.add_argument("--pages", type=int, default=6, help="of text, of each height (6)")
    parser.add_argument("-d", "--descriptor", action="append")
    parser.add_argument("-m", "--method", action="append")
    parser.add_argument("--gray", default="gamma", help="gamma or luma (gamma)")
    parser.add_argument("--shuffled", action="store_true", help="vectors of other keypoints")
    parser.add_argument("--show", type=Path, help="print the table of a file, and end")
    parser.add_argument("-o", "--output", type=Path, default=Path("understood.json"))
    given = parser.parse_args()
    if given.show is not None:
        print(*show(json.loads(given.show.read_text())["runs"]), sep="\n")
    elif given.faces is None:
        parser.error("expected a folder of faces, or a file to show")
    else:
        measure_all(given)


if __name__ == "__main__":
    main()
