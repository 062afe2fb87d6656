"""What a training run is told."""

from dataclasses import dataclass, field

from invertdesc.errors import InputError
from invertdesc.reconstructors.networks.unet import UNetConfig


@dataclass(frozen=True)
class TrainConfig:
    """Options of a training run; the defaults are the recipe of the shipped weights.

    Attributes:
        descriptors: Registry names; each picture of a batch is shown through one of them.
        network: Size of the network.
        crop: Pixels of the square that training pictures are cut to (centre, then scaled).
        steps: Updates of the weights.
        batch: Pictures a step.
        rate: Learning rate at the start; it falls to 0 along a cosine.
        ssim: Weight of 1 - SSIM beside the mean absolute error.
        drop: Share of pictures that lose keypoints at random, keeping 10 to 100 % of them.
        seed: Of everything drawn.
        autocast: Compute in bfloat16 where the device does it well.
        threads: CPU threads; None for torch's own choice.
    """

    descriptors: tuple[str, ...] = ("sift",)
    network: UNetConfig = field(default_factory=UNetConfig)
    crop: int = 256
    steps: int = 5000
    batch: int = 8
    rate: float = 2e-3
    ssim: float = 0.2
    drop: float = 0.3
    seed: int = 0
    autocast: bool = True
    threads: int | None = None

    def __post_init__(self) -> None:
        if not self.descriptors:
            raise InputError("Expected at least one descriptor to train on, got none.")
        for name in ("steps", "batch", "crop"):
            if getattr(self, name) < 1:
                raise InputError(f"Expected {name} >= 1, got {getattr(self, name)}.")
