"""Find out whether vectors, angles and scales have another form than the adapter's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._files import open_tensors
from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors._orders import NATURAL, UNKNOWN, readings
from invertdesc.errors import InputError
from invertdesc.features.placeholders import WHERE, placeholder

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.descriptors._frames import FrameCheck
    from invertdesc.features.local import LocalFeatures

LAGS = (1, 2, 3, 8, 16, 32, 64)
# Measured with SIFT on 18 pictures of at least 61 keypoints: likeness is 0.65 to 0.95 in the
# correct order, which is always the best, and at most 0.15 in a random one. The second best order
# is worse by 0.03 to 0.2.
STRANGE, SPREAD = 0.3, 0.03
# Sum divided by length of vectors, means of 17 pictures: SIFT 5.6 to 7.0, RootSIFT 7.4 to 8.9. Of
# 100 further pictures 3 of SIFT and 1 of RootSIFT are on the wrong side; orders were found
# correctly in all.
ROOT_SUM, ROOT_SPREAD = 7.2, 0.1
PLAUSIBLE = 0.02  # orders with a larger share are compared by the agreement of pieces
# Measured on 18 pictures with upright and turned SIFT: by the fingerprint alone, no wrong order had
# a share above 0.6; where pieces agree, each order was found correctly.
SURE, ENOUGH = 0.95, 200  # share and number of vectors from which a store is corrected
PLACEHOLDERS = "placeholders"


@dataclass(frozen=True)
class Check:
    """The result of a check of features.

    Attributes:
        expected: Registry name of the descriptor that the features name.
        descriptor: Registry name of the descriptor that they look like, also `"sift"` or
            `"rootsift"`.
        layout: Order of the values: `"in order"`, the name of an order such as `"VLFeat's order"`,
            `"placeholders"` for vectors that are no descriptors, or `"unknown"` if no known order
            fits.
        confidence: Confidence in this result compared with the alternatives, from 0 to 1.
        advice: Advice in a sentence.
        count: Number of checked vectors.
        order: Columns that convert the vectors to the adapter's order, `descriptors[:, order]`;
            None if no change is needed, or if a change of columns is not enough.
        frames: Result for angles and scales; None if there is nothing to compare.

    >>> Check("sift", "rootsift", "in order", 0.9, "Take 'rootsift'.", 500).ok
    False
    """

    expected: str
    descriptor: str
    layout: str
    confidence: float
    advice: str
    count: int
    order: tuple[int, ...] | None = None
    frames: FrameCheck | None = None

    @property
    def looks_like(self) -> str:
        """Descriptor that the vectors look like, with its order if it is another, or `layout`."""
        if self.layout == NATURAL:
            return self.descriptor
        known = self.layout not in (UNKNOWN, PLACEHOLDERS)
        return f"{self.descriptor}, {self.layout}" if known else self.layout

    @property
    def frames_ok(self) -> bool:
        """Whether angles and scales look correct."""
        change = None if self.frames is None else self.frames.change
        return change is None or change.is_none

    @property
    def ok(self) -> bool:
        """Whether the features look correct."""
        return self.looks_like == self.expected and self.frames_ok

    @property
    def certain(self) -> bool:
        """Whether the result is certain: 95 % sure, from at least 200 vectors."""
        certain = self.frames is None or self.frames.change is not None
        known = self.layout not in (UNKNOWN, PLACEHOLDERS)
        return certain and known and self.count >= ENOUGH and self.share >= SURE

    @property
    def share(self) -> float:
        """Confidence in the least certain part, from 0 to 1."""
        if self.frames is None or self.frames.change is None:
            return self.confidence
        return min(self.confidence, self.frames.confidence)

    @property
    def summary(self) -> str:
        """One line of text about the result and its confidence."""
        change = "" if self.frames is None else str(self.frames.change or "")
        wrong = f", {change}" if change else ""
        return f"{self.looks_like}{wrong} ({100 * self.share:.0f} % sure)"

    @property
    def faults(self) -> str:
        """Description of what `mend` changes, except the name; empty if nothing is wrong."""
        parts = []
        if self.layout not in (NATURAL, UNKNOWN, PLACEHOLDERS):
            parts.append(f"vectors in another order ({self.layout})")
        if self.frames is not None and self.frames.change is not None:
            parts.append(str(self.frames.change))
        return " and ".join(filter(None, parts))

    def mend(self, features: LocalFeatures) -> LocalFeatures:
        """Return features with corrected vectors, angles and scales.

        Args:
            features: The checked features, or others of the same source.

        Raises:
            InputError: The order of the vectors is unknown.

        >>> from skimage.data import camera
        >>> from invertdesc import extract
        >>> features = extract(camera())
        >>> other = replace(features, scales=2 * features.scales)
        >>> found = check(other)
        >>> found.ok, found.mend(other).scales.equal(features.scales)
        (False, True)
        """
        if self.layout in (UNKNOWN, PLACEHOLDERS):
            raise InputError(f"Expected vectors in a known order, to mend them. {self.advice}")
        vectors = features.descriptors
        if self.layout != NATURAL:
            vectors = readings(self.expected, vectors)[self.layout](vectors)
        mended = replace(features, descriptors=vectors, descriptor=self.descriptor)
        change = None if self.frames is None else self.frames.change
        return mended if change is None else change.apply(mended)


def check(
    features: LocalFeatures | Sequence[LocalFeatures], *, descriptor: str | Descriptor | None = None
) -> Check:
    """Check whether features look like those of their descriptor.

    The means of columns and the correlations of nearby columns are a fingerprint. It is computed
    for each known order of the vectors, and the order with the closest fingerprint is the result. A
    hundred keypoints are enough, ten are few. If a descriptor turns or grows with its keypoint, its
    unfolded pieces must agree where they overlap. This confirms the order, and shows angles in
    degrees or of the opposite direction, and scales that are diameters.

    Args:
        features: Features of one image, or of several images of one source.
        descriptor: Name or adapter; None for the one that the features name.

    Raises:
        InputError: There are no features, vectors have another length, or there are no statistics
            of the descriptor.

    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> features = extract(camera()[::2, ::2])
    >>> check(features).ok
    True
    >>> check(replace(features, orientations=-features.orientations)).advice
    'Mend orientations of the opposite direction: check(features).mend(features).'
    """
    images = list(features) if isinstance(features, Sequence) else [features]
    if not images:
        raise InputError("Expected features to check, got none.")
    adapter = resolve_descriptor(descriptor or images[0].descriptor)
    for one in images:
        adapter.encode(one.descriptors[:0])  # checks the width
    images = [one.to("cpu") for one in images]
    raw = torch.cat([one.descriptors for one in images]).detach()
    alike = placeholder(raw.numpy())
    if alike is not None:
        advice = f"These are no descriptors but placeholders: {alike}; {WHERE}."
        return Check(adapter.name, adapter.name, PLACEHOLDERS, 1.0, advice, len(raw))
    if adapter.name in ("sift", "rootsift") and bool((raw < 0).any()):
        return _strange(adapter.name, len(raw), 0.5)
    form, sure = _form(raw, adapter.name)
    shares = _shares(raw, adapter, form)
    layout = max(shares, key=shares.__getitem__)
    if layout == UNKNOWN:
        return _strange(adapter.name, len(raw), shares[layout])
    layout, share, frames = _confirmed(images, adapter, form, shares)
    order = _columns(raw, adapter.name, layout)
    found = Check(adapter.name, form, layout, share * sure, "", len(raw), order, frames)
    return replace(found, advice=_advice(found))


def fingerprint(vectors: Tensor) -> Tensor:
    """Return (1 + 7, D) float32: column means, and correlations with columns at 1, 2, ... 64.

    Args:
        vectors: (N, D) float, as returned by the descriptor's `encode`.

    Raises:
        InputError: There are no vectors.

    >>> fingerprint(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))[:2]
    tensor([[0., 0.],
            [1., 0.]])
    """
    if not len(vectors):
        raise InputError("Expected vectors to take statistics of, found none.")
    mean = vectors.mean(0)
    aside = vectors - mean
    aside = aside / aside.square().mean(0).sqrt().clamp(min=1e-6)
    rows = [mean]
    for lag in LAGS:
        near = (aside[:, :-lag] * aside[:, lag:]).mean(0) if lag < len(mean) else mean[:0]
        rows.append(F.pad(near, (0, len(mean) - len(near))))
    return torch.stack(rows)


def _form(raw: Tensor, name: str) -> tuple[str, float]:
    """Decide between SIFT and RootSIFT, with a confidence; other names are not changed."""
    if name not in ("sift", "rootsift") or not len(raw):
        return name, 1.0
    total = float(F.normalize(raw.float(), dim=1).sum(1).mean())
    sure = float(torch.sigmoid(torch.tensor(abs(total - ROOT_SUM) / ROOT_SPREAD)))
    return "rootsift" if total > ROOT_SUM else "sift", sure


def _shares(raw: Tensor, adapter: Descriptor, form: str) -> dict[str, float]:
    """Return the probability of each order, and of none of them, by the fingerprint alone."""
    sift = adapter.name in ("sift", "rootsift")
    wanted = _reference("sift" if sift else adapter.name)
    likeness = {}
    for layout, read in readings(adapter.name, raw).items():
        vectors = read(raw)
        if sift:
            unit = F.normalize(vectors.float(), dim=1)
            vectors = F.normalize(unit.square(), dim=1) if form == "rootsift" else unit
        else:
            vectors = adapter.encode(vectors)
        likeness[layout] = _likeness(vectors, wanted)
    likeness[UNKNOWN] = STRANGE
    shares = torch.tensor([*likeness.values()]).div(SPREAD).softmax(0).tolist()
    return dict(zip(likeness, shares, strict=True))


def _confirmed(
    images: Sequence[LocalFeatures], adapter: Descriptor, form: str, shares: dict[str, float]
) -> tuple[str, float, FrameCheck | None]:
    """Return the order, its share, and the result for angles and scales in it.

    If the agreement of pieces gives a result, it has priority over the fingerprint.
    """
    # Imported late: it loads the painting op, which stores do not need.
    from invertdesc.descriptors._frames import check_frames

    reader = resolve_descriptor(form) if form != adapter.name else adapter
    layout = max(shares, key=shares.__getitem__)
    found = {}
    for one, share in shares.items():
        if one == layout or (share > PLAUSIBLE and one != UNKNOWN):
            read = readings(adapter.name, images[0].descriptors)[one]
            ordered = [
                replace(image, descriptors=read(image.descriptors), descriptor=form)
                for image in images
            ]
            found[one] = check_frames(ordered, reader)
    compared = {
        one: frames for one, frames in found.items() if frames is not None and frames.conclusive
    }
    if not compared:
        return layout, shares[layout], found[layout]
    best = max(compared, key=lambda one: compared[one].agreement)
    agreements = torch.tensor([frames.agreement for frames in compared.values()])
    share = float(agreements.div(SPREAD).softmax(0)[list(compared).index(best)])
    return best, max(share, shares[layout]) if best == layout else share, compared[best]


def _advice(found: Check) -> str:
    advice = []
    if found.faults:
        advice.append(f"Mend {found.faults}: check(features).mend(features).")
    if found.descriptor != found.expected:
        advice.append(f"Read them as {found.descriptor!r}: descriptor={found.descriptor!r}.")
    if found.frames is not None and found.frames.change is None:
        advice.append("Angles and scales cannot be checked: pieces overlap too little.")
    return " ".join(advice) or "Nothing to do."


def _columns(raw: Tensor, name: str, layout: str) -> tuple[int, ...] | None:
    """Return the columns of an order; None if it reverses bits, or changes nothing."""
    numbers = torch.arange(raw.shape[1]).to(raw.dtype)[None]
    moved = readings(name, raw)[layout](numbers)[0].long().tolist()
    alone = sorted(moved) == list(range(len(moved)))
    return tuple(moved) if alone and layout != NATURAL else None


def _strange(expected: str, count: int, confidence: float) -> Check:
    few = f" {count} keypoints are few; give more." if count < 50 else ""
    advice = f"These vectors do not look like {expected!r} in any known order.{few}"
    return Check(expected, expected, UNKNOWN, confidence, advice, count)


def _likeness(vectors: Tensor, wanted: Tensor) -> float:
    """Return the mean correlation with another fingerprint, over its rows."""
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
    from invertdesc.weights import FOLDER

    path = FOLDER / "statistics.safetensors"
    with open_tensors(path, what="the shipped statistics") as (_, tensors):
        return {name: value.float() for name, value in tensors.items()}
