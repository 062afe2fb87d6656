"""Change a picture by gradient descent until its descriptors are the given ones."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._options import check_range
from invertdesc._progress import watch
from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.describing import as_made, can_describe, describe_gray
from invertdesc.errors import InputError, MissingDependencyError
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import from_gray, to_gray, with_gray
from invertdesc.methods import Method, Needs, create_method
from invertdesc.methods.backprojection import BackProjection

if TYPE_CHECKING:
    from invertdesc.descriptors.base import Descriptor, Differentiable

# Chosen on pictures of the training sets: the best value was 10 for three faces and 2 for four
# photographs.
VARIATION = 5.0
# From `unfold`, of the descriptor's distance per mean squared difference between neighbours of the
# start: rough pictures are smoothed less. NCC and SSIM on 12 faces and 12 photographs of the
# training sets: 0.971, 0.894 and 0.962, 0.809; with 5 for all 0.970, 0.886 and 0.962, 0.797.
SHARE = 0.005
FLATTEST = 1e-5  # mean squared difference of a picture that is nearly flat
# Of the distance of the differentiable descriptor from the extractor's. On 5 faces and as many
# photographs of the training sets, SSIM is 0.863 and 0.736 with 1, 0.868 and 0.737 with 0.5.
STOP = 0.5
VARIATIONS = {"hog": 100.0}  # HOG also normalises flat regions


class Gradient(Method):
    """Find the picture whose own descriptors are closest to the given ones.

    The descriptor must be computed in a differentiable way: `sift` and its variants, `hog`,
    `sift-kornia`, `mkd` and kornia's learned ones. Descriptors contain only gray; colours are those
    of the start. Priors keep values in range (alpha-norm) and edges sparse (total variation). This
    method is slow: it takes seconds per picture.

    >>> print(Gradient("sift").needs)
    an extractor that gradients pass through

    Source: Mahendran, Vedaldi, "Understanding deep image representations by inverting them", CVPR
    2015, section 2; Adam instead of their momentum, and a start from another method, are additions.
    """

    name: ClassVar[str] = "gradient"
    needs: ClassVar[Needs] = Needs(abilities=("respond",))

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        start: str = "poisson",
        steps: int = 150,
        rate: float = 0.02,
        variation: float | None = None,
        alpha: float = 0.01,
        seed: int = 0,
    ) -> None:
        """Create the method.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            start: Name of the method whose picture to start from, or `"noise"`.
            steps: Number of descent steps.
            rate: Learning rate of Adam, with cosine decay to 0.
            variation: Weight of the mean squared difference between neighbours (TV, beta = 2); None
                for 100 with `hog` and 5 with the others.
            alpha: Weight of the mean sixth power of values from -1 to 1 (alpha-norm).
            seed: Random seed of the noise.

        Raises:
            InputError: An option is out of range, or the descriptor is not differentiable.
            UnknownNameError: There is no such method to start from.
        """
        super().__init__()
        check_range("steps", steps, 1)
        check_range("rate", rate, above=0)
        if descriptor is not None:
            self._respond(resolve_descriptor(descriptor))
        self.descriptor = descriptor
        self.first = None if start == "noise" else create_method(start, descriptor=descriptor)
        self.steps, self.rate = steps, rate
        self.variation, self.alpha, self.seed = variation, alpha, seed

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), RGB in [0, 1]; gray where the start is.

        Raises:
            InputError: The descriptor is not differentiable.
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
        """
        adapter = self._respond(resolve_descriptor(self.descriptor or batch.descriptor))
        batch.require(adapter.frame.needs, needed_by=f"the method {self.name!r}")
        # One by one: otherwise rounding makes a picture depend on others of the batch.
        return torch.stack([self._picture(adapter, one) for one in batch.split()])

    def _respond(self, adapter: Descriptor) -> Differentiable:
        """Return the adapter after checking that it is differentiable."""
        if not hasattr(adapter, "respond"):
            raise InputError(
                "Expected a descriptor that gradients pass through, such as 'sift', 'hog' or "
                f"'mkd', for the method {self.name!r}; got {adapter.name!r}. Choose method "
                "'poisson' or 'unfold'."
            )
        return cast("Differentiable", adapter)

    def _picture(self, adapter: Differentiable, one: FeatureBatch) -> Tensor:
        """Return (3, H, W) of a batch of one."""
        start, mode = self._start(one), one.provenances[0].gray_mode
        seen = to_gray(start, mode)
        found = self._descend(adapter, one, seen, self._error(adapter, one, seen))
        return with_gray(start, self._finish(found, seen), mode)

    def _start(self, one: FeatureBatch) -> Tensor:
        """Return (3, H, W) in [0, 1]."""
        if self.first is not None:
            picture: Tensor = self.first(one)[0]
            return picture
        draw = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(one.image_size, generator=draw).to(one.device) * 0.05 + 0.5
        return from_gray(noise, one.provenances[0].gray_mode)

    def _error(self, adapter: Differentiable, one: FeatureBatch, gray: Tensor) -> float:
        """Return the distance of descriptors at which to stop, for a start (H, W)."""
        return 0.0

    def _finish(self, found: Tensor, start: Tensor) -> Tensor:
        """Return (H, W), the picture that was found, with the tones that it is to have."""
        return found

    def _variation(self, adapter: Differentiable, start: Tensor) -> float:
        """Return the weight of the mean squared difference between neighbours."""
        if self.variation is not None:
            return self.variation
        return VARIATIONS.get(adapter.name, VARIATION)

    def _descend(
        self, adapter: Differentiable, one: FeatureBatch, start: Tensor, error: float
    ) -> Tensor:
        """Return (H, W) in [0, 1]."""
        if not len(one.keypoints):
            return start
        given = adapter.encode(one.descriptors)
        variation = self._variation(adapter, start)
        picture = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([picture], self.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        with torch.enable_grad():
            for _ in watch(range(self.steps), "descend", unit="step", leave=False):
                apart = distance(adapter, picture, one, given)
                if float(apart.detach()) < error:
                    break
                loss = apart + self._prior(picture, variation)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        return picture.detach().clamp(0, 1)

    def _prior(self, picture: Tensor, variation: float) -> Tensor:
        large = (2 * picture - 1).pow(6).mean()
        return variation * _roughness(picture) + self.alpha * large


class UnfoldGradient(Gradient):
    """Start from the colour picture of `unfold`, back-projected, then descend as `gradient` does.

    Where descriptors contain little, the guess of the network stays. Where they contain more than
    the network used, the picture is corrected.
    The differentiable descriptor is only close to the extractor's: descent stops where the given
    descriptors are half as far from it as the extractor's are. Without the extractor's library, it
    starts from `unfold` itself and takes all steps.
    """

    name: ClassVar[str] = "unfold+gradient"
    needs: ClassVar[Needs] = Needs(abilities=("unfolding", "respond"))

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        steps: int = 40,
        rate: float = 0.01,
        variation: float | None = None,
        alpha: float = 0.01,
        backprojections: int = 3,
    ) -> None:
        """Create the method; see `Gradient`.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            steps: Number of descent steps.
            rate: Learning rate of Adam, with cosine decay to 0.
            variation: Weight of the mean squared difference between neighbours; None for 100
                with `hog`, and for 0.005 divided by that of the start with the others.
            alpha: Weight of the mean sixth power of values from -1 to 1.
            backprojections: Steps of `backprojection` before, where the descriptor can be computed
                at given keypoints.

        Raises:
            InputError: An option is out of range, or the descriptor is not differentiable.
        """
        super().__init__(
            descriptor, start="unfold", steps=steps, rate=rate, variation=variation, alpha=alpha
        )
        check_range("backprojections", backprojections, 0)
        self.backprojections = backprojections
        self._nearer = BackProjection(start=cast("Method", self.first), steps=backprojections)
        self._nearer.descriptor = descriptor

    def _start(self, one: FeatureBatch) -> Tensor:
        if can_describe(resolve_descriptor(self.descriptor or one.descriptor)):
            with suppress(MissingDependencyError):
                return self._nearer(one)[0]
        return super()._start(one)

    def _finish(self, found: Tensor, start: Tensor) -> Tensor:
        return _with_tones(found, start)

    def _variation(self, adapter: Differentiable, start: Tensor) -> float:
        if self.variation is not None or adapter.name in VARIATIONS:
            return super()._variation(adapter, start)
        return SHARE / max(float(_roughness(start)), FLATTEST)

    def _error(self, adapter: Differentiable, one: FeatureBatch, gray: Tensor) -> float:
        """Measure how far apart gradients' descriptors and the extractor's are of one picture."""
        extractor: Descriptor = adapter
        if not can_describe(extractor) or not len(one.keypoints):
            return 0.0
        try:
            given = one.to("cpu")[0]
            own = describe_gray(as_made(extractor, given), gray.cpu(), given)
        except MissingDependencyError:
            return 0.0
        if not len(own.rows):
            return 0.0
        rounded = (gray * 255).round() / 255  # as extractors see it
        made = adapter.encode(adapter.respond(rounded, one))[own.rows]
        theirs = adapter.encode(own.features.descriptors).to(made)
        return STOP * float(F.mse_loss(made, theirs) / theirs.square().mean())


def distance(adapter: Differentiable, gray: Tensor, one: FeatureBatch, given: Tensor) -> Tensor:
    """Return the relative squared distance of a gray picture's encoded vectors from given ones.

    Args:
        adapter: Differentiable adapter.
        gray: (H, W), the gray picture.
        one: A batch of one image with the keypoints.
        given: (N, D), the given encoded vectors.
    """
    made = adapter.encode(adapter.respond(gray, one))
    return F.mse_loss(made, given) / given.square().mean()


def _roughness(picture: Tensor) -> Tensor:
    """Return the mean squared difference between neighbours, of a picture (H, W)."""
    down, right = picture.diff(dim=0), picture.diff(dim=1)
    return (down.square().sum() + right.square().sum()) / picture.numel()


def _with_tones(gray: Tensor, like: Tensor) -> Tensor:
    """Give a gray picture (H, W) the mean and the deviation of another, within [0, 1].

    Descriptors contain neither, and smoothness alone takes contrast away.
    """
    spread, mean = torch.std_mean(gray, correction=0)
    factor = like.std(correction=0) / spread.clamp(min=1e-9)
    return ((gray - mean) * factor + like.mean()).clamp(0, 1)
