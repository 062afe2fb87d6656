"""What a picture's own descriptors lack of the given ones, as a gradient field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invertdesc.descriptors.base import JointUnfolding
from invertdesc.features.batch import FeatureBatch
from invertdesc.rasterizers.field import FieldRasterizer, merge_pieces
from invertdesc.unfolding.fit import gradients_around
from invertdesc.unfolding.frame import turned

if TYPE_CHECKING:
    from invertdesc.descriptors.describing import Described, Describing
    from invertdesc.features.local import LocalFeatures
    from invertdesc.unfolding.unfolding import Unfolding

FAINTEST = 0.1  # of the mean contrast, below which none is taken: what is flat could not change
ALIKE = 1e-3  # of a frame's side, and radians: below that two frames are the same


class Missing:
    """The field that is missing in pictures, for the features of one image.

    A vector says gradients up to their contrast. The picture at hand has one around each keypoint,
    so that given and own vectors are unfolded at that contrast, and their difference is in the
    picture's unit.
    """

    def __init__(
        self, adapter: Describing, features: LocalFeatures, unfolding: Unfolding | None = None
    ) -> None:
        """Unfold the given vectors, once for all pictures.

        Args:
            adapter: Adapter of the features' descriptor.
            features: Given, on the CPU.
            unfolding: To use instead of the descriptor's own.
        """
        self.adapter, self.one = adapter, FeatureBatch.collate([features])
        self.jointly = unfolding is None and isinstance(adapter, JointUnfolding)
        if self.jointly:
            return
        self.unfolding = unfolding or adapter.unfolding
        self.frame = self.unfolding.frame
        given = adapter.encode(features.descriptors)
        self.directions = self.unfolding.directions(given).double()
        self.sizes = self.unfolding.sizes(given).double()

    def field(self, gray: Tensor, own: Described) -> Tensor:
        """Return (2, H, W), what a gray picture (H, W) lacks, in values per pixel."""
        return self._joint(gray, own) if self.jointly else self._single(gray, own)

    def _single(self, gray: Tensor, own: Described) -> Tensor:
        """Unfold each vector for itself."""
        there = FeatureBatch.collate([own.features])
        given = _rows(self.one, own.rows)
        vectors = self.adapter.encode(own.features.descriptors)
        contrast = self._contrast(gray, given)
        more = self.sizes[own.rows] / self.unfolding.sizes(vectors)
        wanted = contrast * more * self.directions[own.rows]
        had = contrast * self.unfolding.directions(vectors)
        if self._same_frames(given, there):
            return self._merged(wanted - had, given)
        return self._merged(wanted, given) - self._merged(had, there)

    def _joint(self, gray: Tensor, own: Described) -> Tensor:
        """Unfold all vectors together; the picture's own field tells the unit of both."""
        if not getattr(self.adapter, "turn", True):
            # Wrong signs would grow too. From `unfold`, with HOG of 8 photographs that no fit has
            # seen, NCC fell from 0.49 to 0.46 in four steps. Turning over the signs of regions
            # where blocks then came nearer went below the distance of the right signs, and from
            # 0.38 to 0.30 on 6 of them.
            return gray.new_zeros(2, *gray.shape)
        rasterizer = FieldRasterizer(self.adapter)
        given = _rows(self.one, own.rows)
        had = FeatureBatch.collate([own.features])
        wanted, known = (rasterizer(batch) for batch in (given, had))
        seen = known.coverage[0, 0] > 0
        down, right = torch.gradient(gray)
        read = known.gradients[0, :, seen]
        slopes = torch.stack([right, down])[:, seen]
        size: Tensor = (read * slopes).sum() / read.square().sum()
        field: Tensor = (wanted.gradients - known.gradients)[0] * size.clamp(min=0)
        return field

    def _contrast(self, gray: Tensor, batch: FeatureBatch) -> Tensor:
        """Return (M, 1, 1, 1), the root mean square of a picture's gradients around keypoints."""
        around = gradients_around(
            gray,
            batch.keypoints,
            self.frame.sides(batch),
            self.frame.turns(batch),
            self.unfolding.grid,
        )
        contrast: Tensor = around.double().square().mean((1, 2, 3), keepdim=True).sqrt()
        return contrast.clamp(min=FAINTEST * float(contrast.mean()))

    def _same_frames(self, one: FeatureBatch, other: FeatureBatch) -> bool:
        apart = self.frame.turns(one) - self.frame.turns(other)
        turn = torch.atan2(apart.sin(), apart.cos()).abs()
        ratio = self.frame.sides(one) / self.frame.sides(other)
        return bool((turn < ALIKE).all() and ((ratio - 1).abs() < ALIKE).all())

    def _merged(self, pieces: Tensor, batch: FeatureBatch) -> Tensor:
        """Return (2, H, W) of pieces (M, 2, G, G) in keypoints' frames."""
        sides, turns = self.frame.sides(batch).double(), self.frame.turns(batch).double()
        right, down = pieces.unbind(1)
        field, _ = merge_pieces(torch.stack(turned(right, down, turns), 1), batch, sides, turns)
        return field[0]


def _rows(one: FeatureBatch, rows: Tensor) -> FeatureBatch:
    """Return some keypoints of a batch of one."""
    return FeatureBatch.collate([one[0][rows]])
