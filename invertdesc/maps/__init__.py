"""Maps that structure from motion makes: cameras, points, and the features that a camera sees."""

from invertdesc.maps._view import ViewOptions
from invertdesc.maps.animation import measure_flicker, write_animation
from invertdesc.maps.camera import Camera
from invertdesc.maps.map import Map
from invertdesc.maps.model import MapImage, Model
from invertdesc.maps.open import is_map, open_map
from invertdesc.maps.pose import Pose
from invertdesc.maps.render import RenderSummary, render_map
from invertdesc.maps.summary import MapSummary, inspect_map
from invertdesc.maps.viewpoints import (
    Viewpoint,
    own_viewpoints,
    read_viewpoints,
    viewpoints_around,
    viewpoints_between,
)

__all__ = [
    "Camera",
    "Map",
    "MapImage",
    "MapSummary",
    "Model",
    "Pose",
    "RenderSummary",
    "ViewOptions",
    "Viewpoint",
    "inspect_map",
    "is_map",
    "measure_flicker",
    "open_map",
    "own_viewpoints",
    "read_viewpoints",
    "render_map",
    "viewpoints_around",
    "viewpoints_between",
    "write_animation",
]
