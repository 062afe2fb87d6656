"""Merge the unfolded pieces of all keypoints into the picture's gradient field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn

from invertdesc._options import check_range
from invertdesc.features.batch import FeatureBatch
from invertdesc.ops import paint_pieces, solve_poisson
from invertdesc.rasterizers.bands import amplify, scales_of
from invertdesc.unfolding.frame import turned
from invertdesc.unfolding.unfolding import FALLOFF

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.unfolding.unfolding import Unfolding

# Chosen with SIFT on 50 faces and 50 photographs that were not used for its fit: NCC and SSIM of
# `poisson` are, for 1 / cell^2, 0.895, 0.703 and 0.866, 0.609; for 1 / cell^4, 0.893, 0.710 and
# 0.865, 0.621.
MERGE_POWER = 4
_SAMPLES_AT_ONCE = 1 << 22  # likewise: about 50 bytes each
_KEYPOINTS_AT_ONCE = 1 << 15  # limits the working memory: about 5 kB each, for 8 x 8 cells


class Field(NamedTuple):
    """The gradient field of the pictures of a batch, sampled every `stride` pixels.

    Attributes:
        picture: (B, 1, h, w), the picture whose gradients are closest to the field, with mean 0.
        coverage: (B, 1, h, w), 1 divided by the width of the finest cell at each pixel, in 1 /
            pixels; 0 where no keypoint reaches.
        gradients: (B, 2, h, w), gradients towards +x and +y, per pixel, up to one factor for the
            whole field.

    >>> from skimage.data import camera
    >>> from invertdesc import FeatureBatch, extract
    >>> field = FieldRasterizer(stride=8)(FeatureBatch.collate([extract(camera())]))
    >>> field.picture.shape, field.gradients.shape
    (torch.Size([1, 1, 64, 64]), torch.Size([1, 2, 64, 64]))
    """

    picture: Tensor
    coverage: Tensor
    gradients: Tensor


class FieldRasterizer(nn.Module):
    """Convert features to their picture's gradient field and its Poisson picture.

    Each keypoint's unfolded gradients are turned and scaled into the picture and averaged with
    weight 1 / (cell width)^4, so coarse keypoints only fill the gaps between fine ones. A smaller
    power averages more of them, which serves vectors with much noise. See `paint_pieces` for the
    algorithm and its precision.

    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> batch = FeatureBatch.collate([extract(camera())])
    >>> FieldRasterizer(stride=4)(batch).gradients.shape
    torch.Size([1, 2, 128, 128])
    """

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        stride: int = 1,
        screening: float = 1e-4,
        unfolding: Unfolding | None = None,
        power: float = MERGE_POWER,
    ) -> None:
        """Create the rasterizer; it has no trained parameters.

        Args:
            descriptor: Name or adapter; None for the descriptor that a batch names.
            stride: Distance in pixels between samples of the field, at least 1.
            screening: See `solve_poisson`; in 1 / pixel^2 for any stride.
            unfolding: Unfolding to use instead of the descriptor's own.
            power: Exponent of 1 / (cell width), the weight with which pieces are averaged.

        Raises:
            InputError: The stride is below 1, or the power is not above 0.
        """
        super().__init__()
        check_range("stride", stride, 1)
        check_range("power", power, above=0)
        self.descriptor = descriptor
        self.stride = stride
        self.screening = screening
        self.unfolding = unfolding
        self.power = power

    def forward(self, batch: FeatureBatch, pieces: Tensor | None = None) -> Field:
        """Compute the field of a batch.

        Args:
            batch: Features with the fields that the unfolding's frame needs (`Frame.needs`).
            pieces: (M, 2, G, G) gradients in the keypoints' frames, to use instead of the unfolded
                ones.

        Returns:
            Float32 maps of ceil(H / stride) rows and ceil(W / stride) columns.

        Raises:
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
        """
        from invertdesc.descriptors import resolve_descriptor
        from invertdesc.descriptors.base import JointUnfolding

        adapter = resolve_descriptor(self.descriptor or batch.descriptor)
        jointly = pieces is None and self.unfolding is None and isinstance(adapter, JointUnfolding)
        unfolding = None if jointly else self.unfolding or adapter.unfolding
        frame = adapter.frame if unfolding is None else unfolding.frame
        batch.require(frame.needs, needed_by=f"the unfolding of {adapter.name!r}")
        given = pieces is not None
        if unfolding is None:
            pieces = cast(JointUnfolding, adapter).pieces(batch)

        one = self._field(adapter, unfolding, batch, pieces)
        if unfolding is None or unfolding.gains is None or given:
            return one
        rest = (self._field(adapter, other, batch, None) for other in unfolding.others)
        return self._summed([one, *rest], unfolding.gains, scales_of(batch, frame))

    def _summed(self, fields: list[Field], gains: Tensor, scales: Tensor) -> Field:
        """Sum the fields of several supports; the coverage is that of the finest."""

        def total(name: str) -> Tensor:
            maps = (getattr(field, name) for field in fields)
            shares = [
                amplify(part, gain, scales, self.stride)
                for part, gain in zip(maps, gains, strict=True)
            ]
            return torch.stack(shares).sum(0)

        coverage = torch.stack([field.coverage for field in fields]).amax(0)
        return Field(total("picture"), coverage, total("gradients"))

    def _field(
        self,
        adapter: Descriptor,
        unfolding: Unfolding | None,
        batch: FeatureBatch,
        pieces: Tensor | None,
    ) -> Field:
        """Return the field of one support, from an unfolding or from pieces."""
        frame = adapter.frame if unfolding is None else unfolding.frame
        # Float64, rounded once: in float32, cos and pow depend on a keypoint's position in the
        # batch.
        sides, turns = (part.double() for part in (frame.sides(batch), frame.turns(batch)))
        falloff = FALLOFF if unfolding is None else unfolding.falloff
        trust = None if unfolding is None else unfolding.trust

        def weighted(some: slice) -> Tensor:
            if pieces is None:
                part = cast("Unfolding", unfolding)(adapter.encode(batch.descriptors[some]))
            else:
                part = pieces[some]
            faint = _cells(sides[some], part.shape[-1]) ** -falloff
            right, down = part.unbind(1)
            gradients = torch.stack(turned(right, down, turns[some]), 1) * faint
            return _weighted(gradients, sides[some], self.power, trust)

        values = _in_parts(weighted, len(batch.keypoints))
        field, coverage = _merged(values, batch, sides, turns, self.stride, power=self.power)
        del values  # it is large
        screening = self.screening * self.stride**2
        # The only reference to the steps is the argument, so that they can be freed early.
        picture = solve_poisson(between_pixels(field).mul_(self.stride), screening)
        return Field(picture[:, None], coverage, field)


def merge_parts(
    make: Callable[[slice], Tensor],
    batch: FeatureBatch,
    sides: Tensor,
    turns: Tensor,
    *,
    stride: int = 1,
    trust: Tensor | None = None,
) -> Tensor:
    """Return the averages of `merge_pieces` (B, C, h, w) with less memory.

    Args:
        make: Returns the pieces (m, C, G, G) float64 of some keypoints.
        batch: Batch of M keypoints.
        sides: (M,) float64, sides of the pieces in pixels.
        turns: (M,) float64, orientations of the pieces in radians.
        stride: Distance in pixels between samples.
        trust: (G, G), further weights of the cells; None for equal ones.
    """
    values = _in_parts(
        lambda some: _weighted(make(some), sides[some], MERGE_POWER, trust), len(batch.keypoints)
    )
    return _merged(values, batch, sides, turns, stride, weighted=False)[0]


def merge_pieces(
    pieces: Tensor,
    batch: FeatureBatch,
    sides: Tensor,
    turns: Tensor,
    *,
    stride: int = 1,
    trust: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Average the pieces of all keypoints with weight 1 / (cell width)^4.

    Args:
        pieces: (M, C, G, G) float64, row by row in the keypoints' frames.
        batch: Batch of M keypoints.
        sides: (M,) float64, sides of the pieces in pixels.
        turns: (M,) float64, orientations of the pieces in radians.
        stride: Distance in pixels between samples.
        trust: (G, G), further weights of the cells; None for equal ones.

    Returns:
        (B, C, h, w) float32, 0 where no piece reaches, and the weights' sums (B, 1, h, w) float64.
    """
    return _merged(_weighted(pieces, sides, MERGE_POWER, trust), batch, sides, turns, stride)


