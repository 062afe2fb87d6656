"""Methods that reconstruct pictures from features, one per file, and their registry."""

from invertdesc.methods.base import Method, MethodLike, Needs
from invertdesc.methods.registry import create_method, list_methods, methods, register_method

__all__ = [
    "Method",
    "MethodLike",
    "Needs",
    "create_method",
    "list_methods",
    "methods",
    "register_method",
]
