"""Recipes for training the network of a method."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from invertdesc._options import check_choice, check_range
from invertdesc.errors import InputError


@dataclass(frozen=True)
class LossWeights:
    """The weight of each loss in the sum; losses with weight 0 are not computed.

    Attributes:
        l1: Weight of the mean absolute error.
        l2: Weight of the mean squared error.
        ssim: Weight of 1 - SSIM.
        perceptual: Weight of the distance of features of VGG16.
        style: Weight of the distance of Gram matrices of features of VGG16.
        adversarial: Weight of the discriminator's loss, for methods with a refiner.
    """

    l1: float = 0.0
    l2: float = 0.0
    ssim: float = 0.0
    perceptual: float = 0.0
    style: float = 0.0
    adversarial: float = 0.0

    @property
    def vgg(self) -> bool:
        """Whether VGG16 is needed."""
        return self.perceptual > 0 or self.style > 0

    @classmethod
    def parse(cls, text: str) -> LossWeights:
        """Read weights such as `"l2"` or `"l1=1,ssim=0.2"`.

        Raises:
            InputError: There is no such loss, or a weight is not a number above 0.
        """
        known = [one.name for one in fields(cls)]
        weights: dict[str, float] = {}
        for part in text.split(","):
            name, _, value = part.partition("=")
            try:
                weights[name.strip()] = float(value or 1)
            except ValueError:
                raise InputError(f"Expected {name}=NUMBER, got {part!r}.") from None
        if not set(weights) <= set(known) or not all(value > 0 for value in weights.values()):
            raise InputError(
                f"Expected losses among {', '.join(known)}, with weights above 0, got {text!r}."
            )
        return cls(**weights)


@dataclass(frozen=True)
class PatchGANConfig:
    """Size of the discriminator D, a PatchGAN.

    Attributes:
        width: Number of channels after the first convolution; later up to 8 times as many.
    """

    width: int = 64


@dataclass(frozen=True)
class TrainConfig:
    """Options of a training run; the defaults are those of the method `unfold`.

    Attributes:
        method: Registry name of the method.
        descriptors: Registry names; each picture of a batch uses one of them. Methods on cell maps
            need exactly one.
        network: Config of the network; None for the method's default.
        losses: Weights of the losses.
        discriminator: Config of D, if there is an adversarial loss.
        discriminator_steps: Number of updates of D per update of the network.
        vgg_layer: Layer of VGG16 whose features are compared.
        vgg_patch: Side in pixels of a random square of each picture for VGG16; None for the whole
            picture.
        crop: Side in pixels of training pictures, which are cropped to their centre square and
            scaled.
        patch: Side in pixels of a random square to train on; None for the whole picture.
        steps: Number of updates of the weights.
        batch: Number of pictures per step, over all processes.
        rate: Learning rate, after a warm-up of 100 steps.
        schedule: `"cosine"` lets the rate fall to 0. `"constant"` keeps it, so a run can be resumed
            for more steps.
        average: Decay per step of a moving average of the weights, which is then shown and saved; 0
            for no average. Use 0.999 with a constant rate.
        drop: Share of pictures with random dropping of keypoints, which keeps 10 to 100 % of them.
        seed: Random seed.
        autocast: Whether to compute in bfloat16, if the device supports it well.
        compile: Whether to use `torch.compile`, which saves time on long runs.
        threads: Number of CPU threads; None for torch's default.
    """

    method: str = "unfold"
    descriptors: tuple[str, ...] = ("sift",)
    network: Any = None
    losses: LossWeights = field(default_factory=lambda: LossWeights(l1=1.0, ssim=0.2))
    discriminator: PatchGANConfig = field(default_factory=PatchGANConfig)
    discriminator_steps: int = 5
    vgg_layer: str = "conv3_3"
    vgg_patch: int | None = None
    crop: int = 256
    patch: int | None = None
    steps: int = 5000
    batch: int = 8
    rate: float = 2e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    average: float = 0.0
    drop: float = 0.3
    seed: int = 0
    autocast: bool = True
    compile: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        if not self.descriptors:
            raise InputError("Expected at least one descriptor to train on, got none.")
        for name in ("steps", "batch", "crop", "discriminator_steps"):
            check_range(name, getattr(self, name), 1)
        for name, most in (("patch", self.crop), ("vgg_patch", self.patch or self.crop)):
            check_range(name, getattr(self, name), 1, most)
        check_choice("schedule", self.schedule, ("cosine", "constant"))
        check_range("average", self.average, 0, below=1)
        if not any(getattr(self.losses, one.name) for one in fields(self.losses)):
            raise InputError("Expected a loss with a weight above 0, got none.")


JOINT = LossWeights(l2=1.0, perceptual=1.0, style=1e-4)
CGAN = LossWeights(l2=100.0, perceptual=100.0, style=0.01, adversarial=1.0)
PAPER = TrainConfig(rate=1e-4, schedule="constant", drop=0.0)
"""What the recipes of the paper's methods have in common."""
