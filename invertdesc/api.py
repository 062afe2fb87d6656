"""The functions `extract` and `reconstruct`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from invertdesc._inputs import read_one, several
from invertdesc._options import check_range
from invertdesc._progress import show_progress, watch
from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import InputError, NoKeypointsWarning
from invertdesc.features._checks import OPTIONAL_FIELDS
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.features.placeholders import WHERE, placeholder
from invertdesc.features.resize import resize_features
from invertdesc.image import shrink_image
from invertdesc.limits import get_limits
from invertdesc.methods._kept import kept_method
from invertdesc.methods.base import Method, run_method
from invertdesc.methods.registry import check_unfolding
from invertdesc.rasterizers.colors import paint_colors
from invertdesc.recovery import with_frames

BATCH_PIXELS = 2**22  # less than 1.5 GB with each method that ships

if TYPE_CHECKING:
    from invertdesc._inputs import Source, Sources
    from invertdesc.descriptors import Descriptor
    from invertdesc.methods import MethodLike


# A str is iterable too, so the overloads for one source must come first.
@overload
def extract(  # type: ignore[overload-overlap]
    source: Source,
    *,
    descriptor: str | Descriptor | None = ...,
    max_side: int | None = ...,
    progress: bool = ...,
) -> LocalFeatures: ...


@overload
def extract(
    source: Sources,
    *,
    descriptor: str | Descriptor | None = ...,
    max_side: int | None = ...,
    progress: bool = ...,
) -> list[LocalFeatures]: ...


def extract(
    source: Source | Sources,
    *,
    descriptor: str | Descriptor | None = None,
    max_side: int | None = None,
    progress: bool = False,
) -> LocalFeatures | list[LocalFeatures]:
    """Compute the local features of an image, or of several images.

    Sources that are features already are returned unchanged.

    Args:
        source: An image: a path, PIL image, NumPy array (H, W), (H, W, 3) or (H, W, 4), or torch
            tensor (3, H, W). Features, or a path to their .npz file. Several of these in any
            iterable; images of one size as a tensor (B, 3, H, W); a store, or a path to one, for
            all its images.
        descriptor: What to extract from images: a name, or an adapter from `create_descriptor`,
            which takes parameters; None for SIFT. Features name their own descriptor; a name given
            here must be the same.
        max_side: Longest side in pixels: larger images are shrunk to it first. Keypoints and scales
            are converted back to the whole image. The exception are descriptors with a window of a
            fixed number of pixels: their features are those of the shrunk image. None for no limit.
        progress: Show a progress bar.

    Returns:
        Features; for several sources a list, in the same order. A type checker reads a path or a
        tensor as one image; use `open_store(path)` or `list(tensor)` for several images.

    Raises:
        FileError: A file is missing, or neither an image nor features.
        InputError: An image of a wrong shape, dtype or range, an unknown descriptor, or features
            that name another one than the name given.

    Warns:
        BadImageWarning: An image of a store cannot be read, and is left out.

    >>> from skimage.data import camera
    >>> extract(camera(), descriptor="sift").descriptors.shape[1]
    128
    """
    many = several(source)
    adapter = None if descriptor is None else resolve_descriptor(descriptor)
    features = _features([source] if many is None else many, adapter, max_side, progress, True)
    _check_names(features, descriptor)
    return features[0] if many is None else features


@overload
def reconstruct(  # type: ignore[overload-overlap]
    source: Source,
    *,
    descriptor: str | Descriptor | None = ...,
    method: str | MethodLike = ...,
    device: str | torch.device | None = ...,
    batch_size: int = ...,
    batch_pixels: int = ...,
    max_side: int | None = ...,
    progress: bool = ...,
) -> Tensor: ...


@overload
def reconstruct(
    source: Sources,
    *,
    descriptor: str | Descriptor | None = ...,
    method: str | MethodLike = ...,
    device: str | torch.device | None = ...,
    batch_size: int = ...,
    batch_pixels: int = ...,
    max_side: int | None = ...,
    progress: bool = ...,
) -> list[Tensor]: ...


def reconstruct(
    source: Source | Sources,
    *,
    descriptor: str | Descriptor | None = None,
    method: str | MethodLike = "auto",
    device: str | torch.device | None = None,
    batch_size: int = 16,
    batch_pixels: int = BATCH_PIXELS,
    max_side: int | None = None,
    progress: bool = False,
) -> Tensor | list[Tensor]:
    """Reconstruct the picture that local features came from.

    For an image, features are extracted first. The method gets only these features and no pixels.
    Missing orientations and scales are recovered, see `recover_frames`; colours are painted.

    Args:
        source: Features or an image, or several, as for `extract`; sizes may differ.
        descriptor: What to extract from images: a name, or an adapter from `create_descriptor`;
            None for SIFT. Features name their own descriptor; a name given here must be the same.
            An adapter given here is used to read the features.
        method: Name, or a method from `create_method`, which accepts options. The last few methods
            created by name are kept, so their weights are loaded only once per process.
        device: Device to compute on, such as `"cuda"`; None for where the weights of a method that
            is given are, else where the features are.
        batch_size: Number of images of one size that are reconstructed together.
        batch_pixels: Number of pixels that they may have together; a larger image is alone.
        max_side: Longest side in pixels: larger images are shrunk to it first; None for no limit.
        progress: Show progress bars, also those of the method.

    Returns:
        (3, H, W) float32 RGB in [0, 1], on the device where it was computed; for several sources a
        list of these, in the same order.

    Raises:
        FileError: A file is missing, or neither an image nor features.
        InputError: An unknown name or device, an image or features of a wrong shape, dtype or
            range, or features that name another descriptor than the name given.
        MissingFieldError: Features lack what the method needs, and it cannot be recovered.

    Warns:
        BadImageWarning: An image of a store cannot be read, and is left out.
        FramesRecoveredWarning: Features lacked orientations or scales that the method needs.
        NoKeypointsWarning: Features are empty, or their descriptors are placeholders, so the
            picture shows nothing.

    >>> from skimage.data import camera
    >>> reconstruct(camera()[::2, ::2]).shape
    torch.Size([3, 256, 256])
    """
    _check_options(method, device, batch_size, batch_pixels)
    many = several(source)
    adapter = _adapter_for(method, descriptor)
    features = _features([source] if many is None else many, adapter, max_side, progress, False)
    _check_names(features, descriptor)
    _warn_of_empty(features)
    with show_progress(progress):  # also for the method's own bars
        parts = watch(_batches(features, batch_size, batch_pixels), "reconstruct", shown=progress)
        pictures = _pictures(features, parts, method, adapter, device)
    return pictures[0] if many is None else pictures


def _adapter_for(
    method: str | MethodLike, descriptor: str | Descriptor | None
) -> Descriptor | None:
    """Return the adapter of a descriptor that the method can use; None for no descriptor."""
    adapter = None if descriptor is None else resolve_descriptor(descriptor)
    check_unfolding(method, adapter)
    return adapter


def _pictures(
    features: list[LocalFeatures],
    groups: Iterable[list[int]],
    method: str | MethodLike,
    adapter: Descriptor | None,
    device: str | torch.device | None,
) -> list[Tensor]:
    """Return a picture (3, H, W) for each of the features, which are processed in groups."""
    features = _with_frames(features, method, adapter, device)
    found: dict[int, Tensor] = {}
    with torch.no_grad():  # not inference_mode: pictures are for use in autograd too
        for numbers in groups:
            batch = FeatureBatch.collate([features[n] for n in numbers])
            run, place = method, device
            if isinstance(run, str):
                place = torch.device(device) if device is not None else batch.device
                run = kept_method(run, adapter or batch.descriptor, place)
            pictures = paint_colors(run_method(run, batch, place), batch)
            # The copy of a picture does not keep its batch in memory. A function may return a
            # tensor that it keeps.
            alone = len(numbers) == 1 and isinstance(run, Method)
            copies = (picture if alone else picture.clone() for picture in pictures)
            found.update(zip(numbers, copies, strict=True))
    return [found[number] for number in range(len(features))]


def _with_frames(
    features: list[LocalFeatures],
    method: str | MethodLike,
    adapter: Descriptor | None,
    device: str | torch.device | None,
) -> list[LocalFeatures]:
    """Return the features with frames, where the method needs them and they can be recovered."""
    bare = [one for one in features if one.scales is None or one.orientations is None]
    if not bare:
        return features
    run = method
    if isinstance(run, str):
        run = kept_method(
            run, adapter or bare[0].descriptor, torch.device(device or bare[0].device)
        )
    return with_frames(features, run, adapter, stacklevel=5)


def _features(
    sources: Iterable[Any],
    adapter: Descriptor | None,
    max_side: int | None,
    progress: bool,
    whole: bool,
) -> list[LocalFeatures]:
    """Return the features of each source; for images, extract them by the adapter or by SIFT.

    With `whole`, features of a shrunk image are converted back to the whole image.
    """
    if max_side is not None and max_side < 1:
        raise InputError(f"Expected max_side >= 1 or None, got {max_side}.")
    adapter = adapter or resolve_descriptor("sift")
    results = []
    for one in map(read_one, watch(sources, "extract", shown=progress)):
        if isinstance(one, LocalFeatures):
            results.append(one)
            continue
        found = adapter.extract(one if max_side is None else shrink_image(one, max_side))
        size = (one.shape[1], one.shape[2])
        back = whole and found.image_size != size and adapter.frame.scaled
        results.append(resize_features(found, size) if back else found)
    return results


def _check_names(features: Sequence[LocalFeatures], descriptor: str | Descriptor | None) -> None:
    for one in features:
        if isinstance(descriptor, str) and one.descriptor != descriptor:
            raise InputError(
                f"Expected features of {descriptor!r}, as descriptor= says, got "
                f"{one.descriptor!r}. Leave it out, or read them as such with "
                f"create_descriptor({descriptor!r})."
            )


def _check_options(
    method: str | MethodLike,
    device: str | torch.device | None,
    batch_size: int,
    batch_pixels: int,
) -> None:
    check_range("batch_size", batch_size, 1)
    check_range("batch_pixels", batch_pixels, 1)
    if not isinstance(method, str) and (isinstance(method, type) or not callable(method)):
        raise InputError(f"Expected a method or the name of one, got {method!r}.")
    try:
        torch.empty(0, device=device)
        if torch.device(device or "cpu").type == "meta":
            raise RuntimeError("it holds no values.")
    except (RuntimeError, AssertionError, TypeError) as error:  # the second: without CUDA
        reason = str(error).partition("\n")[0]
        raise InputError(f"Expected a device to compute on, got {device!r}: {reason}") from error


def _batches(features: Sequence[LocalFeatures], most: int, pixels: int) -> list[list[int]]:
    """Return the indices of features of each batch, in order."""
    groups: dict[object, list[int]] = {}
    for number, one in enumerate(features):
        fields = tuple(getattr(one, name) is None for name in OPTIONAL_FIELDS)
        vector = (one.descriptor, one.descriptors.shape[1], one.descriptors.dtype)
        groups.setdefault((one.image_size, vector, fields, one.device), []).append(number)
    parts: list[list[int]] = []
    pixels = min(pixels, get_limits().pixels)
    for numbers in groups.values():
        height, width = features[numbers[0]].image_size
        size = max(1, min(most, pixels // (height * width)))
        parts += [numbers[start : start + size] for start in range(0, len(numbers), size)]
    return parts


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
