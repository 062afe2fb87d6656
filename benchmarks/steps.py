"""Measure what methods that start from another's picture add to it, with standard errors.

    python benchmarks/steps.py --data FACES --data PHOTOS --images 20 -d sift -d orb -o steps.json
    python benchmarks/steps.py --data FACES -d sift -m unfold -m backprojection -m unfold+gradient
    python benchmarks/steps.py --data FACES --gray gamma --gray luma -m unfold --rows rows.json

Each line has the means of NCC, SSIM (gray) and PSNR (RGB, dB), NCC with its standard error; also
the mean differences in NCC and SSIM from the first method, with the standard errors of these
differences. Seconds are those of the processor, not of the clock, without the extraction.

`-o` keeps the lines of other data, descriptors, grays and methods that the file has already. With
`--rows`, the figures of each picture are written as they come, and a run that was cut off goes on
where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch

from invertdesc import create_descriptor, create_method
from invertdesc._files import atomic_write
from invertdesc.evaluation.scores import Ruler
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import read_image
from invertdesc.sources import spread

OFTEN = 20  # pictures between two writes of the rows

Key: TypeAlias = tuple[str, str, str, str]  # data, descriptor, gray, method


@dataclass(frozen=True)
class Row:
    """Figures of one picture."""

    data: str
    descriptor: str
    gray: str
    method: str
    picture: str
    ncc: float
    ssim: float
    psnr: float
    seconds: float


@dataclass(frozen=True)
class Line:
    """Means over pictures; `gain` is in NCC over the first method, `error` that of the gain."""

    data: str
    descriptor: str
    gray: str
    method: str
    images: int
    ncc: float
    ncc_error: float
    ssim: float
    ssim_error: float
    psnr: float
    psnr_error: float
    gain: float
    error: float
    ssim_gain: float
    ssim_gain_error: float
    seconds: float

    def __str__(self) -> str:
        gain = f"{self.gain:+.3f} ± {self.error:.3f}"
        more = f"{self.ssim_gain:+.3f} ± {self.ssim_gain_error:.3f}"
        return (
            f"| {self.data} | {self.descriptor} | {self.gray} | {self.method} | {self.images} "
            f"| {self.ncc:.3f} ± {self.ncc_error:.3f} | {self.ssim:.3f} | {self.psnr:.2f} | {gain} "
            f"| {more} | {self.seconds:.2f} |"
        )


class Rows:
    """Rows of pictures, in a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        stored = json.loads(path.read_text()) if path is not None and path.exists() else []
        self.found = {self._key(row): row for row in (Row(**values) for values in stored)}

    def of(self, picture: str, *key: str) -> Row | None:
        """Return the row of a picture, if it is there; `key` as `Key`."""
        return self.found.get((*key, picture))

    def add(self, row: Row) -> None:
        """Keep a row; it is written with the next `save`."""
        self.found[self._key(row)] = row

    def save(self) -> None:
        """Write all rows, if there is a file."""
        if self.path is not None:
            write_list(self.path, [asdict(row) for row in self.found.values()])

    @staticmethod
    def _key(row: Row) -> tuple[str, ...]:
        return row.data, row.descriptor, row.gray, row.method, row.picture


def measure(folder: Path, images: int, key: Sequence[str], names: list[str], rows: Rows) -> None:
    """Measure methods on pictures spread over a folder; `key` is data, descriptor and gray."""
    adapter = create_descriptor(key[1], gray=key[2])
    methods = {name: create_method(name, descriptor=adapter) for name in names}
    ruler = Ruler(faces=False)
    for number, path in enumerate(spread(sorted(folder.iterdir()), images)):
        missing = [name for name in names if rows.of(path.name, *key, name) is None]
        if not missing:
            continue
        image = read_image(path)
        features = adapter.extract(image)
        batch = FeatureBatch.collate([features])
        for name in missing:
            start = time.process_time()
            with torch.no_grad():
                picture = methods[name](batch)[0]
            seconds = time.process_time() - start
            scores = ruler.full(features, picture, image)
            values = [float(one or 0.0) for one in (scores.ncc, scores.ssim, scores.psnr)]
            rows.add(Row(*key, name, path.name, *values, seconds))
        if number % OFTEN == 0:
            rows.save()
    rows.save()


def summarise(names: list[str], pictures: list[str], key: Sequence[str], rows: Rows) -> list[Line]:
    """Return the means over pictures of each method."""
    found = [[rows.of(picture, *key, name) for name in names] for picture in pictures]
    table = torch.tensor(
        [[(one.ncc, one.ssim, one.psnr, one.seconds) for one in some if one] for some in found],
        dtype=torch.float64,
    )  # (pictures, methods, 4)
    means, errors = _spread_of(table)
    gains, errors_of_gains = _spread_of(table - table[:, :1])
    return [
        Line(
            *(*key, name, len(pictures)),
            *(value for pair in zip(means[i][:3], errors[i][:3], strict=True) for value in pair),
            *(gains[i][0], errors_of_gains[i][0], gains[i][1], errors_of_gains[i][1]),
            means[i][3],
        )
        for i, name in enumerate(names)
    ]


def _spread_of(table: torch.Tensor) -> tuple[list[list[float]], list[list[float]]]:
    """Return means over the first dimension, and their standard errors."""
    error = table.std(0) / len(table) ** 0.5 if len(table) > 1 else torch.zeros(table.shape[1:])
    return table.mean(0).tolist(), error.tolist()


def update(path: Path, lines: Iterable[Line]) -> None:
    """Write lines into a file, in the place of those of the same data, descriptor and method."""
    stored = json.loads(path.read_text()) if path.exists() else []
    known: dict[Key, dict[str, Any]] = {_key(one): one for one in stored}
    for line in lines:
        values = asdict(line)
        known[_key(values)] = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in values.items()
        }
    write_list(path, [known[one] for one in sorted(known)])


def _key(line: dict[str, Any]) -> Key:
    return line["descriptor"], line["gray"], line["data"], line["method"]


def write_list(path: Path, values: Iterable[dict[str, Any]]) -> None:
    """Write a list as JSON, one value a line."""
    text = ",\n".join(json.dumps(one) for one in values)
    with atomic_write(path) as file:
        file.write(f"[\n{text}\n]\n".encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--descriptor", "-d", action="append")
    parser.add_argument("--method", "-m", action="append")
    parser.add_argument("--gray", action="append", choices=("gamma", "luma"))
    parser.add_argument("--output", "-o", type=Path, help="file of means, updated")
    parser.add_argument("--rows", type=Path, help="file of each picture's figures, resumed")
    options = parser.parse_args()

    print("| data | descriptor | gray | method | N | NCC | SSIM | PSNR | NCC + | SSIM + | CPU s |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    rows, names = Rows(options.rows), options.method or ["unfold", "backprojection"]
    for descriptor in options.descriptor or ["sift"]:
        for gray in options.gray or ["gamma"]:
            for folder in options.data:
                data = folder.parent.name if folder.name in ("test", "train") else folder.name
                key = (data, descriptor, gray)
                measure(folder, options.images, key, names, rows)
                pictures = [one.name for one in spread(sorted(folder.iterdir()), options.images)]
                lines = summarise(names, pictures, key, rows)
                print(*lines, sep="\n", flush=True)
                if options.output is not None:
                    update(options.output, lines)


if __name__ == "__main__":
    main()
