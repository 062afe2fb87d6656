from ._version import __version__ as __version__
from .api import extract, reconstruct
from .auditing.audit import audit
from .bulk import Summary, extract_folder, reconstruct_store
from .descriptors import create_descriptor, list_descriptors, register_descriptor
from .descriptors.checking import Check, check
from .evaluation.compare import compare
from .evaluation.evaluate import evaluate
from .features.batch import FeatureBatch
from .features.local import LocalFeatures, Provenance
from .limits import Limits, get_limits, set_limits, use_limits
from .methods import create_method, list_methods, register_method
from .methods.database import collect_database
from .rasterizers.cells import CellRasterizer
from .rasterizers.field import FieldRasterizer
from .stores.open import open_store
from .stores.summary import StoreSummary, inspect_store
from .training.loop import train
from .unfolding.fit import fit_unfolding
from .unfolding.frame import Frame
from .unfolding.unfolding import Unfolding

__all__ = [
    "CellRasterizer",
    "Check",
    "FeatureBatch",
    "FieldRasterizer",
    "Frame",
    "Limits",
    "LocalFeatures",
    "Provenance",
    "StoreSummary",
    "Summary",
    "Unfolding",
    "__version__",
    "audit",
    "check",
    "collect_database",
    "compare",
    "create_descriptor",
    "create_method",
    "evaluate",
    "extract",
    "extract_folder",
    "fit_unfolding",
    "get_limits",
    "inspect_store",
    "list_descriptors",
    "list_methods",
    "open_store",
    "reconstruct",
    "reconstruct_store",
    "register_descriptor",
    "register_method",
    "set_limits",
    "train",
    "use_limits",
]
