"""Train one network of the list for some seconds on the pictures of a pack, and measure it.

    python benchmarks/gpu_train.py coarse --folder UNPACKED --seconds 300 -o OUT

`on_gpu.py` calls it. Features are extracted by all processors before the first step, pictures and
features are kept in the memory of the device. `--prepare` extracts features and ends. `--dry` takes
small networks and batches, to try it on a CPU.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from conftest import describe_machine
from count_operations import operations
from measuring import Meter, as_markdown, as_record

from invertdesc import create_descriptor, create_method, read_image
from invertdesc._files import atomic_write
from invertdesc.errors import InvertDescError
from invertdesc.evaluation.vgg16 import load_vgg16
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import to_image
from invertdesc.methods.network import network_method, preset
from invertdesc.methods.networks.coarse import CoarseConfig
from invertdesc.methods.networks.refiner import RefinerConfig
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.networks.upconv import UpconvConfig
from invertdesc.methods.recipe import (
    CGAN,
    Augmentation,
    LossWeights,
    PatchGANConfig,
    TrainConfig,
)
from invertdesc.sources import spread
from invertdesc.training.data import FeatureData
from invertdesc.training.loop import train
from invertdesc.weights._files import find_weights

OF_UNFOLD = ("sift",) * 3 + ("orb", "brisk", "akaze", "kaze", "hog", "hog-uoctti", "sift-dense")
BATCH = 64
# Seconds of training, from which on compiling is worth its time: on an H200, R at full width is 8 %
# faster, and compiling takes 22 s.
LARGE = 600
HELD_OUT = 8


@dataclass(frozen=True)
class Job:
    """A training of the list.

    Attributes:
        config: Recipe, but for its steps.
        kinds: Which pictures of the pack to train and to measure on.
        start: Method whose weights to start from, or None.
    """

    config: TrainConfig
    kinds: tuple[str, ...] = ("faces",)
    start: str | None = None


def paper(method: str, **changes: Any) -> TrainConfig:
    """Return a recipe of the paper for large batches: a higher rate, which falls to 0."""
    common = {"batch": BATCH, "rate": 1e-3, "schedule": "minutes", "warmup": 200}
    return replace(preset(method), **common | changes)


def jobs() -> dict[str, Job]:
    """Return the trainings by name."""
    unfold = replace(
        preset("unfold"),
        descriptors=usable(OF_UNFOLD),
        batch=BATCH,
        rate=1e-3,
        schedule="minutes",
        losses=LossWeights(l1=0.5, l2=2, ssim=0.3, correlation=0.3, shading=0.2),
        augmentation=Augmentation(),
        variants=2,
    )
    gan = preset("coarse+cgan").network
    return {
        "unfold": Job(unfold, ("faces", "photos"), "unfold"),
        "coarse": Job(paper("coarse", network=CoarseConfig())),
        "coarse-30": Job(paper("coarse", network=CoarseConfig(width=30))),
        "coarse+cgan": Job(
            paper(
                "coarse+cgan",
                network=replace(gan, refiner=RefinerConfig(width=32)),
                batch=32,
                rate=4e-4,
                # At 0.25, 2,285 steps drew white lines over the faces.
                losses=replace(CGAN, adversarial=0.04),
                discriminator_steps=1,
                freeze_base=True,
            ),
            start="coarse",
        ),
        "upconv": Job(paper("upconv", network=UpconvConfig())),
    }


def dry(job: Job) -> Job:
    """Return a job with a small network and a small batch."""
    config = replace(job.config, batch=4, crop=128, warmup=2)
    small: dict[str, Any] = {
        "unfold": UNetConfig(width=4),
        "coarse": CoarseConfig(width=4),
        "upconv": UpconvConfig(width=4),
    }
    if config.method in small:
        config = replace(config, network=small[config.method])
    else:
        refiner = RefinerConfig(width=4, blocks=1)
        config = replace(
            config,
            network=replace(config.network, base=CoarseConfig(width=4), refiner=refiner),
            discriminator=PatchGANConfig(width=4),
        )
    if config.augmentation is not None:
        config = replace(config, variants=1, descriptors=("sift", "orb"))
    return replace(job, config=config)


def usable(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the descriptors that can be extracted here."""
    picture, found = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)), []
    for name in names:
        try:
            create_descriptor(name).extract(picture)
        except InvertDescError:
            continue
        found.append(name)
    return tuple(found)


def pictures(folder: Path, part: str, kinds: tuple[str, ...], most: int | None) -> list[Path]:
    """Return the pictures of a part of the pack, `"train"` or `"test"`."""
    every = [sorted((folder / part / kind).iterdir()) for kind in kinds]
    return [path for paths in every for path in spread(paths, most)]


