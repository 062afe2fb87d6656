"""The inner loops: placing keypoints, painting unfolded pieces, solving Poisson's equation."""

from invertdesc.ops.paint_pieces import paint_pieces
from invertdesc.ops.place_keypoints import Placement, place_keypoints
from invertdesc.ops.solve_poisson import solve_poisson

__all__ = ["Placement", "paint_pieces", "place_keypoints", "solve_poisson"]