def _in_parts(make: Callable[[slice], Tensor], count: int) -> Tensor:
    """Return (M, ...) from `make`, which is called for parts of the rows to limit the memory."""
    first = make(slice(0, _KEYPOINTS_AT_ONCE))
    if count <= _KEYPOINTS_AT_ONCE:
        return first
    values = first.new_empty(count, *first.shape[1:])
    values[:_KEYPOINTS_AT_ONCE] = first
    for start in range(_KEYPOINTS_AT_ONCE, count, _KEYPOINTS_AT_ONCE):
        some = slice(start, start + _KEYPOINTS_AT_ONCE)
        values[some] = make(some)
    return values


def _weighted(pieces: Tensor, sides: Tensor, power: float, trust: Tensor | None) -> Tensor:
    """Return (M, C + 1, G, G) float32: the pieces times their weights, and the weights."""
    weight = _cells(sides, pieces.shape[-1]) ** -power
    if trust is not None:
        weight = weight * trust.to(weight)
    return torch.cat([pieces * weight, weight.expand_as(pieces[:, :1])], 1).float()


def _merged(
    values: Tensor,
    batch: FeatureBatch,
    sides: Tensor,
    turns: Tensor,
    stride: int,
    *,
    power: float | None = None,
    weighted: bool = True,
) -> tuple[Tensor, Tensor]:
    """Merge pieces that are already weighted; see `merge_pieces`.

    The weights' sums are empty if they are not `weighted`. Large pictures are painted in bands of
    rows. With the `power` of the weights, 1 / (cell width) of float32 comes in place of the
    weights' sums, which take twice the memory.
    """
    height, width = (-(-side // stride) for side in batch.image_size)
    count, channels = batch.offsets.shape[0] - 1, values.shape[1] - 1
    field = values.new_empty(count, channels, height, width)
    kind = torch.float64 if power is None else torch.float32
    weights = values.new_empty(count, weighted, height, width, dtype=kind)
    centers, sides = ((batch.keypoints + 0.5) / stride - 0.5).double(), sides / stride
    rows = max(1, _SAMPLES_AT_ONCE // (count * width))
    for top in range(0, height, rows):
        band = slice(top, min(top + rows, height))
        some, offsets = _touching(centers, sides, band, batch.offsets, whole=rows >= height)
        below = centers[some] - centers.new_tensor([0, top])
        frames = below, sides[some], turns[some], offsets
        sums = paint_pieces(values[some], *frames, (band.stop - top, width))
        if weighted:
            weights[:, :, band] = sums[:, -1:] if power is None else sums[:, -1:].pow(1 / power)
        # In place, since pictures are large.
        sums[:, :-1].div_(torch.where(sums[:, -1:] > 0, sums[:, -1:], 1))
        field[:, :, band] = sums[:, :-1]
    return field, weights


def _touching(
    centers: Tensor, sides: Tensor, band: slice, offsets: Tensor, *, whole: bool
) -> tuple[Tensor | slice, Tensor]:
    """Return which pieces may touch a band of rows, all if it is whole, and their offsets."""
    if whole:
        return slice(None), offsets
    reach, y = sides * 0.71 + 1, centers[:, 1]  # half the diagonal
    near = (y + reach >= band.start) & (y - reach <= band.stop)
    counts = torch.cat([offsets.new_zeros(1), near.long().cumsum(0)])
    return near.nonzero().flatten(), counts[offsets]


def _cells(sides: Tensor, grid: int) -> Tensor:
    """Return cell widths (M, 1, 1, 1) in pixels, at least 1."""
    return (sides / grid).clamp(min=1)[:, None, None, None]


def between_pixels(field: Tensor) -> Tensor:
    """Return a field (..., 2, H, W) halfway to the next column and row, for pixel differences.

    Without this the Poisson picture would be shifted by half a pixel to the right and down.
    """
    (gx, gy), steps = field.unbind(-3), field.clone()
    right, down = steps.unbind(-3)
    right[..., :-1] += gx[..., 1:]
    right[..., -1:] += gx[..., -1:]
    down[..., :-1, :] += gy[..., 1:, :]
    down[..., -1:, :] += gy[..., -1:, :]
    return steps.div_(2)


def move_between_pixels(field: Tensor) -> Tensor:
    """Change a field (2, H, W) to that of `between_pixels` in place, and return it.

    A step takes some rows, so that it needs no second field.
    """
    (gx, gy), height = field, field.shape[-2]
    rows = max(1, _SAMPLES_AT_ONCE // field.shape[-1])
    for top in range(0, height, rows):
        here = slice(top, min(top + rows, height))
        right = torch.cat([gx[here, 1:], gx[here, -1:]], 1)
        below = torch.cat([gy[top + 1 : here.stop + 1], gy[-1:]])[: here.stop - top]
        gx[here] += right
        gy[here] += below
    return field.div_(2)
