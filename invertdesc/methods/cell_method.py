"""The base class of methods whose network sees maps of cells."""

from __future__ import annotations

import os
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn

from invertdesc.features.batch import FeatureBatch
from invertdesc.methods.network import NetworkMethod, as_input
from invertdesc.methods.networks.tiles import PIXELS, Read, Tiled
from invertdesc.rasterizers.cells import GEOMETRY, CellPyramid

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor


class CellMethod(NetworkMethod):
    """A network that sees maps of cells, for one descriptor."""

    shared: ClassVar[bool] = False
    geometry: ClassVar[bool] = False
    """Whether cells have position, scale and orientation in addition to the vector."""

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__(descriptor, weights=weights, network=network)
        self.rasterizer = CellPyramid(
            self.cells(self.network), geometry=self.geometry, descriptor=descriptor
        )

    @classmethod
    def sized(cls, network: Any, descriptor: Descriptor) -> Any:
        """Return the config of a network with the channels of the descriptor's maps."""
        if cls.base is not None:
            return network  # the config of the network in front, which has weights already
        return replace(network, inputs=descriptor.dim + len(GEOMETRY) * cls.geometry)

    def run(self, network: nn.Module, batch: FeatureBatch, dtype: torch.dtype) -> Tensor:
        """Return the pictures (B, 3, H', W'), of large images in tiles."""
        height, width = batch.image_size
        most = PIXELS // max(1, height * width)
        if len(batch) <= most or not hasattr(network, "in_tiles"):
            return super().run(network, batch, dtype)
        if not most:
            tiled = cast("Tiled", network)
            return torch.cat([self._in_tiles(tiled, one, dtype) for one in batch.split()])
        groups = [range(len(batch))[start : start + most] for start in range(0, len(batch), most)]
        parts = [FeatureBatch.collate([batch[image] for image in group]) for group in groups]
        return torch.cat([super(CellMethod, self).run(network, part, dtype) for part in parts])

    def _in_tiles(self, network: Tiled, one: FeatureBatch, dtype: torch.dtype) -> Tensor:
        """Return the picture (1, 3, H', W') of one large image."""

        def reading(window: Read) -> Read:
            return lambda rows, columns: as_input(window(rows, columns), dtype)

        return network.in_tiles(
            [reading(part) for part in self.rasterizer.windows(one)], one.image_size
        )

    @staticmethod
    @abstractmethod
    def cells(network: nn.Module) -> tuple[int, ...]:
        """Return the cell sizes of the network's maps."""

    def inputs(self, batch: FeatureBatch) -> tuple[Tensor, ...]:
        """Return a map for each cell size."""
        return tuple(maps.values for maps in self.rasterizer(batch))
