"""Methods that turn features back into pictures, one a file, and the registry that finds them."""

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
