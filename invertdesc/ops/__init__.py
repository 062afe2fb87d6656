"""The basic operations: place keypoints, fill cells, paint pieces, integrate fields."""

from invertdesc.ops.fill_cells import GEOMETRY, fill_cells
from invertdesc.ops.paint_pieces import paint_pieces
from invertdesc.ops.place_keypoints import Placement, place_at_sizes, place_keypoints
from invertdesc.ops.solve_poisson import solve_poisson

__all__ = [
    "GEOMETRY",
    "Placement",
    "fill_cells",
    "paint_pieces",
    "place_at_sizes",
    "place_keypoints",
    "solve_poisson",
]
