"""The list of what needs a CUDA device, in order of worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

LIBRARY = ("invertdesc/**/*",)
TRAINING = (
    "benchmarks/gpu_train.py",
    "benchmarks/measuring.py",
    "invertdesc/training/*",
    "invertdesc/methods/*",
    "invertdesc/methods/networks/*",
    "invertdesc/evaluation/vgg16.py",
)
PYTEST = ("{python}", "-m", "pytest", "-q", "-W", "default", "-p", "no:cacheprovider")
# Seconds of each training, measuring included.
WANTED = {
    "unfold": 360.0,
    "coarse": 420.0,
    "coarse-30": 360.0,
    "coarse+cgan": 245.0,
    "upconv": 240.0,
}
COLUMNS = "--benchmark-columns=median,iqr"


@dataclass(frozen=True)
class Item:
    """Something to do.

    Attributes:
        name: Name, in the log and in `gpu-done.json`.
        command: Words of the command, with {python}, {work}, {device} and {seconds}.
        seconds: Seconds wanted, at most.
        least: Seconds below which it is not started.
        code: Patterns of the files whose change makes it necessary again.
        results: JSON files that it writes, in the work folder.
        weights: Files of weights that it writes, in the work folder.
        dry: Further words of the command in a dry run.
        trains: Whether it needs features, and is done only if it had its time.
        background: Whether the next items run meanwhile.
        always: Whether it runs again on the same code, since others need it.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    least: float
    code: tuple[str, ...] = LIBRARY
    results: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    dry: tuple[str, ...] = ()
    trains: bool = False
    background: bool = False
    always: bool = False


def chosen(
    pack: Path | None,
    work: Path,
    *,
    dry: bool = False,
    only: Sequence[str] | None = None,
    skip: Sequence[str] = (),
) -> list[Item]:
    """Return the list, or a part of it; features are extracted only for what is trained.

    Args:
        pack: File of `tools/pack_for_gpu.py`, or None.
        work: Folder for everything that is written.
        dry: Whether to take a tenth of the time and small networks.
        only: Names of items; None for all.
        skip: Names of items to leave out.
    """
    items = [
        item
        for item in everything(pack, work, dry=dry)
        if (not only or item.name in only or item.always) and item.name not in skip
    ]
    # What is not a training of `gpu_train.py` needs the features of `coarse`.
    trained = [item.name if item.name in WANTED else "coarse" for item in items if item.trains]
    names = [name for name in WANTED if name in trained]
    return [
        replace(item, command=tuple(w for word in item.command for w in _named(word, names)))
        for item in items
        if names or not item.background
    ]


def _named(word: str, names: list[str]) -> list[str]:
    return names if word == "{names}" else [word]


def everything(pack: Path | None, work: Path, *, dry: bool = False) -> list[Item]:
    """Return the list; without a pack, without training.

    Args:
        pack: File of `tools/pack_for_gpu.py`, or None.
        work: Folder for everything that is written.
        dry: Whether to take a tenth of the time and small networks.
    """
    items = measurements(dry)
    if pack is not None:
        items = [*preparation(pack, dry), *items, *trainings(dry), *experiments(work, dry)]
    if not dry:
        return items
    return [_shortened(item) for item in items]


def _shortened(item: Item) -> Item:

    # Python alone takes seconds to start, which do not become fewer.
    seconds = max(60.0 if item.trains else 50.0, item.seconds / 10)
    return replace(item, seconds=seconds, least=min(item.least, 5.0))


def preparation(pack: Path, dry: bool) -> list[Item]:
    """Unpack, measure the ceilings, and extract features while tests run."""
    train = ("{python}", "benchmarks/gpu_train.py", "{names}", "--folder", "{work}/pack")
    words = (*train, "--prepare", "-o", "{work}")
    unpacking = ("{python}", "tools/pack_for_gpu.py", "--unpack", str(pack), "-o", "{work}/pack")
    ceilings = ("{python}", "benchmarks/ceilings.py", "-o", "{work}/ceilings.json")
    return [
        Item("unpack", unpacking, 40, 5, always=True),
        Item(
            "ceilings",
            (*ceilings, "--device", "{device}"),
            25,
            10,
            results=("ceilings.json",),
            always=True,
        ),
        Item(
            "features",
            words,
            300,
            5,
            dry=("--dry", "--most", "24", "--workers", "1"),
            background=True,
            always=True,
        ),
    ]


