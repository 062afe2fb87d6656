"""Pictures described at keypoints that somebody else found."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

import torch
from torch import Tensor

from invertdesc.descriptors._tiles import LARGE, tiles_of
from invertdesc.descriptors.base import Descriptor
from invertdesc.errors import InvertDescError
from invertdesc.image import from_gray

if TYPE_CHECKING:
    from invertdesc.features.local import LocalFeatures


@dataclass(frozen=True, eq=False)
class Described:
    """A picture's descriptors at given keypoints.

    Attributes:
        features: K keypoints with the picture's descriptors there; scales and orientations are
            those that the extractor used, which need not be the given ones.
        rows: (K,) int64, which of the given keypoints these are, in their order; the others could
            not be described, as where a window leaves the picture.
    """

    features: LocalFeatures
    rows: Tensor

    @classmethod
    def all_of(cls, features: LocalFeatures) -> Described:
        """Return features of which no given keypoint is missing."""
        return cls(features, torch.arange(len(features), device=features.device))


class Describing(Descriptor, Protocol):
    """A descriptor that can be computed at keypoints that somebody else found."""

    def describe(self, image: Tensor, features: LocalFeatures) -> Described:
        """Describe an image of shape (3, H, W), RGB in [0, 1], at the keypoints of features."""


def can_describe(adapter: Descriptor) -> TypeGuard[Describing]:
    """Say whether an adapter describes pictures at given keypoints.

    >>> from invertdesc import create_descriptor
    >>> can_describe(create_descriptor("orb"))
    True
    """
    # Not isinstance: on Python 3.11 that reads every property, and one of them reads a file.
    return hasattr(adapter, "describe")


def as_made(adapter: Describing, features: LocalFeatures) -> Describing:
    """Return the adapter with the gray mode and the numbers that features say they were made with.

    An adapter that is no dataclass, or has no such options, comes back as it is. Where features do
    not say in which gray they were made, that is luma, as nearly all extractors take.

    >>> from invertdesc import LocalFeatures, Provenance, create_descriptor
    >>> features = LocalFeatures(
    ...     keypoints=torch.zeros(0, 2),
    ...     descriptors=torch.zeros(0, 128),
    ...     image_size=(8, 8),
    ...     descriptor="sift",
    ...     provenance=Provenance("luma", parameters={"octave_layers": 5}),
    ... )
    >>> made = as_made(create_descriptor("sift"), features)
    >>> made.gray, made.octave_layers
    ('luma', 5)
    """
    if not is_dataclass(adapter):
        return adapter
    parameters = dict(features.provenance.parameters) | {"gray": features.provenance.gray_mode}
    changed = {
        name: value
        for name in (field.name for field in fields(adapter) if field.init)
        if name in parameters
        # Neither names nor paths: what a file says is not to choose what is loaded.
        and (isinstance(value := parameters[name], bool | int | float) or name == "gray")
        and value != getattr(adapter, name)
    }
    try:
        return replace(adapter, **changed) if changed else adapter
    except (TypeError, InvertDescError):  # of a later version, or damaged
        return adapter


def describe_gray(adapter: Describing, gray: Tensor, features: LocalFeatures) -> Described:
    """Describe a gray picture as if an extractor had seen just that.

    Vectors come as the given ones are stored: where these are whole numbers up to 255, as COLMAP,
    OpenMVG and VLFeat write them, so are the new ones, of the same length before rounding.

    Args:
        adapter: Adapter of the features' descriptor, or the nearest one.
        gray: (H, W) in [0, 1], of the adapter's gray mode.
        features: Given, with their keypoints.

    Raises:
        InputError: The features are of a picture of another size.
        MissingFieldError: The features lack what the descriptor needs.
        MissingDependencyError: The extractor's library is not installed.
    """
    reach: float | None = getattr(adapter, "reach", None)
    if reach is None or gray.numel() <= LARGE or features.scales is None or not len(features):
        found = _describe(adapter, gray, features)
    else:
        found = _describe_tiles(adapter, gray, features, reach)
    stored = _as_stored(found.features.descriptors, features.descriptors)
    if stored is found.features.descriptors:
        return found
    return Described(replace(found.features, descriptors=stored), found.rows)


def _describe(adapter: Describing, gray: Tensor, features: LocalFeatures) -> Described:
    level = (gray.clamp(0, 1) * 255).round() / 255  # so that the way back rounds to the same
    return adapter.describe(from_gray(level, getattr(adapter, "gray", "luma")), features)


def _describe_tiles(
    adapter: Describing, gray: Tensor, features: LocalFeatures, reach: float
) -> Described:
    """Describe a picture tile by tile, which bounds the memory of the extractor."""
    there = torch.zeros(len(features), dtype=torch.bool)
    values: dict[str, Any] = {}
    for some, (x0, y0, x1, y1) in tiles_of(features, reach):
        own = _describe(adapter, gray[y0:y1, x0:x1], features[some].crop((x0, y0, x1, y1)))
        rows = some[own.rows]
        there[rows] = True
        for name in ("descriptors", "scales", "orientations"):
            part = getattr(own.features, name)
            if part is not None:
                if name not in values:
                    values[name] = part.new_zeros(len(features), *part.shape[1:])
                values[name][rows] = part
        values["provenance"] = own.features.provenance
    rows = there.nonzero().flatten()
    if len(rows) == len(features):
        return Described(replace(features, **values), rows)
    chosen: dict[str, Any] = {
        name: part[rows] if torch.is_tensor(part) else part for name, part in values.items()
    }
    return Described(replace(features[rows], **chosen), rows)


def _as_stored(found: Tensor, given: Tensor) -> Tensor:
    """Round vectors (K, D) as given ones (N, D) are."""
    if found.dtype == torch.uint8 or not len(given) or not len(found):
        return found
    whole = bool((given == given.round()).all()) and 1 < float(given.max()) <= 255
    if not whole or bool((found == found.round()).all()):
        return found
    length = given.norm(dim=1).median()
    unit = found / found.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return cast("Tensor", (unit * length).round().clamp(0, 255))
