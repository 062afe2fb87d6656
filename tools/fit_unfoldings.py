"""Fit the unfoldings of the package, and print their quality.

    python tools/fit_unfoldings.py --data PHOTOS [NAME ...]

PHOTOS is a folder of photographs. Every twentieth, by file name, is not used for the fits but to
measure their quality. Of the others, `--most` are used, evenly spaced. Each file of weights has its
card in its header. The printed table belongs into invertdesc/weights/README.md.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from invertdesc import create_descriptor
from invertdesc.unfolding.fit import fit_unfolding, measure_unfolding
from invertdesc.weights import FOLDER


@dataclass(frozen=True)
class Recipe:
    """Settings of the fit; ridges of 0.002 to 0.1 are equally good on held-out patches."""

    ridge: float = 0.02
    grid: int = 8
    bins: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


RECIPES = {
    "akaze": Recipe(),
    "beblid": Recipe(),
    "boostdesc": Recipe(),
    "brief": Recipe(),
    "brisk": Recipe(),
    "daisy": Recipe(),
    "freak": Recipe(),
    "hog": Recipe(grid=6),
    "hog-opencv": Recipe(grid=4),
    "kaze": Recipe(),
    "latch": Recipe(),
    "mkd": Recipe(),
    "orb": Recipe(),
    "sift": Recipe(bins=8, options={"contrast_threshold": 0.03}),
    "sift-kornia": Recipe(bins=8),
    "teblid": Recipe(),
    "vgg": Recipe(options={"max_num_keypoints": 200}),  # 2 ms per keypoint
}
SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")
HEADER = (
    "| descriptor | support | G | ridge | falloff | patches | held-out correlation, contrast |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def split(folder: Path, most: int) -> tuple[list[Path], list[Path]]:
    """Return the photographs to fit to and those to measure on."""
    photos = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    fitted = [path for number, path in enumerate(photos) if number % 20]
    step = max(1, -(-len(fitted) // most))
    return fitted[::step], photos[::20]


def fit(name: str, photos: list[Path], held_out: list[Path], output: Path) -> str:
    """Fit and write one descriptor's unfolding, and return its row of the table."""
    recipe = RECIPES[name]
    descriptor = create_descriptor(name, **recipe.options)
    unfolding = fit_unfolding(
        descriptor,
        tqdm(photos, desc=f"fit {name}", unit="image", disable=None),
        grid=recipe.grid,
        ridge=recipe.ridge,
        bins=recipe.bins,
    )
    path = output / f"unfolding-{name}.safetensors"
    unfolding.save(path)
    quality = measure_unfolding(unfolding.load(path), descriptor, held_out)
    frame = unfolding.frame
    card = {
        "descriptor": name,
        "options": recipe.options,
        "photographs": len(photos),
        "held_out_photographs": len(held_out),
        "held_out_patches": quality.patches,
        "held_out_correlation": round(quality.correlation, 4),
        "held_out_contrast": round(quality.contrast, 4),
        "ridge": recipe.ridge,
        "data": "photographs of ImageNet, Imagenette and BSDS500; for research use",
        "command": f"python tools/fit_unfoldings.py --data PHOTOS {name}",
    }
    unfolding.save(path, card=card)
    support = f"{frame.support:g} {'scales' if frame.scaled else 'pixels'}"
    return (
        f"| {name} | {support}{', turned' if frame.rotated else ''} | {unfolding.grid} "
        f"| {recipe.ridge:g} | {unfolding.falloff:.2f} | {quality.patches} "
        f"| {quality.correlation:.3f}, {quality.contrast:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"Of {', '.join(RECIPES)}.")
    parser.add_argument("--data", type=Path, required=True, help="Folder of photographs.")
    parser.add_argument("--output", type=Path, default=FOLDER, help="Folder for the weights.")
    parser.add_argument("--most", type=int, default=600, help="Photographs to fit to at most.")
    parser.add_argument("--threads", type=int, default=2, help="Threads of PyTorch.")
    options = parser.parse_args()
    unknown = set(options.names) - set(RECIPES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    torch.set_num_threads(options.threads)
    photos, held_out = split(options.data, options.most)
    rows, start = [HEADER], time.perf_counter()
    for name in options.names or RECIPES:
        rows.append(fit(name, photos, held_out, options.output))
        tqdm.write(rows[-1])
    seconds = time.perf_counter() - start
    print(
        "\n".join(rows),
        f"\n{len(photos)} photographs, {len(held_out)} held out, {seconds:.0f} s",
    )


if __name__ == "__main__":
    main()
