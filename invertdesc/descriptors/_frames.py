"""Find out whether angles and scales have other units or another direction than expected.

Unfolded pieces of the picture agree where they overlap if angles and scales are correct. If they
are wrong, the pieces do not agree. The correction that makes them agree shows which mistake was
made. No original is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from invertdesc.descriptors.base import JointUnfolding
from invertdesc.errors import FileError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.ops import paint_pieces
from invertdesc.unfolding.frame import turned

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.unfolding.unfolding import Unfolding

FAINT = 0.05  # of the pieces' own squares; below this there is too little overlap
MOST = 400  # maximum number of compared keypoints per image, chosen by a fixed seed
SIDE = 256  # maximum longer side in pixels at which pieces are compared
# Measured with 14 descriptors on 8 pictures: agreement is 0.5 to 0.9 in correct frames, and at most
# 0.4 in wrong ones. LATCH has a wide window, and less agreement in fine texture.
RIGHT, SPREAD = 0.45, 0.03
CLEAR = 0.7  # share from which a mistake is reported
MOST_TURN = 4 * math.pi  # radians; programs that add angles may exceed one turn, but not two
BEYOND = 0.9  # confidence that larger angles are degrees, if agreement gives no result
QUARTERS = ("", "a quarter turn behind", "half a turn off", "a quarter turn ahead")
TURNS = [(negated, quarters) for negated in (False, True) for quarters in range(4)]


@dataclass(frozen=True)
class FrameChange:
    """The change that converts orientations and scales to the units of invertdesc.

    Attributes:
        degrees: Whether orientations are in degrees.
        negated: Whether orientations have the opposite direction.
        quarters: Number of quarter turns to add to orientations, after that.
        factor: Factor for scales.
    """

    degrees: bool = False
    negated: bool = False
    quarters: int = 0
    factor: float = 1.0

    @property
    def is_none(self) -> bool:
        """Whether nothing has to be changed."""
        return self == FrameChange()

    def __str__(self) -> str:
        """Return a description of what is wrong; empty if nothing is."""
        turns = [
            "in degrees" if self.degrees else "",
            "of the opposite direction" if self.negated else "",
            QUARTERS[self.quarters],
        ]
        words = " and ".join(part for part in turns if part)
        parts = [f"orientations {words}"] if words else []
        if self.factor != 1:
            parts.append("scales twice as large" if self.factor < 1 else "scales half as large")
        return ", ".join(parts)

    def turns(self, orientations: Tensor) -> Tensor:
        """Return orientations (N,) in radians from +x towards +y."""
        if not (self.degrees or self.negated or self.quarters):
            return orientations
        angles = orientations.double()
        angles = torch.deg2rad(angles) if self.degrees else angles
        angles = (-angles if self.negated else angles) + self.quarters * math.pi / 2
        return torch.atan2(angles.sin(), angles.cos()).to(orientations)

    def apply(self, features: LocalFeatures) -> LocalFeatures:
        """Return features with corrected orientations and scales; missing fields stay missing."""
        turns, scales = features.orientations, features.scales
        return replace(
            features,
            orientations=None if turns is None else self.turns(turns),
            scales=None if scales is None else scales * self.factor,
        )


@dataclass(frozen=True)
class FrameCheck:
    """The result of a check of orientations and scales.

    Attributes:
        change: Change that corrects them; None if it cannot be found.
        confidence: Confidence in this change compared with others, from 0 to 1.
        agreement: Agreement of overlapping pieces after the change: the mean cosine of their
            gradients, from -1 to 1.
    """

    change: FrameChange | None
    confidence: float
    agreement: float

    @property
    def conclusive(self) -> bool:
        """Whether pieces agree well enough for a result."""
        return self.agreement >= RIGHT


def check_frames(images: Sequence[LocalFeatures], adapter: Descriptor) -> FrameCheck | None:
    """Find the change of angles and scales with which the pieces of each image agree best.

    Args:
        images: Features with vectors in the adapter's order.
        adapter: Adapter of their descriptor.

    Returns:
        None if there is nothing to check: the descriptor uses neither angles nor scales, it cannot
        be unfolded, or the features do not have them.
    """
    if isinstance(adapter, JointUnfolding):  # a grid; its vectors are read together
        return None
    try:
        unfolding = adapter.unfolding
    except FileError:  # the unfolding of this adapter must be fitted first
        return None
    needs = unfolding.frame.needs
    whole = [one for one in images if all(getattr(one, name) is not None for name in needs)]
    if not needs or not whole:
        return None
    beyond = "orientations" in needs and any(_beyond_turns(one) for one in whole)
    thinned = [_thinned(one) for one in whole]
    pairs = [(one, _pieces(one, adapter, unfolding)) for one in thinned if len(one)]
    values = {
        change: _agreement(pairs, unfolding, change) for change in _candidates(needs, beyond, ())
    }
    best = max(values, key=values.__getitem__)
    if values[best] < RIGHT or best.factor != 1:
        others = (change for change in _candidates(needs, beyond, TURNS) if change not in values)
        values |= {change: _agreement(pairs, unfolding, change) for change in others}
    return _choose(values, beyond)


def _choose(values: dict[FrameChange, float], beyond: bool) -> FrameCheck:
    """Return the change with the best agreement, and its share compared with other changes."""
    shares = torch.tensor([*values.values(), RIGHT]).div(SPREAD).softmax(0)
    best = int(shares.argmax())
    if best < len(values):
        change = list(values)[best]
        clear = change.is_none or float(shares[best]) > CLEAR
        return FrameCheck(change if clear else None, float(shares[best]), values[change])
    agreement = max(values.values())
    if beyond:
        return FrameCheck(FrameChange(degrees=True), BEYOND, agreement)
    return FrameCheck(None, float(shares[best]), agreement)


def _beyond_turns(features: LocalFeatures) -> bool:
    turns = features.orientations
    return turns is not None and len(turns) > 0 and float(turns.abs().max()) > MOST_TURN


def _candidates(
    needs: tuple[str, ...], beyond: bool, turns: Sequence[tuple[bool, int]]
) -> Iterator[FrameChange]:
    """Yield possible changes of angles and scales, the most likely first."""
    for degrees in (True, False) if beyond else (False,):
        for negated, quarters in turns if "orientations" in needs and turns else ((False, 0),):
            for factor in (1.0, 0.5, 2.0) if "scales" in needs else (1.0,):
                yield FrameChange(degrees, negated, quarters, factor)


def _thinned(features: LocalFeatures) -> LocalFeatures:
    if features.scales is not None:  # frames larger than the picture are wrong, and slow
        features = features[features.scales < max(features.image_size)]
    # Keypoints at the same position agree for any common turn and scale, so only one is kept.
    _, first = np.unique(features.keypoints.round().numpy(), axis=0, return_index=True)
    features = features[torch.from_numpy(first).sort().values]
    if len(features) <= MOST:
        return features
    drawn = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:MOST]
    return features[drawn.sort().values]


def _pieces(features: LocalFeatures, adapter: Descriptor, unfolding: Unfolding) -> Tensor:
    """Return (N, 2, G, G) float64 gradients in the keypoints' frames, all of one length."""
    pieces = unfolding.directions(adapter.encode(features.descriptors)).double()
    lengths: Tensor = pieces.flatten(1).norm(dim=1)
    return pieces / lengths.clamp(min=1e-9)[:, None, None, None]


