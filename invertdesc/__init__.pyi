from ._version import __version__ as __version__
from .api import extract, reconstruct
from .checking import Check, check
from .descriptors import create_descriptor, list_descriptors, register_descriptor
from .features import FeatureBatch, LocalFeatures, Provenance
from .field import FieldRasterizer
from .io.open import open_store
from .limits import Limits, get_limits, set_limits, use_limits
from .rasterizer import CellRasterizer
from .reconstructors import create_method, list_methods, register_method
from .unfolding import Frame, Unfolding

__all__ = [
    "CellRasterizer",
    "Check",
    "FeatureBatch",
    "FieldRasterizer",
    "Frame",
    "Limits",
    "LocalFeatures",
    "Provenance",
    "Unfolding",
    "__version__",
    "check",
    "create_descriptor",
    "create_method",
    "extract",
    "get_limits",
    "list_descriptors",
    "list_methods",
    "open_store",
    "reconstruct",
    "register_descriptor",
    "register_method",
    "set_limits",
    "use_limits",
]
