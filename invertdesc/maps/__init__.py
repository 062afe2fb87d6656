"""Maps that structure from motion makes: cameras, points, and the features that a camera sees."""

from invertdesc.maps._view import ViewOptions
from invertdesc.maps.camera import Camera
from invertdesc.maps.map import Map
from invertdesc.maps.model import MapImage, Model
from invertdesc.maps.open import is_map, open_map
from invertdesc.maps.pose import Pose

__all__ = ["Camera", "Map", "MapImage", "Model", "Pose", "ViewOptions", "is_map", "open_map"]