def prepare(job: Job, options: argparse.Namespace) -> None:
    """Extract the features that the training needs."""
    config, method = job.config, network_method(job.config.method)
    paths, cache = pictures(options.folder, "train", job.kinds, options.most), "cache"
    # The pictures that the training holds out are not changed; extracting them there would start
    # processes for a few pictures.
    shown = paths[:: max(1, len(paths) // HELD_OUT)][:HELD_OUT]
    FeatureData(
        shown, config.descriptors, crop=config.crop, cache=options.folder / cache, workers=0
    )
    FeatureData(
        paths,
        config.descriptors,
        crop=config.crop,
        cache=options.folder / cache,
        mirrored=not method.mirrors,
        augmentation=config.augmentation,
        variants=config.variants,
        workers=options.workers,
    )


def start_of(job: Job, options: argparse.Namespace) -> Path | None:
    """Return the weights to start from: of this run, of the pack, or of the package."""
    if job.start is None or (options.dry and job.config.method == job.start):
        return None
    name = f"{job.start}.safetensors"
    for file in (options.output / job.start / name, options.folder / "start" / name):
        if file.is_file():
            return file
    return find_weights(job.start, "sift", network_method(job.start).shared, None)


def compared(job: Job, weights: Path, options: argparse.Namespace) -> Meter:
    """Measure the trained network beside the one of the package, on all test pictures."""
    vgg = load_vgg16(options.folder / "vgg16.safetensors")
    meter, device = Meter(vgg, device=options.device), options.device
    kind = network_method(job.config.method)
    methods = {"trained": kind("sift", weights=weights)}
    if job.config.freeze_base:
        methods["in front"] = create_method(job.start, descriptor="sift")
    if not options.dry and kind.is_ready("sift"):
        methods["shipped"] = create_method(job.config.method, descriptor="sift")
    adapter = create_descriptor("sift")
    moved = {name: method.to(device) for name, method in methods.items()}
    for path in pictures(options.folder, "test", job.kinds, 6 if options.dry else None):
        image = to_image(read_image(path))
        features = adapter.extract(image)
        batch = FeatureBatch.collate([replace(features, scores=None)]).to(device)
        with torch.no_grad():
            made = {name: method(batch)[0].cpu() for name, method in moved.items()}
        meter.add(features, image, {f"{path.parent.name}, {k}": v for k, v in made.items()})
    return meter


def run(name: str, job: Job, options: argparse.Namespace) -> None:
    """Train, measure, and write weights, sheet and figures."""
    begun = time.monotonic()
    out = options.output / name
    config, left = job.config, options.seconds
    config = replace(config, steps=10**6, compile=options.device == "cuda" and left >= LARGE)
    paths = pictures(options.folder, "train", job.kinds, options.most)
    first: list[float] = []

    def ended() -> bool:
        first.append(time.monotonic())
        return first[-1] - begun > left - options.measuring

    weights = train(
        paths,
        out,
        config,
        start=start_of(job, options),
        vgg16=options.folder / "vgg16.safetensors",
        device=options.device,
        cache=options.folder / "cache",
        workers=options.workers,
        in_memory=config.augmentation is not None,
        held_out=HELD_OUT,
        progress=False,
        minutes=max(5.0, left - options.measuring - options.loading) / 60,
        until=ended,
    )
    made: Any = network_method(config.method)("sift", weights=weights).network
    report = speed(first, replace(config, network=made.config), options)
    meter = compared(job, weights, options)
    table = meter.table()
    print(as_markdown(table), flush=True)
    report |= {"rows": as_record(table), "images": len(paths), "recipe": asdict(config)}
    with atomic_write(options.output / f"{name}.json") as file:
        file.write(json.dumps(report, indent=1, default=str).encode())


def speed(ticks: list[float], config: TrainConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Return the speed of the later steps, also as a share of the device's matrix rate."""
    later = ticks[len(ticks) // 2 :]
    found: dict[str, Any] = {"machine": describe_machine(), "steps": len(ticks)}
    if len(later) > 1:
        rate = config.batch * (len(later) - 1) / (later[-1] - later[0])
        each = operations(config)
        found |= {"pictures a second": rate, "GFLOP a picture": each / 1e9}
        ceiling = options.output / "ceilings.json"
        if ceiling.is_file():
            most = json.loads(ceiling.read_text())["matrix, TFLOP/s"]
            found["share of the matrix rate"] = rate * each / 1e12 / most
    numbers = {key: value for key, value in found.items() if key != "machine"}
    print(json.dumps(numbers), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", nargs="+", choices=list(jobs()))
    parser.add_argument("--folder", type=Path, required=True, help="Unpacked pack.")
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300, help="For all, measuring included.")
    parser.add_argument("--loading", type=float, default=20, help="Seconds before the first step.")
    parser.add_argument("--measuring", type=float, default=30, help="Seconds after the last step.")
    parser.add_argument("--most", type=int, help="Training pictures of each kind.")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--dry", action="store_true")
    options = parser.parse_args()
    for name, job in jobs().items():
        if name in options.job:
            job = dry(job) if options.dry else job
            if options.prepare:
                prepare(job, options)
            else:
                run(name, job, options)


if __name__ == "__main__":
    main()
