"""The two verbs that a user meets first."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast, overload

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import FileError, InputError, NoKeypointsWarning
from invertdesc.features._checks import OPTIONAL_FIELDS
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.features.placeholders import WHERE, placeholder
from invertdesc.image import to_image
from invertdesc.limits import get_limits
from invertdesc.methods import create_method

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from invertdesc.descriptors import Descriptor
    from invertdesc.methods import Reconstructor

    Picture: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor
    Source: TypeAlias = Picture | LocalFeatures


# A str is a sequence too, so that the overloads for one image must come first.
@overload
def extract(  # type: ignore[overload-overlap]
    source: Picture, *, descriptor: str | Descriptor = ..., progress: bool = ...
) -> LocalFeatures: ...


@overload
def extract(
    source: Sequence[Picture], *, descriptor: str | Descriptor = ..., progress: bool = ...
) -> list[LocalFeatures]: ...


def extract(
    source: Picture | Sequence[Picture],
    *,
    descriptor: str | Descriptor = "sift",
    progress: bool = False,
) -> LocalFeatures | list[LocalFeatures]:
    """Compute the local features of an image, or of each of a sequence.

    Args:
        source: A path, PIL image, NumPy array (H, W) or (H, W, 3), torch tensor (3, H, W), or a
            sequence of those.
        descriptor: Name, or an adapter from `create_descriptor`, which takes parameters.
        progress: Show a bar.

    Raises:
        FileError: A file is missing or not an image.
        InputError: An image of a wrong shape, dtype or range, or an unknown descriptor.

    >>> from skimage.data import camera
    >>> extract(camera(), descriptor="sift").descriptors.shape[1]
    128
    """
    adapter = resolve_descriptor(descriptor)
    many = _sequence(source)
    if many is not None:
        return [adapter.extract(_image(one)) for one in _watched(many, "extract", progress)]
    return adapter.extract(_image(source))


@overload
def reconstruct(  # type: ignore[overload-overlap]
    source: Source,
    *,
    descriptor: str | Descriptor | None = ...,
    method: str | Reconstructor = ...,
    device: str | torch.device | None = ...,
    batch_size: int = ...,
    progress: bool = ...,
) -> Tensor: ...


@overload
def reconstruct(
    source: Sequence[Source],
    *,
    descriptor: str | Descriptor | None = ...,
    method: str | Reconstructor = ...,
    device: str | torch.device | None = ...,
    batch_size: int = ...,
    progress: bool = ...,
) -> list[Tensor]: ...


def reconstruct(
    source: Source | Sequence[Source],
    *,
    descriptor: str | Descriptor | None = None,
    method: str | Reconstructor = "unfold",
    device: str | torch.device | None = None,
    batch_size: int = 16,
    progress: bool = False,
) -> Tensor | list[Tensor]:
    """Reconstruct the picture that local features came from.

    Given an image, its features are extracted first and nothing else is kept of it: the result
    shows what they tell.

    Args:
        source: Features, or an image as `extract` takes it, or a sequence of those; sizes may
            differ.
        descriptor: What to extract from images: a name, or an adapter from `create_descriptor`;
            None for SIFT. Features name their own, which a name given here must be; an adapter
            given here reads them in its place.
        method: Name, or a method from `create_method`, which takes options.
        device: Where to compute, such as `"cuda"`; None leaves features where they are.
        batch_size: Images of one size that go through the method together; fewer where together
            they would have more pixels than the limit of one, see `Limits`.
        progress: Show a bar.

    Returns:
        (3, H, W) float32 RGB in [0, 1], on the device it was computed on; a list for a sequence.

    Raises:
        FileError: A file is missing or not an image.
        InputError: An unknown name or device, an image or features of a wrong shape, dtype or
            range, or features that name another descriptor than the name given.
        MissingFieldError: Features lack what the method needs.

    Warns:
        NoKeypointsWarning: Features are empty, or their descriptors placeholders, so that the
            picture shows nothing.

    >>> from skimage.data import camera
    >>> reconstruct(camera()[::2, ::2]).shape
    torch.Size([3, 256, 256])
    """
    check_range("batch_size", batch_size, 1)
    if not isinstance(method, str) and (isinstance(method, type) or not callable(method)):
        raise InputError(f"Expected a method or the name of one, got {method!r}.")
    _check_device(device)
    many = _sequence(source)
    adapter = None if descriptor is None else resolve_descriptor(descriptor)
    features = [
        one if isinstance(one, LocalFeatures) else extract(one, descriptor=adapter or "sift")
        for one in _watched([source] if many is None else many, "extract", progress)
    ]
    if isinstance(descriptor, str):
        _check_names(features, descriptor)
    _warn_of_empty(features)
    pictures: list[Tensor | None] = [None] * len(features)
    made: dict[str, Reconstructor] = {}
    groups = list(_batches(features, batch_size))
    with torch.no_grad():  # not inference_mode: pictures are for use in autograd too
        for numbers in _watched(groups, "reconstruct", progress):
            batch = FeatureBatch.collate([features[n] for n in numbers])
            batch = batch if device is None else batch.to(device)
            if isinstance(method, str) and batch.descriptor not in made:
                chosen = adapter or batch.descriptor
                made[batch.descriptor] = create_method(method, descriptor=chosen)
            run = made[batch.descriptor] if isinstance(method, str) else method
            for number, picture in zip(numbers, run(batch), strict=True):
                pictures[number] = picture.clone()
    results = [picture for picture in pictures if picture is not None]
    return results[0] if many is None else results


def _image(source: object) -> Tensor:
    """Return an image; what is none, but is known to the library, is told how to be read."""
    try:
        return to_image(source)
    except FileError as error:
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
        advice = _advice(path) if path else None
        if advice is None:
            raise
        raise FileError(f"{error} {advice}") from error


def _advice(path: str) -> str | None:
    from invertdesc.stores.open import is_store

    if path.lower().endswith(".npz"):
        return f"Features are loaded with LocalFeatures.load({path!r})."
    if is_store(Path(path)):
        return f"It is a store of features: for name, features in open_store({path!r})."
    if os.path.isdir(path):  # noqa: PTH112  # which raises nothing
        return f"It is a folder: pass a list of images, sorted(Path({path!r}).glob('*.png'))."
    if glob.has_magic(path):
        return f"It is a pattern: pass a list of images, sorted(glob.glob({path!r}))."
    return None


def _check_names(features: Sequence[LocalFeatures], descriptor: str) -> None:
    for one in features:
        if one.descriptor != descriptor:
            raise InputError(
                f"Expected features of {descriptor!r}, as descriptor= says, got "
                f"{one.descriptor!r}. Leave it out, or read them as such with "
                f"create_descriptor({descriptor!r})."
            )


def _check_device(device: str | torch.device | None) -> None:
    try:
        torch.empty(0, device=device)
        if torch.device(device or "cpu").type == "meta":
            raise RuntimeError("it holds no values.")
    except (RuntimeError, AssertionError, TypeError) as error:  # the second: builds without CUDA
        reason = str(error).partition("\n")[0]
        raise InputError(f"Expected a device to compute on, got {device!r}: {reason}") from error


def _sequence(source: object) -> list[Any] | None:
    """Return a list of what a sequence holds, or None for a single image or features."""
    several = isinstance(source, Sequence) and not isinstance(source, str | bytes)
    return list(cast("Sequence[Any]", source)) if several else None


def _watched(items: Sequence[Any], title: str, progress: bool) -> Iterator[Any]:
    if not progress:
        return iter(items)
    from tqdm import tqdm

    return iter(tqdm(items, desc=title, unit="image", disable=None))


def _batches(features: Sequence[LocalFeatures], most: int) -> Iterator[list[int]]:
    """Yield the numbers of features that fit in one batch, keeping their order within it."""
    groups: dict[object, list[int]] = {}
    for number, one in enumerate(features):
        fields = tuple(getattr(one, name) is None for name in OPTIONAL_FIELDS)
        vector = (one.descriptor, one.descriptors.shape[1], one.descriptors.dtype)
        groups.setdefault((one.image_size, vector, fields, one.device), []).append(number)
    for numbers in groups.values():
        height, width = features[numbers[0]].image_size
        size = max(1, min(most, get_limits().pixels // (height * width)))
        for start in range(0, len(numbers), size):
            yield numbers[start : start + size]


def _warn_of_empty(features: Sequence[LocalFeatures]) -> None:
    empty = sum(not len(one) for one in features)
    if empty:
        warnings.warn(
            f"No keypoints in {empty} of {len(features)} images: their pictures show nothing. "
            "Is the image flat, blurred or tiny? A lower contrast_threshold finds more.",
            NoKeypointsWarning,
            stacklevel=3,
        )
    alike = sum(placeholder(one.descriptors.detach().cpu().numpy()) is not None for one in features)
    if alike:
        warnings.warn(
            f"No descriptors but placeholders in {alike} of {len(features)} images: their pictures "
            f"show nothing; {WHERE}.",
            NoKeypointsWarning,
            stacklevel=3,
        )
