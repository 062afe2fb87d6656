"""The common base of networks that detect and describe keypoints in a whole picture at once."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invertdesc._optional import require
from invertdesc._options import check_range
from invertdesc.descriptors._kornia import kornia_version
from invertdesc.descriptors.base import check_image_of, check_most, check_vectors
from invertdesc.descriptors.describing import Described
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.changes import strongest
from invertdesc.features.local import LocalFeatures
from invertdesc.features.provenance import Provenance
from invertdesc.image import GrayMode
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding

STEPS = 8  # sizes of a picture per octave, at which given keypoints are described
MOST, LEAST = 4.0, 1 / 16  # limits of these sizes, relative to the picture


class Found(NamedTuple):
    """Keypoints (N, 2) in pixels, vectors (N, D) and scores (N,) that a network finds."""

    keypoints: Tensor
    vectors: Tensor
    scores: Tensor


@dataclass(frozen=True, kw_only=True)
class WholePictureDescriptor:
    """Detect and describe keypoints of a colour picture by one network; subclasses say how.

    A vector describes a square of fixed size, upright, around its keypoint. Keypoints have the
    scale 1, or 1 / `enlarge`; features from elsewhere may lack scales, which then are 1.

    Attributes:
        max_num_keypoints: Maximum number of keypoints, by score; None for all.
        enlarge: Factor by which the picture is resized before the network sees it.
        weights: File of a state dict (.safetensors, .pth, .pt), in the format of the authors or of
            kornia; None for kornia's own, which it downloads and caches.
    """

    max_num_keypoints: int | None = None
    enlarge: float = 1.0
    weights: str | os.PathLike[str] | None = None

    name: ClassVar[str]
    dim: ClassVar[int] = 128
    frame: ClassVar[Frame]
    gray: ClassVar[GrayMode] = "luma"  # the gray that is nearest to what the network sees
    colour: ClassVar[bool] = True  # a picture and its gray have different vectors
    smallest: ClassVar[int] = 1  # pixels; pictures of a smaller side have no keypoints

    def __post_init__(self) -> None:
        check_most(self.max_num_keypoints)
        check_range("enlarge", self.enlarge, LEAST, MOST)

    @cached_property
    def unfolding(self) -> Unfolding:
        """The map of the package, fitted to photographs."""
        return Unfolding.shipped(self.name)

    @cached_property
    def network(self) -> Any:
        """Kornia's module.

        Raises:
            MissingDependencyError: kornia is not installed.
            FileError: There are no weights.
        """
        found = require("kornia.feature", None, needed_by=f"the extractor of {self.name!r}")
        network = self._build(found)
        return network.eval().requires_grad_(False)

    def extract(self, image: Tensor) -> LocalFeatures:
        """Detect and describe the keypoints of an image of shape (3, H, W), RGB in [0, 1].

        Raises:
            MissingDependencyError: kornia is not installed.
            FileError: There are no weights.
        """
        height, width = image.shape[-2:]
        resized, ratio = _resized(image, self.enlarge)
        none = image.new_zeros(0)
        found = Found(none.view(0, 2), none.view(0, self.dim), none)
        if min(resized.shape[1:]) >= self.smallest:
            with torch.no_grad():
                found = self._detect(resized)
        features = LocalFeatures(
            keypoints=((found.keypoints.float() + 0.5) / ratio - 0.5).clone(),
            descriptors=found.vectors.float().clone(),
            image_size=(height, width),
            descriptor=self.name,
            scales=torch.full((len(found.scores),), 1 / self.enlarge),
            scores=found.scores.float().clone(),
            provenance=self._provenance(),
        )
        return strongest(features, self.max_num_keypoints)

    def describe(self, image: Tensor, features: LocalFeatures) -> Described:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at all given keypoints.

        The network sees the picture once for each scale, resized as 1 / scale, in steps of an
        eighth of an octave and at most four times as large.

        Raises:
            InputError: The features are of an image of another size.
            MissingDependencyError: kornia is not installed.
            FileError: There are no weights.
        """
        check_image_of(features, image)
        with torch.no_grad():
            vectors = self._described(image, FeatureBatch.collate([features]))
        described = replace(
            features,
            descriptors=vectors,
            descriptor=self.name,
            provenance=self._provenance(),
        )
        return Described.all_of(described)

    def respond(self, gray: Tensor, batch: FeatureBatch) -> Tensor:
        """Describe one gray image (H, W) at the keypoints of a batch of one; differentiable."""
        return self._described(gray.expand(3, -1, -1), batch)

    def encode(self, raw: Tensor) -> Tensor:
        """Scale vectors to length 1."""
        check_vectors(raw, self.dim, self.name)
        return F.normalize(raw.float(), dim=1)

    def _described(self, image: Tensor, batch: FeatureBatch) -> Tensor:
        """Return vectors (M, D) of an image (3, H, W) at the keypoints of a batch of one."""
        vectors = image.new_zeros(len(batch.keypoints), self.dim)
        sizes = self.frame.sides(batch) / self.frame.support  # scales, or 1
        levels = (sizes.log2() * STEPS).round()
        for level in torch.unique(levels).tolist():
            rows = (levels == level).nonzero().flatten()
            factor = min(max(2 ** (-level / STEPS), LEAST), MOST)
            resized, ratio = _resized(image, factor)
            if min(resized.shape[1:]) < self.smallest:
                continue  # vectors of zeros
            places = (batch.keypoints[rows] + 0.5) * ratio - 0.5
            vectors = vectors.index_copy(0, rows, self._vectors(resized, places).float())
        return vectors

    def _provenance(self) -> Provenance:
        options = {
            key: os.fspath(value) if isinstance(value, os.PathLike) else value
            for key, value in asdict(self).items()
        }
        return Provenance(self.gray, f"kornia {kornia_version()}", options)

    def _build(self, kornia_feature: Any) -> nn.Module:
        """Return kornia's module with its weights."""
        raise NotImplementedError

    def _detect(self, image: Tensor) -> Found:
        """Detect and describe keypoints of an image (3, H, W)."""
        raise NotImplementedError

    def _vectors(self, image: Tensor, keypoints: Tensor) -> Tensor:
        """Return vectors (N, D) of an image (3, H, W) at (N, 2) positions; differentiable."""
        raise NotImplementedError


def _resized(image: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Return an image (3, h, w), and the exact factors (2,) of x and y."""
    height, width = image.shape[-2:]
    size = max(1, round(height * factor)), max(1, round(width * factor))
    ratio = image.new_tensor([size[1] / width, size[0] / height])
    if size == (height, width):
        return image, ratio
    larger = F.interpolate(
        image[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )
    return larger[0].clamp(0, 1), ratio


def sampled(maps: Tensor, keypoints: Tensor) -> Tensor:
    """Return (N, D): maps (D, H, W) at (N, 2) positions in pixels, linear between pixels."""
    height, width = maps.shape[-2:]
    size = keypoints.new_tensor([width, height])
    where = (2 * keypoints + 1) / size - 1
    found = F.grid_sample(maps[None], where[None, None], padding_mode="border", align_corners=False)
    return found[0, :, 0].T
