"""Recipes for training the network of a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
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
        correlation: Weight of 1 - NCC of the gray pictures.
        shading: Weight of 1 - NCC of the gray pictures averaged over squares of 16 x 16 pixels.
        perceptual: Weight of the distance of features of VGG16.
        style: Weight of the distance of Gram matrices of features of VGG16.
        adversarial: Weight of the discriminator's loss, for methods with a refiner.
    """

    l1: float = 0.0
    l2: float = 0.0
    ssim: float = 0.0
    correlation: float = 0.0
    shading: float = 0.0
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
        return cls(**_parse(text, "losses", [one.name for one in fields(cls)]))


@dataclass(frozen=True)
class PatchGANConfig:
    """Size of the discriminator D, a PatchGAN.

    Attributes:
        width: Number of channels after the first convolution; later up to 8 times as many.
    """

    width: int = 64


@dataclass(frozen=True)
class Augmentation:
    """The share of training pictures to which each random change is applied.

    The first five change the picture itself. The others change only the copy that features are
    extracted from; the network is trained to reconstruct the picture without these changes.

    Attributes:
        zoom: Crop to a random part with at least 0.6 of the side, or shrink to at least 0.7 of the
            side and fill the rest by reflection.
        colour: Change the saturation and the balance of the channels.
        backdrop: Give the uniform background of a portrait a random colour, if there is one.
        tone: Raise all values to a random power.
        sharpness: Blur or sharpen.
        exposure: Change brightness and contrast; values outside of [0, 1] are clipped.
        noise: Add Gaussian noise.
        jpeg: Compress as JPEG with a quality of 25 to 95.
        luma: Extract from `"luma"` gray.
        mixed: Extract from a random mix of the channels. All other pictures use `"gamma"` gray.
        dense: Lower the detector's threshold, if it has one, to find more keypoints.
    """

    zoom: float = 0.4
    colour: float = 0.15
    backdrop: float = 0.2
    tone: float = 0.15
    sharpness: float = 0.25
    exposure: float = 0.3
    noise: float = 0.2
    jpeg: float = 0.3
    luma: float = 0.4
    mixed: float = 0.1
    dense: float = 0.3

    def __post_init__(self) -> None:
        for one in fields(self):
            check_range(one.name, getattr(self, one.name), 0, 1)
        check_range("luma + mixed", self.luma + self.mixed, 0, 1)

    @classmethod
    def parse(cls, text: str) -> Augmentation:
        """Read `"usual"`, or shares such as `"luma=0.5,zoom=0.2"`; all others are then 0.

        Raises:
            InputError: There is no such change, or a share is not a number above 0 and at most 1.
        """
        if text == "usual":
            return cls()
        known = [one.name for one in fields(cls)]
        return cls(**dict.fromkeys(known, 0.0) | _parse(text, "changes", known))


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
        discriminator_steps: Number of updates of D per update of the network, the first on the
            batch of the network's update, each further one on a batch of its own.
        freeze_base: Whether the network in front of a refiner keeps its weights, in place of being
            trained further with the refiner.
        vgg_layer: Layer of VGG16 whose features are compared.
        vgg_patch: Side in pixels of a random square of each picture for VGG16; None for the whole
            picture.
        crop: Side in pixels of training pictures, which are cropped to their centre square and
            scaled.
        patch: Side in pixels of a random square to train on; None for the whole picture.
        steps: Number of updates of the weights.
        batch: Number of pictures per step, over all processes.
        rate: Learning rate after the warm-up.
        warmup: Number of steps over which the learning rate rises from 0; 0 for none.
        schedule: `"cosine"` lets the rate fall to 0 over the steps, `"minutes"` over the time that
            `train` is given, whose results cannot be repeated exactly. `"constant"` keeps it, so a
            run can be resumed for more steps.
        average: Decay per step of a moving average of the weights, which is then shown and saved; 0
            for no average. Use 0.999 with a constant rate.
        drop: Share of pictures that lose keypoints; these pictures keep 10 to 100 % of them.
        augmentation: Random changes of pictures before features are extracted; None for no changes.
        variants: Number of changed copies of each picture whose features are kept in the cache; 0
            changes each picture again in each step and keeps no features.
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
    freeze_base: bool = False
    vgg_layer: str = "conv3_3"
    vgg_patch: int | None = None
    crop: int = 256
    patch: int | None = None
    steps: int = 5000
    batch: int = 8
    rate: float = 2e-3
    warmup: int = 100
    schedule: Literal["cosine", "constant", "minutes"] = "cosine"
    average: float = 0.0
    drop: float = 0.3
    augmentation: Augmentation | None = None
    variants: int = 0
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
        for name in ("variants", "warmup"):
            check_range(name, getattr(self, name), 0)
        check_choice("schedule", self.schedule, ("cosine", "constant", "minutes"))
        check_range("average", self.average, 0, below=1)
        if not any(getattr(self.losses, one.name) for one in fields(self.losses)):
            raise InputError("Expected a loss with a weight above 0, got none.")


JOINT = LossWeights(l2=1.0, perceptual=1.0, style=1e-4)
CGAN = LossWeights(l2=100.0, perceptual=100.0, style=0.01, adversarial=1.0)
PAPER = TrainConfig(steps=200_000, rate=1e-4, schedule="constant", drop=0.0)
"""What the recipes of the paper's methods have in common.

200,000 steps of 8 pictures are 200 epochs of 8,000 pictures. The paper has no warm-up.
"""


def quick(config: TrainConfig) -> TrainConfig:
    """Return a recipe for hours on a CPU, in place of days on a GPU.

    It has at most 5,000 steps and a rate of at least 1e-3 that falls to 0.

    >>> quick(PAPER).steps, quick(PAPER).rate, quick(PAPER).schedule
    (5000, 0.001, 'cosine')
    """
    return replace(
        config, steps=min(config.steps, 5000), rate=max(config.rate, 1e-3), schedule="cosine"
    )


def _parse(text: str, what: str, known: Sequence[str]) -> dict[str, float]:
    """Read numbers above 0 by name, such as `"l1=1,ssim=0.2"`; a name without a number is 1."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            found[name.strip()] = float(value or 1)
        except ValueError:
            raise InputError(f"Expected {name}=NUMBER, got {part!r}.") from None
    if not set(found) <= set(known) or not all(value > 0 for value in found.values()):
        raise InputError(
            f"Expected {what} among {', '.join(known)}, with weights above 0, got {text!r}."
        )
    return found
