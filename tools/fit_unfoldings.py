"""Fit the unfoldings of the package, and print their quality.

    python tools/fit_unfoldings.py --data PHOTOS [--weights FOLDER --faces FACES] [NAME ...]

PHOTOS is a folder of photographs. Every twentieth, by file name, is not used for the fits but to
measure their quality. Of the others, `--most` are used, evenly spaced. Learned descriptors take
their networks from the folder `--weights`, and fit to `--faces` too. Each file of weights has its
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
from invertdesc.descriptors import Descriptor
from invertdesc.image import to_image
from invertdesc.training.decoders import DecoderConfig
from invertdesc.training.supports import ReadLater, fit_supports
from invertdesc.unfolding.fit import fit_unfolding, measure_unfolding
from invertdesc.unfolding.unfolding import Unfolding
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


USUAL = DecoderConfig(most=80_000)
WIDE = DecoderConfig(width=384, epochs=8, most=250_000)


@dataclass(frozen=True)
class Learned:
    """Settings for a learned descriptor; `others` are the sides of further supports in pixels.

    A decoder is left out where it gains nothing: TFeat, 0.908 for 0.917 of the linear map.
    """

    file: str
    others: tuple[float, ...] = ()
    ridge: float = 0.02
    decoder: DecoderConfig | None = USUAL
    options: dict[str, Any] = field(default_factory=dict)


LEARNED = {
    "aliked-n16": Learned("aliked-n16.pth", (72.0,)),
    "aliked-n16rot": Learned("aliked-n16rot.pth", (72.0,), decoder=WIDE),
    "aliked-n32": Learned("aliked-n32.pth", (80.0,)),
    "aliked-t16": Learned("aliked-t16.pth", (56.0,)),
    "disk": Learned("disk-depth-save.pth", (56.0,)),
    "tfeat": Learned("tfeat-liberty.params", decoder=None, options={"max_num_keypoints": 200}),
    "xfeat": Learned("xfeat.pt", (64.0,)),
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


def shuffled(paths: list[Path]) -> list[Path]:
    """Return paths in a random order, so that every so many-th is of either kind of picture."""
    draw = torch.Generator().manual_seed(0)
    return [paths[number] for number in torch.randperm(len(paths), generator=draw).tolist()]


def some_of(folder: Path, most: int) -> list[Path]:
    """Return so many pictures of a folder, evenly spaced, from the third on."""
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    return files[2 :: max(1, len(files) // most)][:most]


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
    about = {"options": recipe.options, "photographs": len(photos), "ridge": recipe.ridge}
    return written(name, unfolding, descriptor, held_out, output, about)


def fit_learned(
    name: str,
    descriptor: Descriptor,
    photos: list[Path],
    faces: list[Path],
    held_out: list[Path],
    output: Path,
) -> str:
    """Fit and write the unfolding of a learned descriptor, and return its row of the table."""
    recipe = LEARNED[name]
    paths = shuffled([*photos, *faces])
    found = [
        descriptor.extract(to_image(path))
        for path in tqdm(paths, desc=f"extract {name}", unit="image", disable=None)
    ]
    unfolding = fit_supports(
        descriptor,
        ReadLater(paths, found),
        recipe.others,
        ridge=recipe.ridge,
        decoder=recipe.decoder,
    )
    about = {
        "weights": recipe.file,
        "options": recipe.options,
        "photographs": len(photos),
        "faces": len(faces),
        "ridge": recipe.ridge,
    }
    return written(name, unfolding, descriptor, held_out, output, about)


def written(
    name: str,
    unfolding: Unfolding,
    descriptor: Descriptor,
    held_out: list[Path],
    output: Path,
    about: dict[str, Any],
) -> str:
    """Measure and write an unfolding with its card, and return its row of the table."""
    path = output / f"unfolding-{name}.safetensors"
    unfolding.save(path)
    quality = measure_unfolding(unfolding.load(path), descriptor, held_out)
    frame = unfolding.frame
    faces = "; faces of All-Age-Faces and UTKFace" if about.get("faces") else ""
    more = ""
    if name in LEARNED:
        more = f" --most {about['photographs']} --weights FOLDER"
        more += f" --faces FACES --most-faces {about['faces']}"
    card = {
        "descriptor": name,
        **about,
        "held_out_photographs": len(held_out),
        "held_out_patches": quality.patches,
        "held_out_correlation": round(quality.correlation, 4),
        "held_out_contrast": round(quality.contrast, 4),
        "data": f"photographs of ImageNet, Imagenette and BSDS500{faces}; for research use",
        "command": f"python tools/fit_unfoldings.py --data PHOTOS{more} {name}",
    }
    unfolding.save(path, card=card)
    unit = "scales" if frame.scaled and frame.assumed is None else "pixels"
    sides = [frame.support, *(other.frame.support for other in unfolding.others)]
    support = f"{' and '.join(f'{side:g}' for side in sides)} {unit}"
    return (
        f"| {name} | {support}{', turned' if frame.rotated else ''} | {unfolding.grid} "
        f"| {about['ridge']:g} | {unfolding.falloff:.2f} | {quality.patches} "
        f"| {quality.correlation:.3f}, {quality.contrast:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"Of {', '.join({**RECIPES, **LEARNED})}."
    )
    parser.add_argument("--data", type=Path, required=True, help="Folder of photographs.")
    parser.add_argument("--weights", type=Path, help="Folder with the networks of LEARNED.")
    parser.add_argument("--faces", type=Path, help="Folder of faces, for learned descriptors.")
    parser.add_argument("--output", type=Path, default=FOLDER, help="Folder for the weights.")
    parser.add_argument("--most", type=int, default=600, help="Photographs to fit to at most.")
    parser.add_argument("--most-faces", type=int, default=150, help="Faces to fit to at most.")
    parser.add_argument("--threads", type=int, default=2, help="Threads of PyTorch.")
    options = parser.parse_args()
    unknown = set(options.names) - set(RECIPES) - set(LEARNED)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    torch.set_num_threads(options.threads)
    photos, held_out = split(options.data, options.most)
    rows, start = [HEADER], time.perf_counter()
    faces = some_of(options.faces, options.most_faces) if options.faces else []
    for name in options.names or RECIPES:
        if name in LEARNED:
            network = options.weights / LEARNED[name].file if options.weights else None
            descriptor = create_descriptor(name, weights=network, **LEARNED[name].options)
            row = fit_learned(name, descriptor, photos, faces, held_out, options.output)
        else:
            row = fit(name, photos, held_out, options.output)
        rows.append(row)
        tqdm.write(rows[-1])
    seconds = time.perf_counter() - start
    print(
        "\n".join(rows),
        f"\n{len(photos)} photographs, {len(held_out)} held out, {seconds:.0f} s",
    )


if __name__ == "__main__":
    main()