def _agreement(
    images: Sequence[tuple[LocalFeatures, Tensor]], unfolding: Unfolding, change: FrameChange
) -> float:
    """Return the mean cosine of the gradients of two pieces that overlap, over pixels and pairs.

    Both sums over pairs are computed from sums over pieces: for vectors v, the sum of v_i . v_j
    over all pairs i != j is |sum v|^2 - sum |v|^2. Fine pieces have more weight, as in the field.
    """
    together, lengths, own = 0.0, 0.0, 1e-12
    for features, pieces in images:
        batch = FeatureBatch.collate([change.apply(features)])
        sides, angles = (
            part.double() for part in (unfolding.frame.sides(batch), unfolding.frame.turns(batch))
        )
        stride = max(1.0, max(batch.image_size) / SIDE)
        sides = sides / stride
        weight = (sides / pieces.shape[-1]).clamp(min=1).pow(-2)[:, None, None]
        x, y = (weight * part for part in turned(pieces[:, 0], pieces[:, 1], angles))
        squares = x.square() + y.square()
        values = torch.stack([x, y, squares.sqrt(), squares], 1).float()
        height, width = (math.ceil(side / stride) for side in batch.image_size)
        centers = (batch.keypoints.double() + 0.5) / stride - 0.5
        sums = paint_pieces(values, centers, sides, angles, batch.offsets, (height, width))[0]
        together += float((sums[0].square() + sums[1].square() - sums[3]).sum())
        lengths += float((sums[2].square() - sums[3]).sum())
        own += float(sums[3].sum())
    return together / (lengths + FAINT * own)
