"""Merge patches around keypoints into a picture."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._options import check_choice, check_range
from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors._hog import DenseHog
from invertdesc.errors import FileError
from invertdesc.methods.base import Method, Needs
from invertdesc.methods.database import Database, open_database
from invertdesc.methods.poisson import in_gray
from invertdesc.rasterizers.field import FieldRasterizer, merge_pieces
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.sample import image_gradients, sample_frames
from invertdesc.unfolding.unfolding import Unfolding

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.features.batch import FeatureBatch

GRID = 16  # samples per side of a keypoint's patch
CELL = 4  # samples per side of a cell in a grid of histograms
LEAST_BLUR = 0.5  # blur in pixels before patches are sampled
BELL = 9 / 56  # deviation of the Gaussian relative to a patch's side, as in HOGgles
SCREENING = 1e-5  # for `ridge` from HOG: NCC 0.264 on 10 training photographs; 1e-4: 0.226


@dataclass(frozen=True)
class Windows:
    """The input of a method for one patch: a keypoint's vector, or a block with its neighbours.

    Attributes:
        adapter: Adapter of the descriptor.
        blocks: Number of blocks per side of a window, odd; 1 if the descriptor is not a grid.
    """

    adapter: Descriptor
    blocks: int = 5

    @property
    def dense(self) -> bool:
        """Whether vectors are blocks of a grid."""
        return isinstance(self.adapter, DenseHog)

    @property
    def frame(self) -> Frame:
        """The square of the picture that a window covers."""
        frame = self.adapter.frame
        return replace(frame, support=frame.support + self.blocks - 1) if self.dense else frame

    @property
    def grid(self) -> int:
        """Number G of samples per side of the window's patch."""
        return CELL * round(self.frame.support) if self.dense else GRID

    def vectors(self, batch: FeatureBatch) -> Tensor:
        """Return (M, D'), a row for each keypoint; missing blocks are zeros."""
        if not self.dense or not len(batch.keypoints):
            encoded = self.adapter.encode(batch.descriptors)
            return encoded.repeat(1, self.blocks**2) if self.dense else encoded
        adapter = cast("DenseHog", self.adapter)
        _, row, column = adapter.places(batch)
        around = (self.blocks // 2,) * 4
        maps = F.pad(adapter.maps(batch).permute(0, 3, 1, 2), around)  # (B, D, ny + , nx + )
        near = maps.unfold(2, self.blocks, 1).unfold(3, self.blocks, 1)
        return near[batch.images, :, row, column].flatten(1)

    def patches(self, gray: Tensor, batch: FeatureBatch) -> Tensor:
        """Return (M, G * G), the gray picture (H, W) in the windows of a batch of one image."""
        sides, turns = self.frame.sides(batch), self.frame.turns(batch)
        where = batch.keypoints, sides, turns, self.grid
        return sample_frames(gray, *where, least_blur=LEAST_BLUR).flatten(1)


class PatchMethod(Method):
    """Base class of methods that find a gray patch for each window and merge the patches.

    Patches have neither brightness nor a common contrast. Their gradients are merged into a field,
    and its Poisson picture is the result. Alternatively the patches are averaged under a Gaussian,
    as in HOGgles, which loses structures that are larger than patches.
    """

    needs: ClassVar[Needs] = Needs(database=True)
    parts: ClassVar[tuple[str, ...]]
    """Names of the tensors in the database."""

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        database: str | os.PathLike[str] | Database | None = None,
        merge: Literal["poisson", "average"] = "poisson",
        mean: float | None = None,
        deviation: float | None = None,
    ) -> None:
        """Load the database.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            database: What `collect_database` wrote for this method and descriptor.
            merge: `"poisson"`, or `"average"` as in the paper.
            mean: Mean gray of the picture, in [0, 1]; None for the usual one, see `Poisson`.
            deviation: Standard deviation of the picture's gray values; None likewise.

        Raises:
            InputError: An option is out of range, there is no database, or it is for another
                descriptor.
            FileError: The database is missing, broken, or of another method.
        """
        super().__init__()
        check_choice("merge", merge, ("poisson", "average"))
        check_range("mean", mean, 0, 1)
        check_range("deviation", deviation, 0)
        self.descriptor = descriptor
        self.database = open_database(database, self.name, descriptor)
        missing = set(self.parts) - self.database.tensors.keys()
        if missing:
            raise FileError(
                f"Expected a database that collect_database wrote for {self.name!r}, got one "
                f"without {', '.join(sorted(missing))}. Collect it anew."
            ).with_hint("collect_database", method=self.name)
        self.merge, self.mean, self.deviation = merge, mean, deviation

    def find(self, windows: Windows, batch: FeatureBatch) -> Tensor:
        """Return a patch (M, G, G) for each row of a batch."""
        raise NotImplementedError

    def held(self, name: str, like: Tensor) -> Tensor:
        """Return a tensor of the database as float32, on the device of another tensor."""
        return self.database.tensors[name].to(like.device, torch.float32)

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Reconstruct pictures of shape (B, 3, H, W), gray, in [0, 1].

        Raises:
            InputError: The database was collected with another descriptor.
            MissingFieldError: The features lack scales or orientations that the descriptor needs.
        """
        adapter = resolve_descriptor(self.descriptor or batch.descriptor)
        self.database.check(adapter)
        self.database.check_batch(batch)
        windows = Windows(adapter, int(self.database.origin.options.get("blocks", 1)))
        batch.require(windows.frame.needs, needed_by=f"the method {self.name!r}")
        merge = _poisson if self.merge == "poisson" else _average
        picture = merge(windows, batch, self.find(windows, batch))
        return in_gray(picture[:, None], batch, self.mean, self.deviation)


def _poisson(windows: Windows, batch: FeatureBatch, patches: Tensor) -> Tensor:
    """Return (B, H, W), the pictures whose gradients are closest to those of the patches."""
    empty = torch.zeros(windows.adapter.dim, 2), torch.zeros(2), torch.zeros(windows.adapter.dim)
    # Only frame and falloff are used: the same step is smaller per pixel if cells are wider.
    frame = Unfolding(*empty, frame=windows.frame, falloff=1.0)
    rasterizer = FieldRasterizer(windows.adapter, unfolding=frame, screening=SCREENING)
    picture: Tensor = rasterizer(batch, image_gradients(patches)).picture[:, 0]
    return picture


def _average(windows: Windows, batch: FeatureBatch, patches: Tensor) -> Tensor:
    """Return (B, H, W), the mean of the patches under a Gaussian; 0 without patches."""
    frame = windows.frame
    sides, turns = (part.double() for part in (frame.sides(batch), frame.turns(batch)))
    places = (torch.arange(windows.grid, device=patches.device) + 0.5) / windows.grid - 0.5
    bell = torch.exp(-0.5 * (places / BELL).square())
    weight = (bell[:, None] * bell).expand_as(patches)
    pieces = torch.stack([weight * patches, weight], 1).double()
    sums, _ = merge_pieces(pieces, batch, sides, turns)
    return sums[:, 0] / torch.where(sums[:, 1] > 0, sums[:, 1], 1)
