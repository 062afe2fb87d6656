"""Train the network of a method."""

from __future__ import annotations

import subprocess
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from invertdesc.descriptors import create_descriptor
from invertdesc.descriptors.base import encoding_of, gray_of
from invertdesc.errors import InputError
from invertdesc.evaluation.vgg16 import load_vgg16
from invertdesc.methods.network import NetworkMethod, network_method
from invertdesc.methods.recipe import TrainConfig
from invertdesc.training.checkpoint import load_checkpoint
from invertdesc.training.data import FeatureData
from invertdesc.training.distributed import Team, team
from invertdesc.training.interrupt import delay_interruption
from invertdesc.training.journal import Journal
from invertdesc.training.run import Run
from invertdesc.weights._files import build_network, read_network, save_network


def train(
    paths: Sequence[Path],
    out: Path,
    config: TrainConfig,
    *,
    start: Path | None = None,
    vgg16: Path | None = None,
    resume: bool = False,
    device: str | torch.device = "cpu",
    cache: Path | None = None,
    workers: int = 2,
    in_memory: bool = False,
    held_out: int = 8,
    tensorboard: bool = False,
    progress: bool = True,
    minutes: float | None = None,
    until: Callable[[], bool] = lambda: False,
) -> Path:
    """Train a method's network on pictures; return its weights, `METHOD.safetensors` in `out`.

    Under `torchrun` all processes train together, each on a part of every batch. Ctrl-C and SIGTERM
    end the run after the current step, and its state is saved; a second signal ends it immediately.

    Args:
        paths: Image files.
        out: Folder for checkpoints, `log.jsonl`, `sheet.png` and, at the end, the weights.
        config: Recipe; `preset` returns the recipe of a method.
        start: Weights to start from; a method with a refiner needs those of the network in front.
        vgg16: Weights of VGG16; see `load_vgg16`.
        resume: Whether to continue from the newest checkpoint in `out`, if there is one; on a CPU
            to the same bits.
        device: Device to train on.
        cache: Folder for extracted features; None for one inside `out`.
        workers: Number of extracting processes; 0 if the main module cannot be imported again.
        in_memory: Whether to keep changed copies of pictures and features in memory (of the device,
            if there is room); needs `variants`. Unchanged ones always are.
        held_out: Number of pictures, evenly spaced, to show in the sheet and not to train on.
        tensorboard: Whether to write losses and sheets for TensorBoard into `out` too.
        progress: Show progress bars.
        minutes: Time from the first step to the saved end; the schedule `"minutes"` needs it.
        until: Function that is called after each step; True saves and ends the run.

    Raises:
        InputError: There are too few images, options do not fit together, or `out` has another run.
        FileError: A checkpoint is corrupt, weights are missing, or a file cannot be written.

    >>> train([Path("a.png")], Path("run"), TrainConfig(steps=100))
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected more than 8 images to train on, got 1.
    """
    state = _found(paths, out, held_out, resume)
    load = {"cache": cache or out / "cache", "workers": workers, "progress": progress}
    load |= {"in_memory": in_memory}
    with team(device) as members:
        run, shown = _prepare(members, paths, config, start, vgg16, held_out, load)
        run.elapsed = _clock(config, minutes)
        _work(run, Journal(out, run, shown, tensorboard=tensorboard), state, progress, until)
        return _finish(run, out, start)


def _found(paths: Sequence[Path], out: Path, held_out: int, resume: bool) -> dict[str, Any] | None:
    """Return the state of the run in a folder to resume, if there is one."""
    if len(paths) <= held_out:
        raise InputError(f"Expected more than {held_out} images to train on, got {len(paths)}.")
    state = load_checkpoint(out)
    if state is not None and not resume:
        raise InputError(
            f"Expected an empty folder, got {out} with a run in it. Resume that run, or choose "
            "another folder."
        ).with_hint(resume=True)
    if state is None and resume:
        warnings.warn(f"Found nothing to resume in {out}: starting anew.", stacklevel=3)
    return state


