from ._version import __version__ as __version__
from .api import extract, reconstruct
from .descriptors import Descriptor, create_descriptor, list_descriptors, register_descriptor
from .descriptors.checking import Check, check
from .display import show
from .drawing import draw_keypoints, side_by_side
from .errors import (
    BadImageWarning,
    FileError,
    InputError,
    InvertDescError,
    MissingDependencyError,
    MissingFieldError,
    NoKeypointsWarning,
    OutOfMemoryError,
    UnknownNameError,
)
from .features.batch import FeatureBatch
from .features.local import LocalFeatures, Provenance
from .image import read_image, write_image
from .limits import Limits, get_limits, set_limits, use_limits
from .methods import Reconstructor, create_method, list_methods, register_method
from .rasterizers.cells import CellRasterizer
from .rasterizers.field import FieldRasterizer
from .stores.base import Description, Store
from .stores.open import open_store
from .unfolding.fit import fit_unfolding
from .unfolding.frame import Frame
from .unfolding.unfolding import Unfolding

__all__ = [
    "BadImageWarning",
    "CellRasterizer",
    "Check",
    "Description",
    "Descriptor",
    "FeatureBatch",
    "FieldRasterizer",
    "FileError",
    "Frame",
    "InputError",
    "InvertDescError",
    "Limits",
    "LocalFeatures",
    "MissingDependencyError",
    "MissingFieldError",
    "NoKeypointsWarning",
    "OutOfMemoryError",
    "Provenance",
    "Reconstructor",
    "Store",
    "Unfolding",
    "UnknownNameError",
    "__version__",
    "check",
    "create_descriptor",
    "create_method",
    "draw_keypoints",
    "extract",
    "fit_unfolding",
    "get_limits",
    "list_descriptors",
    "list_methods",
    "open_store",
    "read_image",
    "reconstruct",
    "register_descriptor",
    "register_method",
    "set_limits",
    "show",
    "side_by_side",
    "use_limits",
    "write_image",
]
