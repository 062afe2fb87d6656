"""Train the network of `unfold`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from invertdesc.drawing import contact_sheet
from invertdesc.errors import InputError
from invertdesc.features import FeatureBatch, LocalFeatures
from invertdesc.field import FieldRasterizer
from invertdesc.image import write_image
from invertdesc.reconstructors.networks.unet import UNet
from invertdesc.reconstructors.unfold import Unfold, network_input
from invertdesc.training.checkpoint import load_checkpoint, save_checkpoint
from invertdesc.training.config import TrainConfig
from invertdesc.training.data import FeatureData, drop_keypoints
from invertdesc.training.losses import l1, ssim_loss
from invertdesc.weights._files import save_network

SAVE_EVERY = 250  # steps


def train(
    paths: Sequence[Path],
    out: Path,
    config: TrainConfig,
    *,
    resume: bool = False,
    device: str | torch.device = "cpu",
    cache: Path | None = None,
    workers: int = 2,
    held_out: int = 8,
    until: Callable[[], bool] = lambda: False,
) -> Path:
    """Train `unfold` on a folder of pictures.

    Args:
        paths: Image files; `held_out` of them, evenly spaced, are shown in the contact
            sheet and not trained on.
        out: Folder for checkpoints, `log.jsonl`, `sheet.png` and, in the end, `unfold.safetensors`.
        config: The recipe.
        resume: Go on from the newest checkpoint in `out`; on a CPU the losses are the same to the
            last bit as those of a run that was never stopped.
        device: Where to train.
        cache: Folder for extracted features; None for one inside `out`.
        workers: Processes that extract features.
        held_out: Pictures kept out, for looking at.
        until: Asked after each step; the run ends, saved, when it says so.

    Returns:
        The file of weights.

    Raises:
        InputError: Too few images, or `out` holds another run and `resume` is not given.
        FileError: A checkpoint is corrupt, or a place cannot be written.
    """
    if len(paths) <= held_out:
        raise InputError(f"Expected more than {held_out} images to train on, got {len(paths)}.")
    state = load_checkpoint(out)
    if state is not None and not resume:
        raise InputError(f"Expected an empty folder, got {out} with a run in it. Add --resume.")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    cache = out / "cache" if cache is None else cache
    load: dict[str, Any] = {"crop": config.crop, "cache": cache, "workers": workers}
    kept = list(paths[:: len(paths) // held_out][:held_out])
    data = FeatureData([p for p in paths if p not in set(kept)], config.descriptors, **load)
    shown = FeatureData(kept, config.descriptors, **load)
    run = _Run(config, data, torch.device(device))
    if state is not None:
        run.restore(state)
    _steps(run, out, shown, until)
    weights = out / "unfold.safetensors"
    save_network(weights, Unfold.name, run.network, {"recipe": asdict(config), "steps": run.step})
    return weights


class _Run:
    """All that changes from step to step."""

    def __init__(self, config: TrainConfig, data: FeatureData, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.data, self.device = config, data, device
        self.network = UNet(config.network).to(device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.rate, weight_decay=0.0, fused=True
        )
        self.generator = torch.Generator().manual_seed(config.seed)
        self.rasterizers = {
            name: FieldRasterizer(name, stride=config.network.upscale)
            for name in config.descriptors
        }
        self.step = 0

    def advance(self) -> dict[str, float]:
        """Take one step and return the losses."""
        done = self.step / self.config.steps
        warm = min(1.0, (self.step + 1) / 100)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        field, truth = self._draw()
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.autocast):
            picture = self.network(field)
        picture = picture.float()
        parts = {"l1": l1(picture, truth), "ssim": ssim_loss(picture, truth)}
        self.optimizer.zero_grad()
        (parts["l1"] + self.config.ssim * parts["ssim"]).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        return {name: float(value.detach()) for name, value in parts.items()}

    def _draw(self) -> tuple[Tensor, Tensor]:
        """Return inputs (B, 4, h, w) and truth (B, 3, H, W) of one batch."""
        config, data, count = self.config, self.data, len(self.data.paths)
        groups: dict[str, list[tuple[Tensor, LocalFeatures]]] = {}
        for _ in range(config.batch):
            which = self._integer(len(config.descriptors))
            picture, features = data[self._integer(count) + count * which]
            if self._uniform() < config.drop:
                features = drop_keypoints(features, 0.1 + 0.9 * self._uniform(), self.generator)
            groups.setdefault(config.descriptors[which], []).append((picture, features))
        fields, truths = [], []
        for name, items in groups.items():
            batch = FeatureBatch.collate([features for _, features in items]).to(self.device)
            with torch.no_grad():
                fields.append(network_input(self.rasterizers[name](batch)))
            truths += [picture for picture, _ in items]
        field, truth = torch.cat(fields), torch.stack(truths).to(self.device)
        flipped = torch.rand(len(field), generator=self.generator).to(self.device) < 0.5
        field = torch.where(flipped[:, None, None, None], mirror_field(field), field)
        truth = torch.where(flipped[:, None, None, None], truth.flip(-1), truth)
        return field.contiguous(memory_format=torch.channels_last), truth

    def _integer(self, below: int) -> int:
        return int(torch.randint(below, (), generator=self.generator))

    def _uniform(self) -> float:
        return float(torch.rand((), generator=self.generator))

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "config": json.dumps(asdict(self.config)),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        if state["config"] != json.dumps(asdict(self.config)):
            raise InputError(
                f"Expected to resume with the options of the run, {state['config']}; got others."
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.step = state["step"]


def mirror_field(field: Tensor) -> Tensor:
    """Mirror a field (B, 4, h, w) left to right; gx, the third channel, changes its sign."""
    return field.flip(-1) * field.new_tensor([1, 1, -1, 1])[:, None, None]


def _steps(run: _Run, out: Path, shown: FeatureData, until: Callable[[], bool]) -> None:
    total = run.config.steps
    with (
        tqdm(total=total, initial=run.step, desc="train", unit="step", disable=None) as bar,
        _log(out).open("a") as log,
    ):
        start = time.perf_counter()
        ended = run.step >= total
        while not ended:
            losses = run.advance()
            ended = run.step >= total or until()
            images = run.config.batch / max(time.perf_counter() - start, 1e-9)
            start = time.perf_counter()
            bar.set_postfix(
                {k: f"{v:.3f}" for k, v in losses.items()} | {"images/s": f"{images:.0f}"}
            )
            bar.update()
            log.write(json.dumps({"step": run.step, **losses}) + "\n")
            if run.step % SAVE_EVERY == 0 or ended:
                log.flush()
                save_checkpoint(out, run.step, run.state())
                write_image(_sheet(run, shown), out / "sheet.png")


def _log(out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    return out / "log.jsonl"


def _sheet(run: _Run, shown: FeatureData) -> Tensor:
    """Draw the pictures kept out, and what each descriptor gives of them."""
    count = len(shown.paths)
    rows = [("original", [shown[n][0] for n in range(count)])]
    method = Unfold(network=run.network)
    for number, name in enumerate(run.config.descriptors):
        features = [shown[n + count * number][1] for n in range(count)]
        made = method(FeatureBatch.collate(features).to(run.device))
        rows.append((name, list(made)))
    return contact_sheet(rows)
