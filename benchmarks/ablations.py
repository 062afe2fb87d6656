"""Repeat the experiments of figures 4 to 8 of Wu et al. 2019, with standard errors.

    python benchmarks/ablations.py figure5 --test FACES --vgg16 FILE --images 200 -o runs/figures
    python benchmarks/ablations.py figure8 --test FACES --test PHOTOS --groups 8 ...
    python benchmarks/ablations.py figure4 --data FACES --test FACES --vgg16 FILE --minutes 30 ...

| | question | compares |
| --- | --- | --- |
| figure4 | does the joint loss help? | `coarse`, trained with it and with squared error |
| figure5 | is it better than other methods, such as `upconv`? | the shipped weights |
| figure6 | do two cell sizes help? | `coarse`, trained on both, on 4 x 4, and on 2 x 2 pixels |
| figure7 | is something of a hole without keypoints recovered? | all keypoints, those around it |
| figure8 | how good is it on other kinds of pictures? | folders, or groups by appearance |
| unfold | which network and loss for `unfold`? | small variants |

Figures 4, 6 and `unfold` are trained here, each variant for the same minutes; a run that was
stopped goes on. The measures are those of `evaluate`, the KID in VGG16's features, and, with
`--identity`, the share of faces that dlib accepts as the same person at 1 % false accepts.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from measuring import Meter, as_markdown, as_record
from torch import Tensor
from unfold_variants import unfold_variants

from invertdesc import create_descriptor, create_method, read_image
from invertdesc._files import atomic_write
from invertdesc.evaluation.baselines import MeanPicture, flat_picture, shuffled
from invertdesc.evaluation.dlib_faces import DlibRecogniser
from invertdesc.evaluation.kid import pooled
from invertdesc.evaluation.vgg16 import load_vgg16
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.methods.database import collect_database
from invertdesc.methods.network import network_method, preset
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.recipe import LossWeights, TrainConfig
from invertdesc.sources import spread
from invertdesc.training.checkpoint import list_checkpoints
from invertdesc.training.loop import train

HOLE = (80, 80, 176, 176)
SHIPPED = ("coarse", "coarse+cgan", "upconv", "poisson", "unfold", "unfold+cgan")
Maker = Callable[[LocalFeatures], Tensor]


def makers(names: Sequence[str], options: argparse.Namespace) -> dict[str, Maker]:
    """Return functions from features to a picture, for methods with the package's weights."""
    found = {}
    for name in names:
        given = {}
        if name == "ridge":
            given["database"] = options.output / "ridge-sift.safetensors"
            if not given["database"].is_file():
                some = spread(sorted(options.data[0].iterdir()), 300)
                print(collect_database("ridge", some, given["database"], descriptor="sift"))
        found[name] = maker(create_method(name, descriptor="sift", **given), options.device)
    return found


def maker(method: torch.nn.Module, device: str) -> Maker:
    method = method.to(device)

    def make(features: LocalFeatures) -> Tensor:
        batch = FeatureBatch.collate([replace(features, scores=None)]).to(device)
        with torch.no_grad():
            return method(batch)[0].cpu()

    return make


def described(paths: Sequence[Path]) -> Iterator[tuple[Path, Tensor, LocalFeatures]]:
    """Return pictures with their features of SIFT."""
    adapter = create_descriptor("sift")
    for path in paths:
        image = read_image(path)
        yield path, image, adapter.extract(image)


def meter(options: argparse.Namespace, hole: tuple[int, int, int, int] | None = None) -> Meter:
    vgg = None if options.vgg16 is None else load_vgg16(options.vgg16)
    return Meter(vgg, DlibRecogniser() if options.identity else None, hole, options.device)


def chosen(options: argparse.Namespace) -> list[Path]:
    return [
        path for folder in options.test for path in spread(sorted(folder.iterdir()), options.images)
    ]


def figure5(options: argparse.Namespace) -> None:
    """Compare methods on the same pictures."""
    names = [*SHIPPED, *(["ridge"] if options.data else [])]
    made, seen = makers(options.method or names, options), meter(options)
    for _, image, features in described(chosen(options)):
        pictures = {name: make(features) for name, make in made.items()}
        seen.add(features, image, pictures | {"flat": flat_picture(features.image_size)})
    report(seen, options, reference=next(iter(made)))


def figure7(options: argparse.Namespace) -> None:
    """Measure inside a hole, with all keypoints, and with those around it."""
    made, seen = makers(options.method or SHIPPED[:5], options), meter(options, HOLE)
    paths = chosen(options)
    mean = MeanPicture.of(read_image(path) for path in paths)
    for _, image, features in described(paths):
        around, pictures = features.outside(HOLE), {}
        for name, make in made.items():
            pictures[f"{name}, all keypoints"] = make(features)
            pictures[f"{name}, around the hole"] = make(around)
            pictures[f"{name}, around it, shuffled"] = make(shuffled(around))
        if mean is not None:
            pictures["mean of the other pictures"] = mean.without(image)
        seen.add(features, image, pictures)
    first = next(iter(made))
    report(seen, options, reference=f"{first}, around it, shuffled")


