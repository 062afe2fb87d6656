"""A training run: networks, optimizers and their steps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from invertdesc.errors import InputError
from invertdesc.methods.recipe import TrainConfig
from invertdesc.training import losses as loss
from invertdesc.training.patchgan import PatchGAN
from invertdesc.training.sampling import Sampler

if TYPE_CHECKING:
    from invertdesc.evaluation.vgg16 import VGG16
    from invertdesc.methods.network import NetworkMethod
    from invertdesc.training.data import FeatureData
    from invertdesc.training.distributed import Team

M = TypeVar("M", bound=nn.Module)
MEASURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": loss.l1,
    "l2": loss.l2,
    "ssim": loss.ssim_loss,
    "correlation": loss.correlation,
    "shading": partial(loss.correlation, block=16),
}


class Run:
    """Network, discriminator, their optimizers, and random batches."""

    def __init__(
        self,
        config: TrainConfig,
        data: FeatureData,
        method: NetworkMethod,
        vgg: VGG16 | None,
        team: Team,
    ) -> None:
        """Create the run.

        Args:
            config: Recipe of the training.
            data: Pictures and features.
            method: Method whose network is trained in place.
            vgg: VGG16 for perceptual and style losses, or None.
            team: The processes that train together.
        """
        self.config, self.team, self.step = config, team, 0
        self.elapsed: Callable[[], float] = lambda: 0.0  # share of the time given
        self._ahead: tuple[tuple[Tensor, ...], Tensor] | None = None
        self._drawn_from = torch.empty(0)
        share = config.batch // team.size
        self.method, self.part = method, slice(team.rank * share, (team.rank + 1) * share)
        self.sampler = Sampler(config, data, method, team.device, self.part)
        self.network = _placed(method.network, team.device)
        if config.freeze_base:
            made: Any = self.network  # a `Refined`, as the recipe was checked
            made.freeze_base()
        self.vgg = None if vgg is None else _placed(vgg, team.device)
        self.optimizer = self._adam(self.network)
        self.average: AveragedModel | None = None
        if config.average > 0:
            self.average = AveragedModel(self.network, avg_fn=_decay(config.average))
        wrapped = team.wrap(self.network)
        self.forward: nn.Module = torch.compile(wrapped) if config.compile else wrapped  # type: ignore[assignment]
        self.critic: Critic | None = None
        if config.losses.adversarial > 0:
            self.critic = Critic(PatchGAN(config.discriminator)).to(team.device)
            self.critic_optimizer = self._adam(self.critic)
            self.critic_forward = team.wrap(self.critic)

    def _adam(self, module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(module.parameters(), self.config.rate, (0.9, 0.999), fused=True)

    def advance(self) -> dict[str, float]:
        """Do one step and return the losses, averaged over all processes."""
        self._set_rate()
        inputs, truth = self._batch()
        self.network.train()
        made, coarse = self._made(inputs, truth)
        parts: dict[str, Tensor] = {}
        if self.critic is not None and coarse is not None:
            parts["discriminator"] = self._train_critic(coarse.detach(), truth, made.detach())
        parts |= self._losses(made, truth, coarse)
        total = torch.stack(
            [getattr(self.config.losses, n) * v for n, v in parts.items() if n != "discriminator"]
        ).sum()
        self.optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.step += 1
        values = self.team.mean(torch.stack([value.detach() for value in parts.values()]))
        self._draw_ahead()
        return dict(zip(parts, values.tolist(), strict=True))

    def _batch(self) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the next batch, which may be drawn already."""
        batch, self._ahead = self._ahead, None
        return self.sampler.batch() if batch is None else batch

    def _draw_ahead(self) -> None:
        """Draw the next batch while a CUDA device still computes this step."""
        if self.team.device.type == "cuda":
            self._drawn_from = self.sampler.generator.get_state()
            self._ahead = self.sampler.batch()

    def _made(self, inputs: tuple[Tensor, ...], truth: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the picture, and the one before the refiner if there is one."""
        with self._autocast():
            output = self.forward(*inputs)
        made, coarse = output if isinstance(output, tuple) else (output, None)
        # The network pads its input; values outside the picture are not part of the loss.
        height, width = truth.shape[-2:]
        if coarse is not None:
            coarse = coarse[..., :height, :width]
        return made[..., :height, :width].float(), coarse

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the average of the weights in the network inside the block, if there is one."""
        if self.average is None:
            yield
            return
        latest = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average.module.state_dict())
        try:
            yield
        finally:
            self.network.load_state_dict(latest)

    def settle(self, batches: int = 16) -> None:
        """Compute the statistics of batch norms again, over whole pictures.

        Statistics of patches differ from those of whole pictures: this gained 0.3 dB on faces.
        """
        whole = replace(self.config, patch=None)
        sampler = Sampler(whole, self.sampler.data, self.method, self.team.device, self.part)
        self.network.eval()
        every = (one for one in self.network.modules() if isinstance(one, nn.BatchNorm2d))
        norms = [one for one in every if one.weight.requires_grad]
        usual = [one.momentum for one in norms]
        for number in range(batches):
            for one in norms:
                one.train()
                one.momentum = 1 / (number + 1)  # the mean over all batches
            inputs, _ = sampler.batch()
            with torch.no_grad(), self._autocast():
                self.network(*inputs)
        for one, momentum in zip(norms, usual, strict=True):
            one.momentum = momentum

    def _set_rate(self) -> None:
        rate = self.config.rate * min(1.0, (self.step + 1) / max(1, self.config.warmup))
        share = self.step / self.config.steps
        if self.config.schedule == "minutes":
            share = max(share, self.elapsed())
        if self.config.schedule != "constant":
            rate *= 0.5 * (1 + math.cos(math.pi * min(share, 1)))
        optimizers = [self.optimizer] + ([self.critic_optimizer] if self.critic else [])
        for group in (group for one in optimizers for group in one.param_groups):
            group["lr"] = rate

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.team.device.type, torch.bfloat16, enabled=self.config.autocast)

    def _losses(self, made: Tensor, truth: Tensor, coarse: Tensor | None) -> dict[str, Tensor]:
        weights = self.config.losses
        parts = {
            name: measure(made, truth)
            for name, measure in MEASURES.items()
            if getattr(weights, name) > 0
        }
        if self.vgg is not None:
            patch, true = self._vgg_patch(made, truth)
            with self._autocast():
                with torch.no_grad():
                    true = self.vgg(true).float()
                seen = self.vgg(patch).float()
            if weights.perceptual > 0:
                parts["perceptual"] = loss.perceptual(seen, true)
            if weights.style > 0:
                # Gram matrices are sums: those of a patch are scaled to the whole picture.
                whole = self.config.crop**2 / (patch.shape[-2] * patch.shape[-1])
                parts["style"] = whole * loss.style(seen, true)
        if self.critic is not None and coarse is not None:
            self.critic.requires_grad_(False)
            with self._autocast():
                parts["adversarial"] = loss.adversarial(self.critic.judge(coarse, made))
            self.critic.requires_grad_(True)
        return parts

    def _vgg_patch(self, made: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Cut the same random square from both."""
        side = self.config.vgg_patch
        if side is None:
            return made, truth
        rooms = [size - side + 1 for size in truth.shape[-2:]]
        y, x = (int(torch.randint(room, (), generator=self.sampler.generator)) for room in rooms)
        made, truth = (p[..., y : y + side, x : x + side] for p in (made, truth))
        return made, truth

    def _train_critic(self, coarse: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """Update D and return its last loss.

        The first update is on the batch of the step, each further one on a batch of its own.
        """
        value = torch.zeros((), device=real.device)
        for number in range(self.config.discriminator_steps):
            if number:
                inputs, real = self.sampler.batch()
                with torch.no_grad():
                    fake, before = self._made(inputs, real)
                coarse = fake if before is None else before
            with self._autocast():
                logits = self.critic_forward(coarse, real, fake)
            value = loss.discrimination(*logits)
            self.critic_optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            self.critic_optimizer.step()
        return value

    def state(self) -> dict[str, Any]:
        """Return the complete state for `restore`."""
        state = {
            "step": self.step,
            "config": json.dumps(asdict(self.config)),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": (
                self.sampler.generator.get_state() if self._ahead is None else self._drawn_from
            ),
            "dropout": torch.get_rng_state(),
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if self.critic is not None:
            state["critic"] = self.critic.state_dict()
            state["critic_optimizer"] = self.critic_optimizer.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state.

        Raises:
            InputError: The state is from a run with other options; with a constant rate the number
                of steps may differ.
        """
        if self._recipe(json.loads(state["config"])) != self._recipe(asdict(self.config)):
            raise InputError(
                f"Expected to resume with the options of the run, {state['config']}; got others."
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.sampler.generator.set_state(state["generator"])
        self._ahead = None
        torch.set_rng_state(state["dropout"])
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.step = state["step"]

    def _recipe(self, options: dict[str, Any]) -> str:
        """Return the options that must be equal to resume a run.

        Options that are newer than the run have their defaults.
        """
        options = asdict(TrainConfig()) | options
        if self.config.schedule != "cosine":
            options = options | {"steps": None}
        return json.dumps(options)


def _decay(most: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return a moving average after one step; early steps forget untrained weights quickly."""

    def average(kept: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        number = float(count)
        return torch.lerp(new, kept, min(most, (1 + number) / (10 + number)))

    return average


def _placed(module: M, device: torch.device) -> M:
    """Move a module to a device, with weights in channels-last order."""
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class Critic(nn.Module):
    """The discriminator, applied to real and generated pictures in one call."""

    def __init__(self, judge: PatchGAN) -> None:
        super().__init__()
        self.judge = judge

    def forward(self, coarse: Tensor, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of both, each together with the coarse picture."""
        return self.judge(coarse, real), self.judge(coarse, fake)
