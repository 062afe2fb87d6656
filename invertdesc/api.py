"""The two verbs that a user meets first."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
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
from invertdesc.methods.base import run_method

if TYPE_CHECKING:
    from invertdesc._inputs import Source, Sources
    from invertdesc.descriptors import Descriptor
    from invertdesc.methods import MethodLike


# A str is iterable too, so that the overloads for one source must come first.
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
    """Compute the local features of an image, or of each of several.

    What holds features already comes back as it is.

    Args:
        source: An image: a path, PIL image, NumPy array (H, W), (H, W, 3) or (H, W, 4), or torch
            tensor (3, H, W). Features, or a path to their .npz file. Several of those in any
            iterable; images of one size as a tensor (B, 3, H, W); a store, or a path to one, for
            all its images.
        descriptor: What to extract from images: a name, or an adapter from `create_descriptor`,
            which takes parameters; None for SIFT. Features name their own, which a name given
            here must be.
        max_side: Pixels of the longer side that larger images are shrunk to before; keypoints and
            scales are those in the whole image all the same, but for descriptors whose window is a
            fixed count of pixels: their features are of the shrunk image. None for no limit.
        progress: Show a bar.

    Returns:
        Features; a list where there are several sources, in their order. A type checker takes a
        path or tensor for one image: `open_store(path)` and `list(tensor)` are several to it.

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
    if isinstance(descriptor, str):
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
    max_side: int | None = ...,
    progress: bool = ...,
) -> list[Tensor]: ...


def reconstruct(
    source: Source | Sources,
    *,
    descriptor: str | Descriptor | None = None,
    method: str | MethodLike = "unfold",
    device: str | torch.device | None = None,
    batch_size: int = 16,
    max_side: int | None = None,
    progress: bool = False,
) -> Tensor | list[Tensor]:
    """Reconstruct the picture that local features came from.

    Given an image, its features are extracted first and nothing else is kept of it: the result
    shows what they tell.

    Args:
        source: Features or an image, or several, as `extract` takes them; sizes may differ.
        descriptor: What to extract from images: a name, or an adapter from `create_descriptor`;
            None for SIFT. Features name their own, which a name given here must be; an adapter
            given here reads them in its place.
        method: Name, or a method from `create_method`, which takes options. The last few made by
            name are kept, so that weights are read once a process.
        device: Where to compute, such as `"cuda"`; None for where the weights of a method that is
            given are, else where the features are.
        batch_size: Images of one size that go through the method together; fewer where together
            they would have more pixels than the limit of one, see `Limits`.
        max_side: Pixels of the longer side that larger images are shrunk to before; their pictures
            have that size. Features stay as they are. None for no limit.
        progress: Show bars, those of the method too.

    Returns:
        (3, H, W) float32 RGB in [0, 1], on the device it was computed on; a list of those, in
        order, where there are several sources.

    Raises:
        FileError: A file is missing, or neither an image nor features.
        InputError: An unknown name or device, an image or features of a wrong shape, dtype or
            range, or features that name another descriptor than the name given.
        MissingFieldError: Features lack what the method needs.

    Warns:
        BadImageWarning: An image of a store cannot be read, and is left out.
        NoKeypointsWarning: Features are empty, or their descriptors placeholders, so that the
            picture shows nothing.

    >>> from skimage.data import camera
    >>> reconstruct(camera()[::2, ::2]).shape
    torch.Size([3, 256, 256])
    """
    _check_options(method, device, batch_size)
    many = several(source)
    adapter = None if descriptor is None else resolve_descriptor(descriptor)
    features = _features([source] if many is None else many, adapter, max_side, progress, False)
    if isinstance(descriptor, str):
        _check_names(features, descriptor)
    _warn_of_empty(features)
    with show_progress(progress):  # of the method
        groups = watch(list(_batches(features, batch_size)), "reconstruct", shown=progress)
        pictures = _pictures(features, groups, method, adapter, device)
    return pictures[0] if many is None else pictures


def _pictures(
    features: list[LocalFeatures],
    groups: Iterable[list[int]],
    method: str | MethodLike,
    adapter: Descriptor | None,
    device: str | torch.device | None,
) -> list[Tensor]:
    """Return a picture (3, H, W) for each of the features, of which groups go together."""
    found: dict[int, Tensor] = {}
    with torch.no_grad():  # not inference_mode: pictures are for use in autograd too
        for numbers in groups:
            batch = FeatureBatch.collate([features[n] for n in numbers])
            run, place = method, device
            if isinstance(run, str):
                place = torch.device(device) if device is not None else batch.device
                run = kept_method(run, adapter or batch.descriptor, place)
            copies = (picture.clone() for picture in run_method(run, batch, place))
            found.update(zip(numbers, copies, strict=True))
    return [found[number] for number in range(len(features))]


def _features(
    sources: Iterable[Any],
    adapter: Descriptor | None,
    max_side: int | None,
    progress: bool,
    whole: bool,
) -> list[LocalFeatures]:
    """Return the features of each source; of images those that the adapter, or SIFT, extracts.

    Those of an image that was shrunk are brought back to the `whole` image where that is asked for.
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


def _check_names(features: Sequence[LocalFeatures], descriptor: str) -> None:
    for one in features:
        if one.descriptor != descriptor:
            raise InputError(
                f"Expected features of {descriptor!r}, as descriptor= says, got "
                f"{one.descriptor!r}. Leave it out, or read them as such with "
                f"create_descriptor({descriptor!r})."
            )


def _check_options(
    method: str | MethodLike, device: str | torch.device | None, batch_size: int
) -> None:
    check_range("batch_size", batch_size, 1)
    if not isinstance(method, str) and (isinstance(method, type) or not callable(method)):
        raise InputError(f"Expected a method or the name of one, got {method!r}.")
    try:
        torch.empty(0, device=device)
        if torch.device(device or "cpu").type == "meta":
            raise RuntimeError("it holds no values.")
    except (RuntimeError, AssertionError, TypeError) as error:  # the second: builds without CUDA
        reason = str(error).partition("\n")[0]
        raise InputError(f"Expected a device to compute on, got {device!r}: {reason}") from error


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
