"""Check features when they are created or packed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from operator import index
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.features.batch import FeatureBatch
    from invertdesc.features.local import LocalFeatures

T = TypeVar("T", int, float)
OPTIONAL_FIELDS = ("scales", "orientations", "scores", "colors")
MOST_PIXELS = 2**31
_SHAPES = {"keypoints": "(N, 2)", "descriptors": "(N, D)", "colors": "(N, 3)"}
ROW_FIELDS = ("keypoints", "descriptors", *OPTIONAL_FIELDS)


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (index(side) for side in size)
    except (TypeError, ValueError) as error:
        raise InputError(f"Expected image_size (H, W) in whole pixels, got {size!r}.") from error
    if height < 1 or width < 1:
        raise InputError(f"Expected image_size (H, W) of at least 1 pixel each, got {size!r}.")
    if height * width > MOST_PIXELS:
        raise InputError(f"Expected image_size (H, W) of at most 2^31 pixels, got {size!r}.")
    return height, width


def checked_box(box: tuple[T, T, T, T]) -> tuple[T, T, T, T]:
    try:
        x0, y0, x1, y1 = box
        right = bool(x0 <= x1 and y0 <= y1)
    except (TypeError, ValueError):
        right = False
    if not right:
        raise InputError(f"Expected a box (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, got {box}.")
    return x0, y0, x1, y1


def check_optional(name: str) -> None:
    if name not in OPTIONAL_FIELDS:
        near = get_close_matches(str(name), OPTIONAL_FIELDS, n=1)
        advice = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"Expected names among {', '.join(OPTIONAL_FIELDS)}; got {name!r}.{advice}"
        )


def check_picked(rows: slice | Tensor | Sequence[int], keypoints: Tensor) -> None:
    if isinstance(rows, int):
        raise InputError(f"Expected a slice, mask or index list, got {rows}. Use [{rows}:][:1].")
    try:
        if isinstance(rows, str):  # a sequence too
            raise TypeError
        keypoints[:, 0][rows]
    except (IndexError, TypeError, ValueError, RuntimeError) as error:
        got = f"shape {tuple(rows.shape)}" if isinstance(rows, Tensor) else repr(rows)
        count = len(keypoints)
        raise InputError(
            f"Expected a slice, a mask of shape ({count},) or indices below {count}, got {got}."
        ) from error


def check_rows(features: LocalFeatures) -> None:
    if not isinstance(features.descriptor, str):
        raise InputError(f"Expected the name of a descriptor, got {features.descriptor!r}.")
    for name in ROW_FIELDS:
        value = getattr(features, name)
        if value is None and name in OPTIONAL_FIELDS:
            continue
        if not isinstance(value, Tensor):
            advice = " Convert it: torch.from_numpy(array)." if hasattr(value, "__array__") else ""
            raise InputError(
                f"Expected {name} as a torch tensor, got {type(value).__name__}.{advice}"
            )
        allowed = (torch.float32, torch.uint8) if name == "descriptors" else (torch.float32,)
        if value.dtype not in allowed:
            raise InputError(
                f"Expected {name} of dtype {' or '.join(map(str, allowed))}, got {value.dtype}. "
                f"Convert first, e.g. {name}.float()."
            )
    rows = features.keypoints.shape[:1]
    shapes = {"keypoints": (*rows, 2), "descriptors": (*rows, *features.descriptors.shape[1:2])}
    shapes["colors"] = (*rows, 3)
    for name in ROW_FIELDS:
        value = getattr(features, name)
        expected = shapes.get(name, tuple(rows))
        dims = 2 if name in shapes else 1
        if value is not None and (value.ndim != dims or tuple(value.shape) != expected):
            wanted = _SHAPES.get(name, "(N,)")
            count = "" if name == "keypoints" else f" with N = {rows[0]} keypoints"
            raise InputError(f"Expected {name} of shape {wanted}{count}, got {tuple(value.shape)}.")
        if value is not None and value.device != features.keypoints.device:
            raise InputError(
                f"Expected {name} on {features.device} like the keypoints, got {value.device}."
            )


def check_values(features: LocalFeatures) -> None:
    if features.keypoints.is_meta:
        raise InputError("Expected tensors with values, got tensors on 'meta', which have none.")
    for name in ROW_FIELDS:
        value = getattr(features, name)
        if value is not None and value.is_floating_point() and not value.isfinite().all():
            bad = int(
                (~value.isfinite()).flatten(1).any(1).sum()
                if value.ndim > 1
                else (~value.isfinite()).sum()
            )
            raise InputError(
                f"Expected finite {name}, got NaN or infinity in {bad} of {len(value)} rows. "
                "Drop those rows first."
            )
    height, width = features.image_size
    high = torch.tensor([width - 0.5, height - 0.5], device=features.device)
    out = ((features.keypoints < -0.5) | (features.keypoints > high)).any(1)
    if out.any():
        x, y = features.keypoints[out][0].tolist()
        raise InputError(
            f"Expected keypoints (x, y) inside the {width} x {height} image, got {int(out.sum())} "
            f"outside, the first at ({x:g}, {y:g}). Is image_size given as (H, W)?"
        )
    if features.scales is not None and not (features.scales > 0).all():
        raise InputError("Expected scales above 0 (sigma in pixels), got some that are not.")
    if features.colors is not None and not ((features.colors >= 0) & (features.colors <= 1)).all():
        raise InputError("Expected colors from 0 to 1 (RGB), got others. Divide bytes by 255.")


def check_alike(features: Sequence[LocalFeatures]) -> None:
    def traits(one: LocalFeatures) -> dict[str, object]:
        return {
            "image_size": one.image_size,
            "descriptor": one.descriptor,
            "vector": (one.descriptors.shape[1], one.descriptors.dtype),
            "device": one.device,
            **{name: getattr(one, name) is not None for name in OPTIONAL_FIELDS},
        }

    first = traits(features[0])
    for number, one in enumerate(features[1:], 1):
        for name, value in traits(one).items():
            if value != first[name]:
                raise InputError(
                    f"Expected features alike in {name} to batch, got {first[name]} for the first "
                    f"and {value} for number {number}. Group them first, as reconstruct() does."
                )


def have_same_values(one: LocalFeatures, other: LocalFeatures) -> bool:
    """Return whether two have the same fields with the same values, on the same device."""
    plain = ("image_size", "descriptor", "provenance", "device")
    if any(getattr(one, name) != getattr(other, name) for name in plain):
        return False
    pairs = [(getattr(one, name), getattr(other, name)) for name in ROW_FIELDS]
    return all(
        a is b if a is None or b is None else a.dtype == b.dtype and torch.equal(a, b)
        for a, b in pairs
    )


def changed_rows(
    owner: LocalFeatures | FeatureBatch, change: Callable[[Tensor], Tensor]
) -> dict[str, Any]:
    """Return all fields with a row per keypoint, changed; None stays None."""
    fields = {name: getattr(owner, name) for name in ROW_FIELDS}
    return {name: None if value is None else change(value) for name, value in fields.items()}
