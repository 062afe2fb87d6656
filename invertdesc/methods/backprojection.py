"""Describe the reconstruction, unfold what is missing from its descriptors, add it; no training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc._progress import watch
from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.describing import Described, as_made, can_describe, describe_gray
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import to_gray, with_gray
from invertdesc.methods._missing import Missing
from invertdesc.methods.base import Method, MethodLike, Needs
from invertdesc.methods.registry import create_method
from invertdesc.methods.unfold import Unfold

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.descriptors.describing import Describing
    from invertdesc.features.local import LocalFeatures
    from invertdesc.unfolding.unfolding import Unfolding

STEP = 1.4
# Of STEP, for vectors that tell less of the picture, so that much of what differs is noise. Chosen
# with 3 to 12 faces and as many photographs of the training sets, among few.
DAMPING = {
    "aliked-n16": 0.35,
    "aliked-n16rot": 0.12,
    "aliked-n32": 0.35,
    "aliked-t16": 0.35,
    "beblid": 0.7,
    "boostdesc": 0.15,
    "brisk": 0.5,
    "daisy": 0.5,
    "disk": 0.35,
    "freak": 0.5,
    "hog-opencv": 0.35,
    "hog-uoctti": 0.35,
    "kaze": 0.35,
    "latch": 0.2,
    "mkd": 0.35,
    "sift-kornia": 0.25,
    "teblid": 0.7,
    "tfeat": 0.35,
    "vgg": 0.5,
    "xfeat": 0.35,
}
DECAY = 0.8  # of the step, from one to the next
STRIDE = 2  # pixels between samples of the field of `later` keypoints
HUGE = 1 << 25  # pixels
AT_ONCE = 1 << 15  # vectors that are compared at once
SHORTEST = 1 / 8  # of the first step, below which no shorter one is tried


@dataclass(frozen=True, eq=False)
class Look:
    """A gray picture (H, W), its own descriptors, and their distance from the given ones."""

    gray: Tensor
    own: Described
    distance: float


class BackProjection(Method):
    """Bring a picture's own descriptors nearer to the given ones, for any descriptor.

    The picture is described at the given keypoints. The difference of the vectors is unfolded as
    vectors are, at the contrast that the picture has around each keypoint, and merged, integrated
    and added. No gradient passes through the descriptor, so that bits and other people's programs
    serve too. A step that brings descriptors no nearer is halved; where none does, that picture
    is done. Descriptors tell gray alone: colours are those of the start. Brightness and contrast of
    a start by `unfold` are corrected first, see `Unfold.correct_tones`.

    It needs the extractor's library. FREAK and BRISK choose the orientation anew, with which
    their vectors are then laid into the picture. HOG without signs leaves the start as it is.

    >>> print(BackProjection("orb", start="poisson").needs)
    an unfolding, an extractor that describes pictures at given keypoints

    Source: Irani, Peleg, "Improving resolution by image registration", 1991, for the idea, in
    super-resolution; descriptors in the place of pixels are ours.
    """

    name: ClassVar[str] = "backprojection"
    needs: ClassVar[Needs] = Needs(abilities=("unfolding", "describe"))
    trusting: ClassVar[bool] = False
    """Whether the last step is made without a look at its result, if all before it came nearer."""

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        start: str | MethodLike = "unfold",
        steps: int = 4,
        step: float | None = None,
        unfolding: Unfolding | None = None,
    ) -> None:
        """Set up.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            start: Method whose picture to start from, or its name.
            steps: At most that many times the picture is described anew.
            step: Share of what is missing that the first step adds; later ones add less. None for
                1.4, and less for descriptors that tell less.
            unfolding: To use instead of the descriptor's own.

        Raises:
            InputError: An option is out of range, or the descriptor cannot be computed at given
                keypoints.
            UnknownNameError: No such method to start from.
        """
        super().__init__()
        check_range("steps", steps, 0)
        if step is not None:
            check_range("step", step, above=0)
        if descriptor is not None:
            self._describing(resolve_descriptor(descriptor))
        self.descriptor = descriptor
        self.first = (
            create_method(start, descriptor=descriptor) if isinstance(start, str) else start
        )
        self.steps, self.step, self.unfolding = steps, step, unfolding
        self.eval()

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), RGB in [0, 1]; gray where the start is.

        Raises:
            InputError: The descriptor cannot be computed at given keypoints.
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
            MissingDependencyError: The extractor's library is not installed.
        """
        adapter = self._describing(resolve_descriptor(self.descriptor or batch.descriptor))
        batch.require(adapter.frame.needs, needed_by=f"the method {self.name!r}")
        # One by one: an extractor makes a leap of a rounding error, as where a bit turns.
        return torch.stack([self._picture(adapter, one) for one in batch.split()])

    def _describing(self, adapter: Descriptor) -> Describing:
        """Return the adapter as one that describes pictures at given keypoints."""
        if not can_describe(adapter):
            raise InputError(
                "Expected a descriptor that can be computed at given keypoints for the method "
                f"{self.name!r}; got {adapter.name!r}, whose adapter has no describe(). Choose "
                "method 'unfold' or 'poisson'."
            )
        return adapter

    def _picture(self, adapter: Describing, one: FeatureBatch) -> Tensor:
        """Return (3, H, W) of a batch of one."""
        start, mode = self.first(one)[0], one.provenances[0].gray_mode
        if not len(one.keypoints) or not self.steps:
            return start
        seen = to_gray(start, mode)
        if start[0].numel() > HUGE:
            start = start.half()  # its colours wait; the error is less than 1 / 4000
        if isinstance(self.first, Unfold):
            seen = self.first.correct_tones(seen, mode)
        found = self.improve(adapter, seen.cpu(), one.to("cpu")[0]).to(seen)
        if torch.equal(found, seen):
            return start.float()
        return with_gray(start, found, mode).float()

    def improve(self, adapter: Describing, gray: Tensor, features: LocalFeatures) -> Tensor:
        """Bring a gray picture nearer to features.

        Args:
            adapter: Adapter of the features' descriptor.
            gray: (H, W) in [0, 1], on the CPU, of the gray that the features' extractor saw.
            features: Given, on the CPU.

        Returns:
            (H, W) in [0, 1], the picture whose own descriptors came nearest.
        """
        adapter = as_made(adapter, features)
        rows, missing = self.later(adapter, features), Missing(adapter, features, self.unfolding)
        some, steps = features if rows is None else features[rows], self.steps
        size = STEP * DAMPING.get(adapter.name, 1.0) if self.step is None else self.step
        shortest, halved = size * SHORTEST, False
        low, high = gray.aminmax()
        if low < 0 or high > 1:
            gray = gray.clamp(0, 1)
        best, change = self.look(adapter, gray, features), None
        if rows is not None:
            steps += steps - 1  # they cost a fraction
            there = torch.isin(best.own.rows, rows).nonzero().flatten()
            part = Described(best.own.features[there], best.own.rows[there])
            best = replace(best, distance=distance(adapter, part, features))
        for number in watch(range(steps), "back-project", unit="step", leave=False):
            if size < shortest or not len(best.own.rows):
                break
            if change is None:
                change = missing.change(best.gray, best.own)
                if not bool(change.any()):
                    break
            made = (best.gray + size * change).clamp(0, 1)
            if self.trusting and 0 < number == steps - 1 and not halved:
                return made
            seen = self.look(adapter, made, some)
            if seen.distance < best.distance:
                if rows is not None and missing.stride == 1:
                    missing = Missing(adapter, some, self.unfolding, stride=STRIDE)
                best, change, size = seen, None, size * DECAY
            else:
                size, halved = size / 2, True
        return best.gray

    def later(self, adapter: Describing, features: LocalFeatures) -> Tensor | None:
        """Return the rows of the keypoints that all steps but the first use; None for all."""
        return None

    @staticmethod
    def look(adapter: Describing, gray: Tensor, features: LocalFeatures) -> Look:
        """Describe a gray picture (H, W) at the keypoints of features."""
        own = describe_gray(adapter, gray, features)
        return Look(gray, own, distance(adapter, own, features))


def distance(adapter: Describing, own: Described, features: LocalFeatures) -> float:
    """Return the mean square of what a picture's own vectors differ by from those of features."""
    total = 0.0
    for rows in torch.split(torch.arange(len(own.rows)), AT_ONCE):
        some = slice(int(rows[0]), int(rows[-1]) + 1)
        vectors = own.features.descriptors[some], features.descriptors[own.rows[some]]
        made, given = (adapter.encode(part) for part in vectors)
        total += float((made - given).square().mean()) * len(rows) / len(own.rows)
    return total if len(own.rows) else math.nan
