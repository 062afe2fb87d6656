"""The default: the closest picture that takes a fraction of a second."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.base import encoding_of
from invertdesc.descriptors.describing import can_describe
from invertdesc.errors import FileError, MissingDependencyError
from invertdesc.methods.backprojection import BackProjection
from invertdesc.methods.base import Needs
from invertdesc.methods.registry import create_method

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.descriptors.describing import Describing
    from invertdesc.features.batch import FeatureBatch
    from invertdesc.features.local import LocalFeatures
    from invertdesc.unfolding.unfolding import Unfolding

# Times the finest scale. On 20 faces and 20 photographs of the training sets, a step with all SIFT
# keypoints and two with the coarser ones give an NCC of 0.973 and 0.906 and an SSIM of 0.825 and
# 0.762; two with all give 0.970 and 0.898, 0.825 and 0.763. AKAZE would lose 0.003 NCC on faces.
COARSER = 2.0
SLOW = ("latch", "vgg")  # extractors that take longer than all the rest


class Auto(BackProjection):
    """Take `backprojection` in few steps where the extractor is at hand, and `unfold` elsewhere.

    Elsewhere is where the descriptor's adapter does not describe pictures at given keypoints, where
    its library is not installed, where its network would have to be downloaded (pass an adapter
    with `weights`), and where its extractor is slow (`latch`, `vgg`). Ask for one of the two by
    name where it matters which of them made a picture.

    With SIFT, all steps but the first use the coarser keypoints alone. They cost a fraction, since
    no picture of twice the size is needed, and correct what fine keypoints cover.

    >>> print(Auto("orb").needs)
    an unfolding
    """

    name: ClassVar[str] = "auto"
    needs: ClassVar[Needs] = Needs(abilities=("unfolding",))
    # A look takes half as long as the network. For 20 faces and 20 photographs with each of seven
    # descriptors, all second steps came nearer but five of KAZE, and NCC is as high without it.
    trusting: ClassVar[bool] = True

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        steps: int = 2,
        weights: str | os.PathLike[str] | None = None,
        unfolding: Unfolding | None = None,
    ) -> None:
        """Set up.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            steps: Number of steps with all keypoints; with SIFT one, and for each further one two
                with the coarser keypoints.
            weights: A .safetensors file from training `unfold`; None for those that ship.
            unfolding: To use instead of the descriptor's own.

        Raises:
            InputError: An option is out of range.
            FileError: The weights are missing or not for `unfold`.
        """
        start = create_method("unfold", descriptor=descriptor, weights=weights, unfolding=unfolding)
        super().__init__(start=start, steps=steps, unfolding=unfolding)
        self.descriptor = descriptor

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), RGB in [0, 1].

        Raises:
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
        """
        adapter = resolve_descriptor(self.descriptor or batch.descriptor)
        download = getattr(adapter, "weights", "") is None  # others have no weights
        if can_describe(adapter) and not download and adapter.name not in SLOW:
            with suppress(MissingDependencyError, FileError):
                return super().forward(batch)
        picture: Tensor = self.first(batch)
        return picture

    def later(self, adapter: Describing, features: LocalFeatures) -> Tensor | None:
        """Return the rows of the coarser keypoints, for SIFT, if there are some."""
        if encoding_of(adapter) != "sift" or self.steps < 2:
            return None
        rows = coarser(features)
        return rows if len(rows) else None


def coarser(features: LocalFeatures) -> Tensor:
    """Return the rows of keypoints whose scale is at least twice that of the finest."""
    if features.scales is None or not len(features):
        return torch.zeros(0, dtype=torch.long)
    finest = features.scales.kthvalue(1 + len(features) // 50).values  # two percent are finer
    return (features.scales >= COARSER * finest).nonzero().flatten()
