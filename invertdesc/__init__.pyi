from ._version import __version__ as __version__
from .api import extract, reconstruct
from .auditing.audit import audit
from .bulk import Summary, extract_folder, reconstruct_store
from .descriptors import Descriptor, create_descriptor, list_descriptors, register_descriptor
from .descriptors.checking import Check, check
from .display import show
from .drawing import draw_keypoints, side_by_side
from .errors import (
    BadImageWarning,
    DownloadWarning,
    FileError,
    FramesRecoveredWarning,
    InputError,
    InvertDescError,
    MissingDependencyError,
    MissingFieldError,
    NoKeypointsWarning,
    OutOfMemoryError,
    UnknownNameError,
)
from .evaluation.compare import compare
from .evaluation.evaluate import evaluate
from .features.batch import FeatureBatch
from .features.local import LocalFeatures
from .features.provenance import Provenance
from .image import read_image, write_image
from .limits import Limits, get_limits, set_limits, use_limits
from .maps import (
    Camera,
    Map,
    Pose,
    ViewOptions,
    Viewpoint,
    inspect_map,
    open_map,
    render_map,
)
from .maps.audit import audit_map
from .methods import Method, Needs, create_method, list_methods, register_method
from .methods.database import collect_database
from .rasterizers.cells import CellRasterizer
from .rasterizers.field import Field, FieldRasterizer
from .recovery import recover_frames
from .stores.base import Description, Store
from .stores.open import open_store
from .stores.summary import StoreSummary, inspect_store
from .training.loop import train
from .training.program import ProgramFit, fit_program
from .unfolding.fit import fit_unfolding
from .unfolding.frame import Frame
from .unfolding.unfolding import Unfolding

__all__ = [
    "BadImageWarning",
    "Camera",
    "CellRasterizer",
    "Check",
    "Description",
    "Descriptor",
    "DownloadWarning",
    "FeatureBatch",
    "Field",
    "FieldRasterizer",
    "FileError",
    "Frame",
    "FramesRecoveredWarning",
    "InputError",
    "InvertDescError",
    "Limits",
    "LocalFeatures",
    "Map",
    "Method",
    "MissingDependencyError",
    "MissingFieldError",
    "Needs",
    "NoKeypointsWarning",
    "OutOfMemoryError",
    "Pose",
    "ProgramFit",
    "Provenance",
    "Store",
    "StoreSummary",
    "Summary",
    "Unfolding",
    "UnknownNameError",
    "ViewOptions",
    "Viewpoint",
    "__version__",
    "audit",
    "audit_map",
    "check",
    "collect_database",
    "compare",
    "create_descriptor",
    "create_method",
    "draw_keypoints",
    "evaluate",
    "extract",
    "extract_folder",
    "fit_program",
    "fit_unfolding",
    "get_limits",
    "inspect_map",
    "inspect_store",
    "list_descriptors",
    "list_methods",
    "open_map",
    "open_store",
    "read_image",
    "reconstruct",
    "reconstruct_store",
    "recover_frames",
    "register_descriptor",
    "register_method",
    "render_map",
    "set_limits",
    "show",
    "side_by_side",
    "train",
    "use_limits",
    "write_image",
]
