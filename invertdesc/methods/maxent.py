"""Draw a random picture that has the given histograms on average."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc._progress import watch
from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import from_gray, to_gray
from invertdesc.methods.base import Method, Needs
from invertdesc.methods.poisson import Poisson

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.descriptors._histograms import SoftHistograms
    from invertdesc.descriptors.sift import Sift

PACE = 0.5  # share of the way to the reference in a Langevin step
COOLING = 10  # number of steps after which steps of the multipliers have half their length


class Chain(NamedTuple):
    """The result of a chain of Langevin steps.

    Attributes:
        picture: (H, W), the last sample.
        moments: (N, D), the histograms' mean over the samples drawn after the fit.
        start: (N, D), the histograms of the picture of `poisson`.
    """

    picture: Tensor
    moments: Tensor
    start: Tensor


class MaxEnt(Method):
    """Draw a gray picture from the exponential model with the descriptors' histograms as moments.

    Among all distributions with E[f_j] = observed, where f_j are the local histograms of gradient
    directions, it is the closest to a Gaussian reference: P(u) ~ exp(-sum lambda_j f_j(u)) times
    white noise around the picture of `poisson`. That picture has what histograms do not contain:
    contrast and gray. The multipliers lambda are fitted by stochastic gradient, each step on the
    current sample of a Langevin chain. Then they are fixed and the chain continues. This method is
    slow: it takes seconds per picture.

    >>> print(MaxEnt("sift").needs)
    an unfolding, vectors that are known histograms of gradient directions

    Source: Desolneux, Leclaire, "Stochastic image models from SIFT-like descriptors", 2017 (the
    maximum-entropy model). The normalisation and clipping of histograms as in SIFT, and the
    reference around `poisson`, are additions.
    """

    name: ClassVar[str] = "maxent"
    needs: ClassVar[Needs] = Needs(abilities=("unfolding", "histograms"))

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        steps: int = 60,
        samples: int = 20,
        noise: float = 0.005,
        rate: float = 5.0,
        seed: int = 0,
    ) -> None:
        """Create the method.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            steps: Number of steps of the fit.
            samples: Number of samples after the fit; the last one is the picture.
            noise: Deviation of the reference's white noise, relative to the full range of grays; 0
                gives the picture of highest density.
            rate: Learning rate of the fit.
            seed: Random seed of the noise; the same seed gives the same picture.

        Raises:
            InputError: An option is out of range, or the descriptor does not consist of histograms.
        """
        super().__init__()
        check_range("steps", steps, 1)
        check_range("samples", samples, 1)
        check_range("noise", noise, 0)
        check_range("rate", rate, above=0)
        if descriptor is not None:
            self._known(resolve_descriptor(descriptor))
        self.descriptor = descriptor
        self.steps, self.samples = steps, samples
        self.noise, self.rate, self.seed = noise, rate, seed

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), gray, in [0, 1].

        Raises:
            InputError: The descriptor does not consist of histograms.
            MissingFieldError: The features lack scales or orientations.
        """
        # One by one: otherwise rounding makes a picture depend on others of the batch.
        return torch.stack(
            [
                from_gray(self.draw(one).picture, one.provenances[0].gray_mode)
                for one in batch.split()
            ]
        )

    def draw(self, one: FeatureBatch) -> Chain:
        """Fit the model of a batch of one image and draw from it.

        Raises:
            InputError: The descriptor does not consist of histograms.
            MissingFieldError: The features lack scales or orientations.
        """
        adapter = self._known(resolve_descriptor(self.descriptor or one.descriptor))
        centre = to_gray(Poisson(adapter)(one)[0], one.provenances[0].gray_mode)
        given = adapter.encode(one.descriptors)
        if not len(given):
            return Chain(centre, given, given)
        histograms = adapter.histograms(one)
        noise = torch.Generator().manual_seed(self.seed)
        start, contrast = histograms(centre)

        picture, multipliers = centre, torch.zeros_like(given)
        settled, moments = torch.zeros_like(given), torch.zeros_like(given)
        total = self.steps + self.samples
        for step in watch(range(total), self.name, unit="step", leave=False):
            found, now, pull = _pull(histograms, picture, multipliers)
            if step < self.steps:
                # A weak patch changes direction easily, so the steps of its multipliers depend on
                # its weight.
                pace = (torch.minimum(now, contrast) * histograms.blurs[:, None] ** 2).square()
                slower = self.rate / (1 + step / COOLING)
                multipliers = multipliers + slower * pace * (found - given)
                settled += multipliers * (step >= self.steps // 2)
                if step == self.steps - 1:
                    multipliers = settled / (self.steps - self.steps // 2)
            else:
                moments += found / self.samples
            picture = self._step(picture, centre, pull, noise)
        return Chain(picture, moments, start)

    def _step(
        self, picture: Tensor, centre: Tensor, pull: Tensor, noise: torch.Generator
    ) -> Tensor:
        """Make a Langevin step, exact for the reference; multipliers are in units of noise^2."""
        drawn = torch.randn(picture.shape, generator=noise).to(picture)
        stay = 1 - PACE
        spread = self.noise * math.sqrt(1 - stay**2)
        return centre + stay * (picture - centre) - PACE * pull + spread * drawn

    def _known(self, adapter: Descriptor) -> Sift:
        """Return the adapter after checking that its vectors are known to be histograms."""
        if not hasattr(adapter, "histograms"):
            instead = "'gradient'" if hasattr(adapter, "respond") else "'poisson' or 'unfold'"
            raise InputError(
                "Expected a descriptor that is known to be histograms of gradient directions, "
                f"'sift' or 'rootsift', for the method {self.name!r}; got {adapter.name!r}. "
                f"Choose method {instead}."
            )
        return cast("Sift", adapter)


def _pull(
    histograms: SoftHistograms, picture: Tensor, multipliers: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a picture's histograms, their contrasts, and the gradient of sum lambda f there."""
    with torch.enable_grad():
        picture = picture.detach().requires_grad_()
        found, contrast = histograms(picture)
        (pull,) = torch.autograd.grad((found * multipliers).sum(), picture)
    return found.detach(), contrast.detach(), pull
