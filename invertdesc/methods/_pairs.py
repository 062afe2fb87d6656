"""Fit inverses to pairs of vectors and patches of the picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from invertdesc.descriptors.base import encoding_of
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import to_gray
from invertdesc.methods._merge import PatchMethod, Windows
from invertdesc.methods.database import Collection
from invertdesc.unfolding.unfolding import LARGEST

CONTRAST_FLOOR = 0.01  # patches with a smaller deviation of values in [0, 1] count as flat
CONTRAST = ("contrast", "contrast_bias")


class Pairs(NamedTuple):
    """Vectors (N, D') and patches (N, G * G) of mean 0."""

    vectors: Tensor
    patches: Tensor


class PairedInverse(PatchMethod):
    """Base class of methods that convert each window's vector to a patch of the picture.

    A linear map of the vector predicts the contrast of the patch.
    """

    def infer(self, vectors: Tensor) -> Tensor:
        """Return patches (M, G * G) for vectors (M, D')."""
        raise NotImplementedError

    def find(self, windows: Windows, batch: FeatureBatch) -> Tensor:
        """Return a patch (M, G, G) for each row of a batch."""
        vectors = windows.vectors(batch)
        logarithm = vectors @ self.held("contrast", vectors) + self.held("contrast_bias", vectors)
        seen = windows.adapter.encode(batch.descriptors).any(1)  # flat ones give no patch
        strength = logarithm.clamp(-LARGEST, LARGEST).exp() * seen
        patches = self.infer(vectors) * strength[:, None]
        return patches.view(-1, windows.grid, windows.grid)


def gather_pairs(collection: Collection, windows: Windows, most: int, *, seed: int = 0) -> Pairs:
    """Collect pairs of vectors and patches from pictures.

    Args:
        collection: Pictures.
        windows: Windows to use.
        most: Maximum number of pairs per picture.
        seed: Random seed for the choice of keypoints.

    Raises:
        InputError: An option is out of range, there are no pictures, or fewer than two keypoints.
    """
    if most < 1 or windows.blocks < 1 or windows.blocks % 2 == 0:
        raise InputError(
            f"Expected most >= 1 and blocks odd, got most={most}, blocks={windows.blocks}."
        )
    draw = torch.Generator().manual_seed(seed)
    vectors, patches = [], []
    for image, features in collection:
        batch = FeatureBatch.collate([features])
        batch.require(windows.frame.needs, needed_by=f"the frame of {windows.adapter.name!r}")
        gray = to_gray(image, features.provenance.gray_mode)
        chosen = torch.randperm(len(features), generator=draw)[:most]
        vectors.append(windows.vectors(batch)[chosen])
        patches.append(windows.patches(gray, batch)[chosen])
    if sum(map(len, vectors)) < 2:
        raise InputError("Expected pictures with keypoints to fit an inverse to, found none.")
    # One after the other, so that only one copy is in memory at a time.
    found = torch.cat(vectors)
    vectors.clear()
    seen = torch.cat(patches)
    return Pairs(found, seen - seen.mean(1, keepdim=True))


def save_pairs(
    collection: Collection,
    windows: Windows,
    pairs: Pairs,
    tensors: dict[str, Tensor],
    options: dict[str, float],
) -> str:
    """Write the fitted map and the contrast map; return a line that describes the file."""
    from sklearn.linear_model import Ridge

    sizes = (pairs.patches.std(1) + CONTRAST_FLOOR).log()
    logarithm = Ridge(alpha=penalty_of(pairs.vectors, 0.02)).fit(
        pairs.vectors.numpy(), (sizes - sizes.mean()).numpy()
    )
    tensors |= {
        "contrast": torch.from_numpy(logarithm.coef_).float(),
        "contrast_bias": torch.tensor(float(logarithm.intercept_)),
    }
    collection.save(tensors, {"blocks": windows.blocks, **options})
    return (
        f"an inverse of {encoding_of(collection.adapter)!r}, fitted to {len(pairs.vectors)} "
        f"patches of {collection.read} pictures."
    )


def penalty_of(vectors: Tensor, ridge: float) -> float:
    """Return the absolute weight of a penalty given relative to the vectors' variance."""
    return ridge * len(vectors) * float(vectors.var(0).mean()) + 1e-12


def to_unit(rows: Tensor, least: float = 1e-6) -> Tensor:
    """Scale rows (N, D) of mean 0 to length 1; rows of deviation about `least` stay smaller."""
    unit: Tensor = rows / (rows.norm(dim=1, keepdim=True) + least * rows.shape[1] ** 0.5)
    return unit