def measurements(dry: bool) -> list[Item]:
    """Test, and measure kernels and methods."""
    device = "cpu" if dry else "cuda"
    tests = (*PYTEST, "-m", "gpu", "tests/test_gpu.py", "--durations=5")
    found = [
        Item("tests", tests, 100, 30, dry=("--collect-only",)),
        Item(
            "shares",
            ("{python}", "benchmarks/gpu_shares.py", "-o", "{work}/shares.json"),
            35,
            15,
            ("invertdesc/ops/*", "benchmarks/gpu_shares.py"),
            ("shares.json",),
            dry=("--images", "1", "--calls", "1"),
        ),
    ]
    for name, seconds in (("placement", 25), ("painting", 20), ("methods", 110)):
        file = f"{name}.json"
        command = (*PYTEST, f"benchmarks/bench_{name}.py", "-k", device, COLUMNS)
        found.append(
            Item(
                name,
                (*command, f"--as-it-goes={{work}}/{file}"),
                seconds,
                seconds / 2,
                results=(file,),
                dry=("--benchmark-disable", "-k", f"{device} and (poisson or ours)"),
            )
        )
    return found


def trainings(dry: bool) -> list[Item]:
    """Train, most valuable first."""
    return [_training(name, dry) for name in WANTED if name != "upconv"]


def _training(name: str, dry: bool) -> Item:
    seconds = WANTED[name]
    method = name.removesuffix("-30")
    times = ("--loading", "4", "--measuring", "14") if dry else ()
    command = ("{python}", "benchmarks/gpu_train.py", name, "--folder", "{work}/pack")
    return Item(
        name,
        (*command, "-o", "{work}", "--seconds", "{seconds}", "--device", "{device}", *times),
        seconds,
        110,
        TRAINING,
        (f"{name}.json",),
        (f"{name}/{method}.safetensors",),
        ("--dry", "--most", "24", "--workers", "1"),
        trains=True,
    )


def experiments(work: Path, dry: bool) -> list[Item]:
    """Return the experiments of the paper's claims, then the less urgent trainings."""
    pack = "{work}/pack"
    common = ("--vgg16", f"{pack}/vgg16.safetensors", "--device", "{device}", "-o", "{work}")
    data = ("--data", f"{pack}/train/faces", "--test", f"{pack}/test/faces")
    cache = ("--cache", f"{pack}/cache", "--workers", "16")
    ablation = ("{python}", "benchmarks/ablations.py")
    trained = ("--batch", "64", "--width", "30", "--minutes", "0.7", "--train", "4000")
    small = ("--batch", "4", "--width", "4", "--minutes", "0.05", "--images", "4", "--workers", "1")
    code = (*TRAINING, "benchmarks/ablations.py")
    tiny = ("--batch", "2", "--width", "4", "--minutes", "0.05", "--images", "12", "--workers", "1")
    found = [
        Item(
            figure,
            (*ablation, figure, *data, *common, *cache, *trained),
            seconds,
            110,
            code,
            (f"{figure}.json",),
            dry=(*small, "--train", "24"),
            trains=True,
        )
        for figure, seconds in (("figure4", 140), ("figure6", 140))
    ]
    for figure in ("figure5", "figure7"):
        test = ("--test", f"{pack}/test/faces", *common)
        words = (*ablation, figure, *test)
        found.append(Item(figure, words, 45, 30, code, (f"{figure}.json",), dry=("--images", "3")))
    balance = ("{python}", "benchmarks/gan_balance.py", "--data", f"{pack}/train/faces")
    start = ("--start", "invertdesc/weights/coarse-sift.safetensors", "--batch", "16")
    frames = ("{python}", "tools/train_frames.py", "sift", "--faces", f"{pack}/train/faces")
    to = ("-o", "{work}/frames-sift.safetensors", "--cache", f"{pack}/frames", "--steps", "20000")
    return [
        *found,
        Item(
            "balance",
            (*balance, *start, *common, *cache, "--minutes", "0.5"),
            330,
            300,
            (*TRAINING, "benchmarks/gan_balance.py"),
            ("balance.json",),
            dry=(*tiny, "--patch", "64", "--held-out", "2", "--only", "weight 0.1"),
            trains=True,
        ),
        Item(
            "frames",
            (*frames, "--photos", f"{pack}/train/photos", *to, "--minutes", "4"),
            330,
            300,
            ("tools/train_frames.py", "invertdesc/unfolding/frames/*"),
            weights=("frames-sift.safetensors",),
            dry=("--minutes", "0.05", "--images", "90", "--keypoints", "100"),
        ),
        _training("upconv", dry),
    ]
