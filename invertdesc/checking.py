"""Notice vectors in another order or form than their adapter's, before they turn into noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.descriptors import resolve_descriptor
from invertdesc.errors import FileError, InputError

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features import LocalFeatures

Reading: TypeAlias = Callable[[Tensor], Tensor]

LAGS = (1, 2, 3, 8, 16, 32, 64)
# Measured with SIFT on 18 pictures of 61 keypoints and more: likeness is 0.65 to 0.95 in the right
# order, which always leads, and 0.15 at most in a random one; the next best trails by 0.03 to 0.2.
STRANGE, SPREAD = 0.3, 0.03
# Sum over length of vectors, means of 17 pictures: SIFT 5.6 to 7.0, RootSIFT 7.4 to 8.9. Of 100
# further ones 3 of SIFT and 1 of RootSIFT lie on the wrong side; orders were told right in all.
ROOT_SUM, ROOT_SPREAD = 7.2, 0.1
NATURAL = "in order"


@dataclass(frozen=True)
class Check:
    """What vectors look like.

    Attributes:
        expected: Registry name of what they are said to be.
        looks_like: The same name where nothing is wrong; else a name and an order, such as
            `"sift, VLFeat's order"`; `"unknown"` where nothing known fits.
        confidence: 0 to 1, how far `looks_like` stands out from the alternatives.
        advice: What to do, in a sentence.
        order: Columns that bring the vectors into the adapter's order, `descriptors[:, order]`;
            None where none need be moved or columns alone do not mend it.
    """

    expected: str
    looks_like: str
    confidence: float
    advice: str
    order: tuple[int, ...] | None = None

    @property
    def ok(self) -> bool:
        """Whether the vectors look like what they are said to be."""
        return self.looks_like == self.expected


def check(features: LocalFeatures, *, descriptor: str | Descriptor | None = None) -> Check:
    """Compare vectors with the statistics of their descriptor.

    Means of the columns and correlations of columns near each other make a fingerprint; the vectors
    are read in each order that is known for their kind and the one whose fingerprint comes nearest
    is named. A hundred keypoints are plenty, ten are few.

    Args:
        features: Of one image, or of many put together.
        descriptor: Name or adapter; None takes the one that the features name.

    Raises:
        InputError: Vectors of another length, or a descriptor without statistics.

    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> features = extract(camera()[::2, ::2])
    >>> check(features).ok
    True
    """
    adapter = resolve_descriptor(descriptor or features.descriptor)
    adapter.encode(features.descriptors[:0])  # checks the width
    raw = features.descriptors.cpu()
    if adapter.name in ("sift", "rootsift"):
        return _check_sift(raw, adapter.name)
    wanted = _reference(adapter.name)
    readings = _readings(adapter.name, raw)
    likeness = {name: _likeness(adapter.encode(read(raw)), wanted) for name, read in readings}
    found, confidence = _choose(likeness)
    if found == NATURAL:
        return Check(adapter.name, adapter.name, confidence, "Nothing to do.")
    if found == "unknown":
        return _strange(adapter.name, len(raw), confidence)
    moved = dict(readings)[found](torch.arange(raw.shape[1])[None])[0]
    columns = None if raw.dtype == torch.uint8 and "bits" in found else tuple(moved.tolist())
    mend = "descriptors[:, order]" if columns else "turn the bits of each byte round"
    return Check(
        adapter.name,
        f"{adapter.name}, {found}",
        confidence,
        f"Reorder the vectors before use: {mend}.",
        columns,
    )


def fingerprint(vectors: Tensor) -> Tensor:
    """Return (1 + 7, D) float32: column means, and correlations with the column 1, 2, ... 64 on.

    Args:
        vectors: (N, D) float, as the descriptor's `encode` returns them.

    >>> fingerprint(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))[:2]
    tensor([[0., 0.],
            [1., 0.]])
    """
    mean = vectors.mean(0)
    aside = vectors - mean
    aside = aside / aside.square().mean(0).sqrt().clamp(min=1e-6)
    rows = [mean]
    for lag in LAGS:
        near = (aside[:, :-lag] * aside[:, lag:]).mean(0) if lag < len(mean) else mean[:0]
        rows.append(F.pad(near, (0, len(mean) - len(near))))
    return torch.stack(rows)


def collect_fingerprint(descriptor: Descriptor, images: Iterable[object]) -> Tensor:
    """Return the `fingerprint` of a descriptor's vectors in images, as `check` compares it.

    Raises:
        InputError: No keypoint in any image.
    """
    from invertdesc.api import extract

    vectors = [
        descriptor.encode(extract(one, descriptor=descriptor).descriptors)  # type: ignore[call-overload]
        for one in images
    ]
    if not sum(map(len, vectors)):
        raise InputError("Expected images with keypoints to collect statistics of, found none.")
    return fingerprint(torch.cat(vectors))


def _check_sift(raw: Tensor, expected: str) -> Check:
    """Tell both the order and whether the root was taken."""
    if not len(raw) or bool((raw < 0).any()):
        return _strange(expected, len(raw), 0.5)
    unit = F.normalize(raw.float(), dim=1)
    total = float(unit.sum(1).mean())
    rooted = total > ROOT_SUM
    sure = float(torch.sigmoid(torch.tensor(abs(total - ROOT_SUM) / ROOT_SPREAD)))
    form, vectors = ("rootsift", unit.square()) if rooted else ("sift", unit)
    wanted, orders = _reference("sift"), _sift_orders("sift")
    vectors = F.normalize(vectors, dim=1)
    likeness = {name: _likeness(vectors[:, list(order)], wanted) for name, order in orders.items()}
    found, confidence = _choose(likeness)
    if found == "unknown":
        return _strange(expected, len(raw), confidence)
    natural = found == NATURAL
    advice = [] if natural else [f"Reorder the vectors from {found}: descriptors[:, order]."]
    if form != expected:
        advice.append(f"Read them as {form!r}: descriptor={form!r}.")
    return Check(
        expected,
        form if natural else f"{form}, {found}",
        confidence * sure,
        " ".join(advice) or "Nothing to do.",
        None if natural else orders[found],
    )


def _strange(expected: str, count: int, confidence: float) -> Check:
    few = f" {count} keypoints are few to judge by; give more." if count < 50 else ""
    advice = f"These vectors do not look like {expected!r}, nor like an order known for it.{few}"
    return Check(expected, "unknown", confidence, advice)


def _choose(likeness: dict[str, float]) -> tuple[str, float]:
    """Return the likeliest name and its share, where strangers have a likeness of their own."""
    names = [*likeness, "unknown"]
    shares = torch.tensor([*likeness.values(), STRANGE]).div(SPREAD).softmax(0)
    best = int(shares.argmax())
    return names[best], float(shares[best])


def _likeness(vectors: Tensor, wanted: Tensor) -> float:
    """Return the mean correlation, over the rows of the fingerprint, with the one wanted."""
    if len(vectors) < 2:
        return 0.0
    found = fingerprint(vectors)
    values = []
    for row, lag in enumerate((0, *LAGS)):
        width = found.shape[1] - lag
        if width > 8:
            pair = torch.stack([found[row, :width], wanted[row, :width]])
            pair = pair - pair.mean(1, keepdim=True)
            values.append(F.cosine_similarity(pair[0], pair[1], dim=0))
    return float(torch.stack(values).mean())


def _readings(name: str, raw: Tensor) -> list[tuple[str, Reading]]:
    """Return each order that is known for a kind of vectors, with what undoes it."""
    readings: list[tuple[str, Reading]] = [(NATURAL, lambda v: v)]
    if name == "sift-kornia":
        orders = _sift_orders(name)
        readings = [(k, lambda v, o=o: v[:, list(o)]) for k, o in orders.items()]  # type: ignore[misc]
    elif raw.dtype == torch.uint8:
        readings += [
            ("bits of each byte turned round", _turned_bits),
            ("bytes turned round", lambda v: v.flip(1)),
            ("all bits turned round", lambda v: _turned_bits(v).flip(1)),
        ]
    elif name != "hog":
        readings.append(("columns turned round", lambda v: v.flip(1)))
    return readings


def _sift_orders(name: str) -> dict[str, tuple[int, ...]]:
    """Return, for each producer's order, the columns that bring it into that of an adapter.

    Source: VLFeat's, OpenMVG's and kornia's own documentation; OpenCV is [row][column][bin].
    """
    opencv = torch.arange(128).view(4, 4, 8)
    mirrored = opencv[..., [0, 7, 6, 5, 4, 3, 2, 1]]
    written = {
        "OpenCV's order": opencv,
        "VLFeat's order": mirrored,
        "a transposed grid": opencv.transpose(0, 1),
        "OpenMVG's order": mirrored.transpose(0, 1),
        "kornia's order": mirrored.permute(2, 0, 1),
    }
    own = "kornia's order" if name == "sift-kornia" else "OpenCV's order"
    return {
        NATURAL if key == own else key: tuple(
            order.flatten().argsort()[written[own].flatten()].tolist()
        )
        for key, order in written.items()
    }


def _turned_bits(raw: Tensor) -> Tensor:
    bits = raw[..., None] >> torch.arange(8, dtype=torch.uint8) & 1
    return (bits.flip(-1) << torch.arange(8, dtype=torch.uint8)).sum(-1).to(torch.uint8)


def _reference(name: str) -> Tensor:
    found = _shipped()
    if name not in found:
        raise InputError(
            f"Expected a descriptor with statistics to check by ({', '.join(sorted(found))}), "
            f"got {name!r}."
        )
    return found[name]


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from invertdesc.weights import FOLDER

    path = FOLDER / "statistics.safetensors"
    try:
        return {name: value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise FileError(f"Expected the shipped statistics {path.name}, got: {error}") from error
