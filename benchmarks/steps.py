"""Measure what methods that start from another's picture add to it, with standard errors.

    python benchmarks/steps.py --data FACES --data PHOTOS --images 20 -d sift -d orb -o steps.json
    python benchmarks/steps.py --data FACES -d sift -m unfold -m backprojection -m unfold+gradient

Each line has the means of NCC, SSIM (gray) and PSNR (RGB, dB), NCC with its standard error; of
later methods also the mean difference in NCC from the first, with the standard error of that
difference. Seconds are those of the processor, not of the clock, without the extraction.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from invertdesc import create_descriptor, create_method
from invertdesc._files import atomic_write
from invertdesc.evaluation.scores import Ruler
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import read_image
from invertdesc.sources import spread

MEASURES = ("ncc", "ssim", "psnr")


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
    psnr: float
    gain: float
    error: float
    seconds: float

    def __str__(self) -> str:
        gain = f"{self.gain:+.3f} ± {self.error:.3f}"
        return (
            f"| {self.data} | {self.descriptor} | {self.gray} | {self.method} | {self.images} "
            f"| {self.ncc:.3f} ± {self.ncc_error:.3f} | {self.ssim:.3f} | {self.psnr:.2f} | {gain} "
            f"| {self.seconds:.2f} |"
        )


def measure(folder: Path, images: int, descriptor: str, gray: str, names: list[str]) -> list[Line]:
    """Measure methods on pictures spread over a folder."""
    adapter = create_descriptor(descriptor, gray=gray)
    methods = {name: create_method(name, descriptor=adapter) for name in names}
    ruler, found, seconds = Ruler(faces=False), [], dict.fromkeys(names, 0.0)
    for path in spread(sorted(folder.iterdir()), images):
        image = read_image(path)
        features = adapter.extract(image)
        batch = FeatureBatch.collate([features])
        rows = []
        for name, method in methods.items():
            start = time.process_time()
            with torch.no_grad():
                picture = method(batch)[0]
            seconds[name] += time.process_time() - start
            scores = ruler.full(features, picture, image)
            rows.append([getattr(scores, measured) for measured in MEASURES])
        found.append(rows)
    table = torch.tensor(found)  # (images, methods, measures)
    means = table.mean(0).tolist()
    gains = table[:, :, 0] - table[:, :1, 0]
    errors, own = (part.std(0) / len(found) ** 0.5 for part in (gains, table[:, :, 0]))
    return [
        Line(
            folder.parent.name if folder.name in ("test", "train") else folder.name,
            *(descriptor, gray, name, len(found), means[i][0], float(own[i])),
            *(means[i][1], means[i][2], float(gains[:, i].mean()), float(errors[i])),
            seconds[name] / len(found),
        )
        for i, name in enumerate(names)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--descriptor", "-d", action="append")
    parser.add_argument("--method", "-m", action="append")
    parser.add_argument("--gray", default="gamma")
    parser.add_argument("--output", "-o", type=Path)
    options = parser.parse_args()

    print("| data | descriptor | gray | method | N | NCC | SSIM | PSNR | gain in NCC | CPU s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    lines: list[Line] = []
    for name in options.descriptor or ["sift"]:
        for folder in options.data:
            names = options.method or ["unfold", "backprojection"]
            new = measure(folder, options.images, name, options.gray, names)
            print(*new, sep="\n", flush=True)
            lines += new
            if options.output is not None:
                with atomic_write(options.output) as file:
                    file.write(json.dumps([asdict(line) for line in lines], indent=2).encode())


if __name__ == "__main__":
    main()