def figure8(options: argparse.Namespace) -> None:
    """Compare kinds of pictures: folders, or groups by appearance inside of them."""
    made = makers(options.method or ("coarse", "unfold", "poisson"), options)
    groups: dict[str, list[Path]] = {}
    for folder in options.test:
        paths = spread(sorted(folder.iterdir()), options.images)
        title = folder.parent.name if folder.name in ("test", "train") else folder.name
        numbers = _groups(paths, options) if options.groups > 1 else [0] * len(paths)
        for path, number in zip(paths, numbers, strict=True):
            name = f"{title} {number + 1}" if options.groups > 1 else title
            groups.setdefault(name, []).append(path)
    whole = Meter(None, None, None, options.device)
    for title, paths in sorted(groups.items()):
        print(f"{title}: {len(paths)} pictures, such as {paths[0].name}", flush=True)
        for _, image, features in described(paths):
            pictures = {f"{title}, {name}": make(features) for name, make in made.items()}
            pictures[f"{title}, flat"] = flat_picture(features.image_size)
            whole.add(features, image, pictures)
    report(whole, options)


def _groups(paths: Sequence[Path], options: argparse.Namespace) -> list[int]:
    """Divide pictures into groups by their mean features in VGG16, by k-means."""
    vgg = load_vgg16(options.vgg16).to(options.device)
    rows = pooled(vgg, (read_image(path).to(options.device) for path in paths))
    rows = (rows - rows.mean(0)) / rows.std(0).clamp(min=1e-9)
    draw = torch.Generator().manual_seed(0)
    centres = rows[torch.randperm(len(rows), generator=draw)[: options.groups]]
    for _ in range(50):
        nearest = torch.cdist(rows, centres).argmin(1)
        centres = torch.stack(
            [
                rows[nearest == n].mean(0) if bool((nearest == n).any()) else centres[n]
                for n in range(len(centres))
            ]
        )
    return nearest.tolist()


def coarse_variants(options: argparse.Namespace) -> dict[str, dict[str, TrainConfig]]:
    """Return the recipes of figures 4 and 6."""
    common = {"rate": options.rate, "schedule": "minutes", "average": 0.0, "steps": 10**6}
    joint = replace(preset("coarse"), network=CoarseConfig(width=options.width), **common)

    def cells(*sizes: int) -> TrainConfig:
        return replace(joint, network=CoarseConfig(width=options.width, cells=sizes))

    both = "joint loss, cells of 4 and 2"
    return {
        "figure4": {both: joint, "squared error": replace(joint, losses=LossWeights(l2=1.0))},
        "figure6": {both: joint, "cells of 4": cells(4), "cells of 2": cells(2)},
    }


def trained(options: argparse.Namespace) -> None:
    """Train the variants of a figure, and compare them."""
    figure = options.figure
    variants = unfold_variants() if figure == "unfold" else coarse_variants(options)[figure]
    given = spread(sorted(p for folder in options.data for p in folder.iterdir()), options.train)
    made: dict[str, Maker] = {}
    for name, recipe in variants.items():
        if options.only and name not in options.only:
            continue
        # A variant that two figures share is trained once.
        out = options.output / "variants" / re.sub(r"\W+", "-", name)
        config = replace(
            recipe,
            batch=options.batch,
            patch=options.patch,
            vgg_patch=options.vgg_patch,
            threads=options.threads,
            schedule="minutes",
        )
        weights = out / f"{config.method}.safetensors"
        if not weights.is_file() or options.again:
            weights = train(
                given,
                out,
                config,
                vgg16=options.vgg16,
                cache=options.cache or options.output / "cache",
                workers=options.workers,
                device=options.device,
                minutes=options.minutes,
                resume=bool(list_checkpoints(out)),
            )
        method = network_method(config.method)("sift", weights=weights)
        print(f"{name}: {method.trained.card.get('steps')} steps", flush=True)
        made[name] = maker(method, options.device)
    seen = meter(options)
    for _, image, features in described(chosen(options)):
        seen.add(features, image, {name: make(features) for name, make in made.items()})
    report(seen, options, reference=next(iter(made)))


def shown(value: object) -> object:
    """Return an option for the record, of a path the last two parts."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    return "/".join(value.parts[-2:]) if isinstance(value, Path) else value


def report(seen: Meter, options: argparse.Namespace, reference: str | None = None) -> None:
    """Print the table and write it as JSON."""
    table = seen.table(reference)
    print(as_markdown(table))
    record = {
        "options": {key: shown(value) for key, value in vars(options).items()},
        "images": max(len(row.values["ncc"]) for row in seen.rows.values()),
        "reference": reference,
        "torch": torch.__version__,
        "rows": as_record(table),
    }
    with atomic_write(options.output / f"{options.figure}.json") as file:
        file.write(json.dumps(record, indent=1).encode())


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    figures = ["figure4", "figure5", "figure6", "figure7", "figure8", "unfold"]
    parser.add_argument("figure", choices=figures)
    parser.add_argument("--test", type=Path, action="append", required=True, help="To measure on.")
    parser.add_argument("--data", type=Path, action="append", default=[], help="To train on.")
    parser.add_argument("--vgg16", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200, help="Pictures to measure on.")
    parser.add_argument("--method", "-m", action="append")
    parser.add_argument("--identity", action="store_true", help="Recognise faces, by dlib.")
    parser.add_argument("--groups", type=int, default=1, help="Groups of each folder, figure 8.")
    parser.add_argument("--minutes", type=float, default=20, help="Training of each variant.")
    parser.add_argument("--train", type=int, default=8000, help="Pictures to train on.")
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, help="Train on squares of this side.")
    parser.add_argument("--vgg-patch", type=int, help="VGG16 sees squares of this side.")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--only", action="append", help="Name of a variant. Repeatable.")
    parser.add_argument("--again", action="store_true", help="Train finished variants on.")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    options.output.mkdir(parents=True, exist_ok=True)
    run = {"figure5": figure5, "figure7": figure7, "figure8": figure8}.get(options.figure, trained)
    run(options)


if __name__ == "__main__":
    main()
