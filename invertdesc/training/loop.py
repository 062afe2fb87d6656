"""Train the network of a method."""

from __future__ import annotations

import json
import subprocess
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from invertdesc._files import atomic_write
from invertdesc._optional import require
from invertdesc.descriptors import create_descriptor
from invertdesc.drawing import contact_sheet
from invertdesc.errors import FileError, InputError
from invertdesc.evaluation.vgg16 import load_vgg16
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import write_image
from invertdesc.methods.cgan import CoarseCGAN, UnfoldCGAN
from invertdesc.methods.coarse import Coarse
from invertdesc.methods.network import NetworkMethod
from invertdesc.methods.unfold import Unfold
from invertdesc.methods.upconv import Upconv
from invertdesc.rasterizers.cells import GEOMETRY
from invertdesc.training.checkpoint import load_checkpoint, save_checkpoint
from invertdesc.training.config import TrainConfig
from invertdesc.training.data import FeatureData
from invertdesc.training.distributed import Team, team
from invertdesc.training.interrupt import delay_interruption
from invertdesc.training.run import Run
from invertdesc.weights._files import build_network, read_network, save_network

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SAVE_EVERY = 250  # steps
METHODS: dict[str, type[NetworkMethod]] = {
    one.name: one for one in (Coarse, CoarseCGAN, Unfold, UnfoldCGAN, Upconv)
}


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
    held_out: int = 8,
    tensorboard: bool = False,
    until: Callable[[], bool] = lambda: False,
) -> Path:
    """Train a method's network on a folder of pictures.

    Under `torchrun` all its processes train together, each on a part of every batch. Ctrl-C and
    SIGTERM end the run after the step at hand, saved; a second one ends it at once.

    Args:
        paths: Image files; `held_out` of them, evenly spaced, are shown in the contact
            sheet and not trained on.
        out: Folder for checkpoints, `log.jsonl`, `sheet.png` and, in the end, the weights,
            `METHOD.safetensors`.
        config: The recipe.
        start: Weights to start from: the method's own, or for one with a refiner those of the
            network in front of it, which it needs.
        vgg16: Weights of VGG16; see `load_vgg16`.
        resume: Go on from the newest checkpoint in `out`, or, with a warning, start where there is
            none; on a CPU the losses are the same to the last bit as those of a run that was never
            stopped.
        device: Where to train.
        cache: Folder for extracted features; None for one inside `out`.
        workers: Processes that extract features; 0 for this one, as where the caller's main module
            cannot be imported anew.
        held_out: Pictures kept out, for looking at.
        tensorboard: Write losses and sheets for TensorBoard into `out` as well.
        until: Asked after each step; the run ends, saved, when it says so.

    Returns:
        The file of weights.

    Raises:
        InputError: Too few images, options that do not go together, or `out` holds another run and
            `resume` is not given.
        FileError: A checkpoint is corrupt, weights are missing, or a place cannot be written.

    >>> train([Path("a.png")], Path("run"), TrainConfig(steps=100))
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected more than 8 images to train on, got 1.
    """
    if len(paths) <= held_out:
        raise InputError(f"Expected more than {held_out} images to train on, got {len(paths)}.")
    state = load_checkpoint(out)
    if state is not None and not resume:
        raise InputError(f"Expected an empty folder, got {out} with a run in it. Add --resume.")
    if state is None and resume:
        warnings.warn(f"Found nothing to resume in {out}: starting anew.", stacklevel=2)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    with team(device) as members:
        if config.batch % members.size:
            raise InputError(
                f"Expected a batch that {members.size} processes can share, got {config.batch}."
            )
        torch.manual_seed(config.seed)
        method, config = make_method(config, start)
        vgg = load_vgg16(vgg16, config.vgg_layer) if config.losses.vgg else None
        load: dict[str, Any] = {"crop": config.crop, "workers": workers}
        load["cache"] = out / "cache" if cache is None else cache
        kept = list(paths[:: len(paths) // held_out][:held_out])
        rest = [path for path in paths if path not in set(kept)]
        if members.rank > 0:
            members.wait()  # for process 0 to fill the cache
        shown = FeatureData(kept, config.descriptors, **load)
        data = FeatureData(rest, config.descriptors, mirrored=not method.mirrors, **load)
        if members.rank == 0:
            members.wait()
        torch.manual_seed(config.seed + members.rank)  # dropout differs between processes
        run = Run(config, data, method, vgg, members)
        if state is not None:
            run.restore(state)
        _steps(run, method, out, shown, tensorboard, until)
        card = {
            "recipe": asdict(config),
            "start": None if start is None else start.name,
            "steps": run.step,
            "images": len(rest),
            "commit": _commit(),
            "torch": torch.__version__,
        }
        weights = out / f"{config.method}.safetensors"
        with run.averaged():
            if config.patch is not None or run.average is not None:
                run.settle()
            if members.rank == 0:
                save_weights(weights, method, config, card)
    return weights


def make_method(config: TrainConfig, start: Path | None) -> tuple[NetworkMethod, TrainConfig]:
    """Make what is trained, and the recipe with the sizes that follow from descriptor and start.

    Raises:
        InputError: Options that do not go together.
        FileError: The weights to start from are not for this method.
    """
    if config.method not in METHODS:
        raise InputError(f"Expected a method among {', '.join(METHODS)}, got {config.method!r}.")
    kind = METHODS[config.method]
    if not kind.shared and len(config.descriptors) > 1:
        raise InputError(
            f"Expected one descriptor, since {kind.name!r} learns one, got "
            f"{', '.join(config.descriptors)}."
        )
    if kind.base is None and config.losses.adversarial > 0:
        raise InputError(
            f"Expected losses without 'adversarial' for {kind.name!r}, which has no refiner; "
            f"train {kind.name + '+cgan'!r}."
        )
    if kind.base is not None and start is None:
        raise InputError(
            f"Expected weights of {kind.base!r} to start {kind.name!r} from, got none. Train "
            f"{kind.base!r} first and give its weights: --start FILE."
        )
    config = _sized(config, kind)
    loaded = None
    if start is not None:
        try:
            loaded, state, whole = *read_network(start, kind.name), True
        except OSError:
            if kind.base is None:
                raise
            loaded, state, whole = *read_network(start, kind.base), False
        found = kind if whole else METHODS[kind.base or ""]
        network = build_network(found.build, loaded.config, state, start)
        size = network.config if whole else replace(config.network, base=network.config)
        config = replace(config, network=size)
    method = kind(
        None if kind.shared else config.descriptors[0],
        network=kind.build(asdict(config.network)),
    )
    if loaded is not None:
        target = method.network if whole else method.network.base
        target.load_state_dict(network.state_dict())  # type: ignore[union-attr]
    return method, config


def _sized(config: TrainConfig, kind: type[NetworkMethod]) -> TrainConfig:
    """Set the channels of a cell map, which follow from the descriptor."""
    if kind.shared or kind.base is not None:
        return config
    inputs = create_descriptor(config.descriptors[0]).dim
    if getattr(kind, "geometry", False):
        inputs += len(GEOMETRY)
    return replace(config, network=replace(config.network, inputs=inputs))


def save_weights(
    path: Path, method: NetworkMethod, config: TrainConfig, card: dict[str, Any]
) -> None:
    """Write the weights of a run, with what they are for."""
    adapter = create_descriptor(config.descriptors[0])
    only: dict[str, Any] = {}
    if not method.shared:
        from invertdesc.descriptors.base import encoding_of

        only = {"descriptor": encoding_of(adapter), "gray": getattr(adapter, "gray", None)}
    save_network(path, method.name, method.network, card, **only)


def _commit() -> str | None:
    """Return the commit of a checkout that this runs from."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _steps(
    run: Run,
    method: NetworkMethod,
    out: Path,
    shown: FeatureData,
    tensorboard: bool,
    until: Callable[[], bool],
) -> None:
    total, lead = run.config.steps, run.team.rank == 0
    with ExitStack() as stack:
        interruption = stack.enter_context(delay_interruption())
        bar = stack.enter_context(
            tqdm(
                total=total,
                initial=run.step,
                desc="train",
                unit="step",
                disable=None if lead else True,
            )
        )
        log = out / "log.jsonl"
        if lead:
            _trim_log(log, run.step)
        board = stack.enter_context(_board(out)) if lead and tensorboard else None
        start = time.perf_counter()
        ended = run.step >= total
        while not ended:
            losses = run.advance()
            asked = until() or interruption.signal is not None
            ended = run.step >= total or run.team.agree(asked)
            images = run.config.batch / max(time.perf_counter() - start, 1e-9)
            start = time.perf_counter()
            bar.set_postfix(
                {k: f"{v:.3g}" for k, v in losses.items()} | {"images/s": f"{images:.0f}"}
            )
            bar.update()
            if not lead:
                continue
            _append(log, {"step": run.step, **losses})
            if board is not None:
                for name, value in losses.items():
                    board.add_scalar(name, value, run.step)
            if run.step % SAVE_EVERY == 0 or ended:
                save_checkpoint(out, run.step, run.state())
                with run.averaged():
                    sheet = _sheet(run.config, method, shown, run.team)
                write_image(sheet, out / "sheet.png")
                if board is not None:
                    board.add_image("held out", sheet, run.step)


def _trim_log(path: Path, step: int) -> None:
    """Take out of the log of losses the steps that will be done once more.

    Raises:
        FileError: It cannot be read or written.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror}.") from error
    with atomic_write(path) as log:
        log.writelines(lines[:step])


def _append(path: Path, losses: dict[str, float]) -> None:
    try:
        with path.open("a") as log:
            log.write(json.dumps(losses) + "\n")
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror}. Make room for it.") from error


def _board(out: Path) -> SummaryWriter:
    require("tensorboard", "train", needed_by="a log for TensorBoard")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out))


def _sheet(config: TrainConfig, method: NetworkMethod, shown: FeatureData, members: Team) -> Tensor:
    """Draw the pictures kept out, and what each descriptor gives of them."""
    count = len(shown.paths)
    rows = [("original", [shown.item(n)[0] for n in range(count)])]
    method.network.eval()
    for name in dict.fromkeys(config.descriptors):
        features = [shown.item(n, config.descriptors.index(name))[1] for n in range(count)]
        rows.append((name, list(method(FeatureBatch.collate(features).to(members.device)))))
    return contact_sheet(rows)
