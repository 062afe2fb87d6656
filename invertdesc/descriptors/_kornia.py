"""The common base of the adapters of kornia's patch descriptors."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc._optional import require
from invertdesc.descriptors.base import check_image_of, check_most, check_vectors
from invertdesc.descriptors.describing import Described
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.changes import strongest
from invertdesc.features.local import LocalFeatures
from invertdesc.features.provenance import Provenance
from invertdesc.image import GrayMode, to_gray
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding

AT_ONCE = 512  # patches; limits the working memory of a network


@dataclass(frozen=True, kw_only=True)
class KorniaDescriptor:
    """Describe square patches that turn and scale with their keypoints; subclasses say how.

    A patch has a side of 12 sigma, as in SIFT: kornia's local affine frame has the scale 6 sigma,
    and its patch has twice that side.

    Attributes:
        detector: Registry name of the descriptor whose keypoints are used; it needs scales and
            orientations.
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        gray: Gray mode `"gamma"` or `"luma"`, see `invertdesc.image.to_gray`.
    """

    detector: str = "sift"
    max_num_keypoints: int | None = None
    gray: GrayMode = "gamma"

    name: ClassVar[str]
    dim: ClassVar[int] = 128
    frame: ClassVar[Frame] = Frame(support=12.0)
    patch_size: ClassVar[int] = 32  # pixels per side of a sampled patch

    def __post_init__(self) -> None:
        check_most(self.max_num_keypoints)

    @cached_property
    def unfolding(self) -> Unfolding:
        """The map of the package, fitted to photographs."""
        return Unfolding.shipped(self.name)

    @cached_property
    def network(self) -> nn.Module:
        """Kornia's module from patches (M, 1, P, P) in [0, 1] to vectors (M, D).

        Raises:
            MissingDependencyError: kornia is not installed.
        """
        network = self._build(self._feature)
        return network.eval().requires_grad_(False)

    def extract(self, image: Tensor) -> LocalFeatures:
        """Detect and describe the keypoints of an image of shape (3, H, W), RGB in [0, 1].

        Raises:
            MissingDependencyError: kornia is not installed.
            FileError: There are no weights for a learned descriptor.
        """
        from invertdesc.descriptors import create_descriptor

        found = create_descriptor(self.detector, gray=self.gray).extract(image)
        return self.describe(image, strongest(found, self.max_num_keypoints)).features

    def describe(self, image: Tensor, features: LocalFeatures) -> Described:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at all given keypoints.

        Raises:
            InputError: The features are of an image of another size.
            MissingFieldError: The features lack scales or orientations.
            MissingDependencyError: kornia is not installed.
            FileError: There are no weights for a learned descriptor.
        """
        check_image_of(features, image)
        batch = FeatureBatch.collate([features])
        batch.require(self.frame.needs, needed_by=f"describing with {self.name!r}")
        with torch.no_grad():
            vectors = self.respond(to_gray(image, self.gray), batch)
        options = {
            key: os.fspath(value) if isinstance(value, os.PathLike) else value
            for key, value in asdict(self).items()
        }
        described = replace(
            features,
            descriptors=vectors,
            descriptor=self.name,
            provenance=Provenance(self.gray, f"kornia {kornia_version()}", options),
        )
        return Described.all_of(described)

    def respond(self, gray: Tensor, batch: FeatureBatch) -> Tensor:
        """Describe one gray image (H, W) at the keypoints of a batch of one; differentiable."""
        patches = _patches(self._feature, gray, batch, self.frame, self.patch_size)
        vectors = [self.network(part) for part in torch.split(patches, AT_ONCE)]
        return torch.cat(vectors).float() if len(patches) else gray.new_zeros(0, self.dim)

    def encode(self, raw: Tensor) -> Tensor:
        """Scale vectors to length 1."""
        check_vectors(raw, self.dim, self.name)
        return F.normalize(raw.float(), dim=1)

    @property
    def _feature(self) -> Any:
        """The module `kornia.feature`."""
        return require("kornia.feature", None, needed_by=f"the descriptor {self.name!r}")

    def _build(self, kornia_feature: Any) -> nn.Module:
        """Return kornia's module."""
        raise NotImplementedError


def _patches(
    kornia_feature: Any, gray: Tensor, batch: FeatureBatch, frame: Frame, pixels: int
) -> Tensor:
    """Cut out patches (M, 1, P, P); their axes are the axes of the keypoints' frames."""
    if not len(batch.keypoints):
        return gray.new_zeros(0, 1, pixels, pixels)
    half, turns = frame.sides(batch) / 2, frame.turns(batch)
    cos, sin = half * turns.cos(), half * turns.sin()
    x, y = batch.keypoints.unbind(1)
    frames = torch.stack([torch.stack([cos, -sin, x], 1), torch.stack([sin, cos, y], 1)], 1)
    found: Tensor = kornia_feature.extract_patches_from_pyramid(
        gray[None, None], frames[None], PS=pixels
    )[0]
    return found


def kornia_version() -> str:
    """Return the version of kornia."""
    from importlib.metadata import version

    return version("kornia")
