"""What a picture's own descriptors lack of the given ones, as a gradient field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.descriptors.base import JointUnfolding
from invertdesc.features.batch import FeatureBatch
from invertdesc.ops import solve_poisson
from invertdesc.rasterizers.bands import amplify, scales_of
from invertdesc.rasterizers.field import FieldRasterizer, merge_parts, move_between_pixels
from invertdesc.unfolding.fit import gradients_around
from invertdesc.unfolding.frame import turned

if TYPE_CHECKING:
    from invertdesc.descriptors.describing import Described, Describing
    from invertdesc.features.local import LocalFeatures
    from invertdesc.unfolding.unfolding import Unfolding

# A tenth of the rasterizer's: what differs is integrated over longer distances, see
# `solve_poisson`. NCC on 16 faces and 16 photographs of the training sets: `sift-dense` +0.003 and
# +0.001, `akaze` +0.001 and +0.002, `sift` less than 0.001; more on larger pictures.
SCREENING = 1e-5
FAINTEST = 0.1  # of the mean contrast, below which none is taken: what is flat could not change
ALIKE = 1e-3  # of a frame's side, and radians: below that two frames are the same


class Missing:
    """The field that is missing in pictures, for the features of one image.

    A vector says gradients up to their contrast. The picture at hand has one around each keypoint,
    so that given and own vectors are unfolded at that contrast, and their difference is in the
    picture's unit.
    """

    def __init__(
        self,
        adapter: Describing,
        features: LocalFeatures,
        unfolding: Unfolding | None = None,
        *,
        stride: int = 1,
    ) -> None:
        """Unfold the given vectors, once for all pictures.

        Args:
            adapter: Adapter of the features' descriptor.
            features: Given, on the CPU.
            unfolding: To use instead of the descriptor's own.
            stride: Distance in pixels between samples of the field; 1 where descriptors unfold
                together.
        """
        self.adapter, self.one = adapter, FeatureBatch.collate([features])
        self.jointly = unfolding is None and isinstance(adapter, JointUnfolding)
        self.stride = 1 if self.jointly else stride
        if self.jointly:
            return
        first = unfolding or adapter.unfolding
        maps = [first] if first.gains is None else [first, *first.others]
        given = adapter.encode(features.descriptors)
        self.gains = first.gains
        self.supports = [_Support(one, given, stride) for one in maps]

    def change(self, gray: Tensor, own: Described) -> Tensor:
        """Return (H, W), the picture whose gradients are nearest to what a picture lacks.

        No field has a name here, so that `solve_poisson` can free it.
        """
        waves = solve_poisson(
            move_between_pixels(self.field(gray, own))[None].mul_(self.stride),
            SCREENING * self.stride**2,
        )
        if self.stride == 1:
            return waves[0]
        whole = F.interpolate(waves[None], scale_factor=float(self.stride), mode="bilinear")
        return whole[0, 0, : gray.shape[0], : gray.shape[1]]

    def field(self, gray: Tensor, own: Described) -> Tensor:
        """Return (2, h, w), what a gray picture (H, W) lacks, in values per pixel."""
        return self._joint(gray, own) if self.jointly else self._single(gray, own)

    def _single(self, gray: Tensor, own: Described) -> Tensor:
        """Unfold each vector for itself, in all supports."""
        vectors = self.adapter.encode(own.features.descriptors)
        there = FeatureBatch.collate([own.features])
        given = _rows(self.one, own.rows)
        if self.gains is None:
            return self.supports[0].field(gray, given, vectors, there, own.rows)
        scales = scales_of(given, self.supports[0].frame)
        # Details are of the first support alone, and have the picture's unit already.
        unit = self.gains[0, -1] * self.supports[0].size(gray, given, own.rows)
        field = torch.zeros(2, *(-(-side // self.stride) for side in gray.shape))
        for support, gain in zip(self.supports, self.gains, strict=True):
            missing = support.field(gray, given, vectors, there, own.rows)
            size = support.size(gray, given, own.rows)
            field += amplify(missing[None], gain * size / unit, scales, self.stride)[0]
        return field

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
        size = _size_of(_slopes(gray)[:, seen], known.gradients[0][:, seen])
        field: Tensor = (wanted.gradients - known.gradients)[0] * size.clamp(min=0)
        return field


class _Support:
    """One map of an unfolding, with the given vectors unfolded in its frame."""

    def __init__(self, unfolding: Unfolding, given: Tensor, stride: int) -> None:
        """Unfold the given vectors (N, D), as `encode` returns them."""
        self.unfolding, self.frame, self.stride = unfolding, unfolding.frame, stride
        self.given, self.sizes = given, unfolding.sizes(given).double()

    def field(
        self, gray: Tensor, given: FeatureBatch, vectors: Tensor, there: FeatureBatch, rows: Tensor
    ) -> Tensor:
        """Return (2, h, w), what a gray picture lacks in this support.

        Args:
            gray: (H, W), the picture.
            given: Batch of the M given keypoints that could be described.
            vectors: (M, D), the picture's own vectors at these keypoints, encoded.
            there: Batch of the picture's own features, whose frames may differ.
            rows: (M,), places of these keypoints among all given ones.
        """
        contrast = self._contrast(gray, given)
        more = self.sizes[rows] / self.unfolding.sizes(vectors)
        wanted, had = self.given if len(rows) == len(self.given) else self.given[rows], vectors

        def pieces(some: slice, of: Tensor) -> Tensor:
            """Return (m, 2, G, G) float64; parts of the keypoints limit the memory."""
            size = contrast[some] * more[some] if of is wanted else contrast[some]
            return size * self.unfolding.directions(of[some])

        if self._same_frames(given, there):
            return self._merged(lambda some: pieces(some, wanted) - pieces(some, had), given)
        whole = self._merged(lambda some: pieces(some, wanted), given)
        return whole.sub_(self._merged(lambda some: pieces(some, had), there))

    def size(self, gray: Tensor, given: FeatureBatch, rows: Tensor) -> Tensor:
        """Return the factor of the unfolding's gradients in the unit of a picture."""
        contrast = self._contrast(gray, given)
        cells = (self.frame.sides(given) / self.unfolding.grid).clamp(min=1)[:, None, None, None]
        sizes = self.sizes[rows] * cells**-self.unfolding.falloff
        return (sizes * contrast).sum() / contrast.square().sum()

    def _contrast(self, gray: Tensor, batch: FeatureBatch) -> Tensor:
        """Return (M, 1, 1, 1), the root mean square of a picture's gradients around keypoints."""
        around = gradients_around(
            gray,
            batch.keypoints,
            self.frame.sides(batch),
            self.frame.turns(batch),
            self.unfolding.grid,
            shrinks=True,
        )
        squares = around.square_().mean((1, 2, 3), keepdim=True, dtype=torch.float64)
        contrast: Tensor = squares.sqrt()
        return contrast.clamp(min=FAINTEST * float(contrast.mean()))

    def _same_frames(self, one: FeatureBatch, other: FeatureBatch) -> bool:
        apart = self.frame.turns(one) - self.frame.turns(other)
        turn = torch.atan2(apart.sin(), apart.cos()).abs()
        ratio = self.frame.sides(one) / self.frame.sides(other)
        return bool((turn < ALIKE).all() and ((ratio - 1).abs() < ALIKE).all())

    def _merged(self, make: Callable[[slice], Tensor], batch: FeatureBatch) -> Tensor:
        """Return (2, h, w) of pieces (M, 2, G, G) in keypoints' frames."""
        sides, turns = self.frame.sides(batch).double(), self.frame.turns(batch).double()

        def turned_pieces(some: slice) -> Tensor:
            right, down = make(some).unbind(1)
            return torch.stack(turned(right, down, turns[some]), 1)

        trust = self.unfolding.trust
        return merge_parts(turned_pieces, batch, sides, turns, stride=self.stride, trust=trust)[0]


def _rows(one: FeatureBatch, rows: Tensor) -> FeatureBatch:
    """Return some keypoints of a batch of one."""
    if len(rows) == len(one.keypoints):
        return one
    return FeatureBatch.collate([one[0][rows]])


def _slopes(gray: Tensor) -> Tensor:
    """Return (2, H, W), the gradients of a picture (H, W) towards +x and +y."""
    down, right = torch.gradient(gray)
    return torch.stack([right, down])


def _size_of(field: Tensor, unit: Tensor) -> Tensor:
    """Return the factor of a field in units of another, by least squares; 0 if that is 0."""
    return (field * unit).sum() / unit.square().sum().clamp(min=1e-12)
