"""Random changes of training pictures: what is in them, and what an extractor sees of them."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invertdesc.image import GAMMA, GrayMode, to_gray, to_image
from invertdesc.methods.recipe import Augmentation

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

Array = NDArray[Any]
THRESHOLDS = ("contrast_threshold", "threshold")  # the lower, the more keypoints


class Variant(NamedTuple):
    """A changed picture."""

    picture: Tensor  # (3, H, W) in [0, 1], to be reconstructed
    seen: Tensor  # (3, H, W) in [0, 1], to be described; all channels are alike
    sparsity: float  # factor on the detector's threshold, at most 1
    gray: GrayMode  # mode of `seen`, for a random mix the one of the same tones


def vary(pixels: NDArray[np.uint8], augmentation: Augmentation, seed: tuple[int, ...]) -> Variant:
    """Change a picture at random.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        augmentation: How often each change is made.
        seed: The same numbers give the same variant.

    >>> picture = np.full((32, 32, 3), 100, np.uint8)
    >>> one, other = (vary(picture, Augmentation(), (1, seed)) for seed in (1, 2))
    >>> one.picture.shape, torch.equal(one.seen, other.seen)
    (torch.Size([3, 32, 32]), False)
    """
    rng = np.random.default_rng(seed)

    def drawn(share: float) -> bool:
        return bool(rng.random() < share)

    image = pixels.astype(np.float32) / 255
    for share, change in (
        (augmentation.backdrop, _backdrop),
        (augmentation.zoom, _zoom),
        (augmentation.colour, _colour),
        (augmentation.tone, _tone),
        (augmentation.sharpness, _sharpness),
    ):
        if drawn(share):
            image = change(image, rng).clip(0, 1)
    seen = image
    for share, change in (
        (augmentation.exposure, _exposure),
        (augmentation.noise, _noise),
        (augmentation.jpeg, _jpeg),
    ):
        if drawn(share):
            seen = change(seen, rng).clip(0, 1)
    gray, mode = _gray(to_image(seen), augmentation, rng)
    sparsity = float(rng.uniform(0.25, 1)) if drawn(augmentation.dense) else 1.0
    return Variant(to_image(image), gray.expand(3, -1, -1), sparsity, mode)


def configured(descriptor: Descriptor, sparsity: float = 1.0) -> Descriptor:
    """Return the adapter that describes `Variant.seen`.

    It works on `"luma"` gray, which leaves a picture of equal channels as it is, and its detector's
    threshold is multiplied by `sparsity`, where either is an option of it.
    """
    from invertdesc.descriptors import create_descriptor

    options: dict[str, Any] = asdict(descriptor) if is_dataclass(descriptor) else {}
    changed: dict[str, Any] = {"gray": "luma"} if "gray" in options else {}
    for name in THRESHOLDS:
        if name in options and sparsity != 1:
            value = options[name]
            changed[name] = max(1, round(value * sparsity)) if value >= 1 else value * sparsity
    return create_descriptor(descriptor.name, **changed)


def _zoom(image: Array, rng: np.random.Generator) -> Array:
    import cv2

    side = image.shape[0]
    scale = float(np.exp(rng.uniform(np.log(0.7), np.log(1 / 0.6))))
    if scale >= 1:
        part = max(2, round(side / scale))
        top, left = rng.integers(0, side - part + 1, 2)
        cut = image[top : top + part, left : left + part]
        return np.asarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_CUBIC))
    small = round(side * scale)
    before = rng.integers(0, side - small + 1, 2)
    below, right = side - small - before
    image = np.asarray(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA))
    border = cv2.BORDER_REFLECT_101
    return np.asarray(cv2.copyMakeBorder(image, before[0], below, before[1], right, border))


def _colour(image: Array, rng: np.random.Generator) -> Array:
    gray = image.mean(2, keepdims=True)
    gains = np.exp(rng.normal(0, 0.1, 3)).astype(np.float32)
    return np.asarray((gray + (image - gray) * np.float32(rng.uniform(0.4, 1.5))) * gains)


def _backdrop(image: Array, rng: np.random.Generator) -> Array:
    """Recolour what is joined to an upper corner and is of its colour; it keeps its shading."""
    import cv2

    height, width = image.shape[:2]
    pixels = (image * 255).round().astype(np.uint8)
    mask = np.zeros((height + 2, width + 2), np.uint8)
    reach = (int(rng.integers(8, 24)),) * 3
    for corner in ((1, 1), (width - 2, 1)):
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (255 << 8)
        cv2.floodFill(pixels, mask, corner, (0, 0, 0), reach, reach, flags)
    filled = cv2.morphologyEx(mask[1:-1, 1:-1], cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    if not 0.08 < (filled > 0).mean() < 0.75:
        return image
    part = cv2.GaussianBlur(filled.astype(np.float32) / 255, (0, 0), 1.0)[..., None]
    colour = rng.uniform(0, 1, 3).astype(np.float32)
    colour += (colour.mean() - colour) * np.float32(rng.random())
    return np.asarray(image + part * (colour - image[filled > 0].mean(0)))


def _tone(image: Array, rng: np.random.Generator) -> Array:
    return np.asarray(image ** np.float32(np.exp(rng.normal(0, 0.2))))


def _sharpness(image: Array, rng: np.random.Generator) -> Array:
    import cv2

    soft = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6))))
    if rng.random() < 0.5:
        return soft
    return np.asarray(image + np.float32(rng.uniform(0.3, 1.5)) * (image - soft))


def _exposure(image: Array, rng: np.random.Generator) -> Array:
    contrast, shift = rng.uniform(0.5, 1.2), rng.uniform(-0.1, 0.1)
    return ((image - 0.5) * contrast + 0.5 + shift).astype(np.float32)


def _noise(image: Array, rng: np.random.Generator) -> Array:
    noise = rng.standard_normal(image.shape, np.float32)
    return np.asarray(image + noise * np.float32(rng.uniform(0, 0.03)))


def _jpeg(image: Array, rng: np.random.Generator) -> Array:
    import cv2

    pixels = (image[..., ::-1] * 255).round().astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96))]
    packed = cv2.imencode(".jpg", pixels, quality)[1]
    read = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(read[..., ::-1]).astype(np.float32) / 255


def _gray(
    image: Tensor, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, GrayMode]:
    """Return (H, W): luma, a random mix, or gamma gray; and the mode of its tones."""
    choice = float(rng.random())
    if choice < augmentation.luma:
        return to_gray(image, "luma"), "luma"
    if choice >= augmentation.luma + augmentation.mixed:
        return to_gray(image, "gamma"), "gamma"
    shares = torch.from_numpy(rng.dirichlet(np.ones(3)).astype(np.float32))
    mode: GrayMode = "gamma" if rng.random() < 0.5 else "luma"
    image = image.pow(1 / GAMMA) if mode == "gamma" else image
    return torch.einsum("chw,c->hw", image, shares).clamp(0, 1), mode
