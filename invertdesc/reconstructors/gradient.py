"""Descent on the picture until its descriptors are the given ones; no training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import trange

from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import InputError
from invertdesc.features import FeatureBatch
from invertdesc.reconstructors.poisson import Poisson

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor


class Gradient:
    """Find the gray picture whose own descriptors come nearest to the given ones.

    The descriptor has to be computed by something that gradients pass through: `sift-kornia`, `mkd`
    and kornia's learned ones. Priors keep values in range (alpha-norm) and edges few (total
    variation). Slow: seconds a picture.

    >>> Gradient("sift-kornia").needs
    ('scales', 'orientations')

    Source: Mahendran, Vedaldi, "Understanding deep image representations by inverting them", CVPR
    2015, section 2; Adam in place of their momentum, and a start from `poisson`, are ours.
    """

    name: ClassVar[str] = "gradient"
    needs: ClassVar[tuple[str, ...]] = ("scales", "orientations")

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        start: Literal["poisson", "noise"] = "poisson",
        steps: int = 150,
        rate: float = 0.02,
        variation: float = 2.0,
        alpha: float = 0.01,
        seed: int = 0,
    ) -> None:
        """Set up.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            start: `"poisson"`, which needs an unfolding, or `"noise"`.
            steps: Of descent.
            rate: Of Adam; falls to 0 along a cosine.
            variation: Weight of the mean squared difference between neighbours (TV, beta = 2).
            alpha: Weight of the mean sixth power of values from -1 to 1 (alpha-norm).
            seed: Of the noise.

        Raises:
            InputError: An option is out of range, or the descriptor is not differentiable.
        """
        if start not in ("poisson", "noise") or steps < 1 or rate <= 0:
            raise InputError(
                "Expected start 'poisson' or 'noise', steps >= 1 and rate > 0, "
                f"got start={start!r}, steps={steps}, rate={rate}."
            )
        if descriptor is not None:
            self._respond(resolve_descriptor(descriptor))
        self.descriptor = descriptor
        self.start, self.steps, self.rate = start, steps, rate
        self.variation, self.alpha, self.seed = variation, alpha, seed

    def __call__(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), gray, in [0, 1].

        Raises:
            InputError: The descriptor is not differentiable.
            MissingFieldError: The features lack scales or orientations.
        """
        adapter = self._respond(resolve_descriptor(self.descriptor or batch.descriptor))
        batch.require(self.needs, needed_by=f"the method {self.name!r}")
        # One by one, so that a picture does not depend, through rounding, on those beside it.
        ones = (FeatureBatch.collate([batch[number]]) for number in range(len(batch)))
        pictures = [self._descend(adapter, one, self._start(adapter, one)) for one in ones]
        return torch.stack(pictures)[:, None].expand(-1, 3, -1, -1)

    def _respond(self, adapter: Descriptor) -> Any:
        """Return the adapter as one that responds to gray pictures."""
        if not hasattr(adapter, "respond"):
            raise InputError(
                f"Expected a descriptor that gradients pass through, such as 'sift-kornia' or "
                f"'mkd', for the method {self.name!r}; got {adapter.name!r}. Choose method "
                "'poisson' or 'unfold'."
            )
        return adapter

    def _start(self, adapter: Descriptor, one: FeatureBatch) -> Tensor:
        """Return (H, W) in [0, 1]."""
        if self.start == "poisson":
            return Poisson(adapter)(one)[0, 0]
        draw = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(one.image_size, generator=draw).to(one.device) * 0.05 + 0.5
        return noise.clamp(0, 1)

    def _descend(self, adapter: Any, one: FeatureBatch, start: Tensor) -> Tensor:
        """Return (H, W) in [0, 1]."""
        if not len(one.keypoints):
            return start
        given = adapter.encode(one.descriptors)
        picture = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([picture], self.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        with torch.enable_grad():
            for _ in trange(self.steps, desc="descend", leave=False, disable=None):
                loss = distance(adapter, picture, one, given) + self._prior(picture)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        return picture.detach().clamp(0, 1)

    def _prior(self, picture: Tensor) -> Tensor:
        down, right = picture.diff(dim=0), picture.diff(dim=1)
        edges = down.square().sum() + right.square().sum()
        large = (2 * picture - 1).pow(6).mean()
        return self.variation * edges / picture.numel() + self.alpha * large


def distance(adapter: Any, gray: Tensor, one: FeatureBatch, given: Tensor) -> Tensor:
    """Return the squared distance of a gray picture's encoded vectors from given ones, relative.

    Args:
        adapter: With `respond(gray, batch)`.
        gray: (H, W).
        one: A batch of one image, for its keypoints.
        given: (N, D) encoded vectors.
    """
    made = adapter.encode(adapter.respond(gray, one))
    return F.mse_loss(made, given) / given.square().mean()