def _prepare(
    members: Team,
    paths: Sequence[Path],
    config: TrainConfig,
    start: Path | None,
    vgg16: Path | None,
    held_out: int,
    load: dict[str, Any],
) -> tuple[Run, FeatureData]:
    """Return the run and the pictures to show; process 0 extracts features while others wait."""
    if config.batch % members.size:
        raise InputError(
            f"Expected a batch that {members.size} processes can share, got {config.batch}."
        )
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    method, config = make_method(config, start)
    vgg = load_vgg16(vgg16, config.vgg_layer) if config.losses.vgg else None
    kept = list(paths[:: len(paths) // held_out][:held_out])
    rest = [path for path in paths if path not in set(kept)]
    if members.rank > 0:
        members.wait()
    load = {**load, "crop": config.crop}
    shown = FeatureData(kept, config.descriptors, **load | {"in_memory": False})
    load |= {"augmentation": config.augmentation, "variants": config.variants}
    data = FeatureData(rest, config.descriptors, mirrored=not method.mirrors, **load)
    data.move(members.device)
    if members.rank == 0:
        members.wait()
    torch.manual_seed(config.seed + members.rank)  # dropout differs between processes
    return Run(config, data, method, vgg, members), shown


def _work(
    run: Run,
    journal: Journal,
    state: dict[str, Any] | None,
    progress: bool,
    until: Callable[[], bool],
) -> None:
    """Restore a state if there is one, and do the steps."""
    if state is not None:
        run.restore(state)
    with journal:
        _steps(run, journal, progress and run.team.rank == 0, until)


def _steps(run: Run, journal: Journal, progress: bool, until: Callable[[], bool]) -> None:
    """Do the remaining steps, unless the run ends before."""
    total = run.config.steps
    bar = tqdm(
        total=total, initial=run.step, desc="train", unit="step", disable=None if progress else True
    )
    with bar, delay_interruption() as interruption:
        start, ended = time.perf_counter(), run.step >= total
        while not ended:
            losses = run.advance()
            asked = until() or run.elapsed() >= 1 or interruption.signal is not None
            ended = run.step >= total or run.team.agree(asked)
            images = run.config.batch / max(time.perf_counter() - start, 1e-9)
            start = time.perf_counter()
            words = {name: f"{value:.3g}" for name, value in losses.items()}
            bar.set_postfix(words | {"images/s": f"{images:.0f}"})
            bar.update()
            journal.write(losses, ended)


def _clock(config: TrainConfig, minutes: float | None) -> Callable[[], float]:
    """Return a function: the share of some minutes, from now on, that has passed."""
    if minutes is not None:
        start = time.monotonic()
        return lambda: (time.monotonic() - start) / (60 * minutes)
    if config.schedule == "minutes":
        raise InputError("Expected minutes for the schedule 'minutes', got none.")
    return lambda: 0.0


def _finish(run: Run, out: Path, start: Path | None) -> Path:
    """Write the weights with a card about their training; return the file."""
    config = run.config
    weights = out / f"{config.method}.safetensors"
    card = {
        "recipe": asdict(config),
        "start": None if start is None else start.name,
        "steps": run.step,
        "images": len(run.sampler.data.paths),
        "commit": _commit(),
        "torch": torch.__version__,
    }
    with run.averaged():
        if config.patch is not None or run.average is not None:
            run.settle()
        if run.team.rank == 0:
            save_weights(weights, run.method, config, card)
    return weights


def make_method(config: TrainConfig, start: Path | None) -> tuple[NetworkMethod, TrainConfig]:
    """Create the method to train, and complete the recipe by descriptor and start weights.

    Raises:
        InputError: Options do not fit together.
        FileError: The weights to start from are not for this method.
    """
    kind = network_method(config.method)
    _check(config, kind, start)
    size = kind.recipe().network if config.network is None else config.network
    size = kind.sized(size, create_descriptor(config.descriptors[0]))
    only = None if kind.shared else config.descriptors[0]
    if start is None:
        method = kind(only, network=kind.build(asdict(size)))
        return method, replace(config, network=size)
    found, loaded, state = _weights(kind, start)
    network = build_network(found.build, loaded.config, state, start)
    own: Any = network  # its config has the type of its class
    size = own.config if found is kind else replace(size, base=own.config)
    method = kind(only, network=kind.build(asdict(size)))
    made: Any = method.network
    (made if found is kind else made.base).load_state_dict(network.state_dict())
    return method, replace(config, network=size)


def _check(config: TrainConfig, kind: type[NetworkMethod], start: Path | None) -> None:
    if not kind.shared and len(config.descriptors) > 1:
        raise InputError(
            f"Expected one descriptor, since {kind.name!r} learns one, got "
            f"{', '.join(config.descriptors)}."
        )
    if kind.base is None and config.losses.adversarial > 0:
        raise InputError(
            f"Expected losses without 'adversarial' for {kind.name!r}, which has no refiner; "
            "train a method that has one, such as 'coarse+cgan'."
        )
    if kind.base is None and config.freeze_base:
        raise InputError(
            f"Expected a method with a refiner to freeze the network in front of it, got "
            f"{kind.name!r}; choose one such as 'coarse+cgan'."
        )
    if kind.base is not None and start is None:
        raise InputError(
            f"Expected weights of {kind.base.name!r} to start {kind.name!r} from, got none. Train "
            f"{kind.base.name!r} first and give its weights as start."
        ).with_hint(start="FILE")


def _weights(kind: type[NetworkMethod], start: Path) -> tuple[type[NetworkMethod], Any, Any]:
    """Return the method of a file of weights (this one or the one in front), and the weights."""
    try:
        return kind, *read_network(start, kind.name)
    except OSError:
        if kind.base is None:
            raise
        return kind.base, *read_network(start, kind.base.name)


def save_weights(
    path: Path, method: NetworkMethod, config: TrainConfig, card: dict[str, Any]
) -> None:
    """Write the weights of a run with their header."""
    adapter = create_descriptor(config.descriptors[0])
    only = {} if method.shared else {"descriptor": encoding_of(adapter), "gray": gray_of(adapter)}
    save_network(path, method.name, method.network, card, **only)


def _commit() -> str | None:
    """Return the commit of the checkout that this code is in."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
