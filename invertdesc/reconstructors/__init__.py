"""Methods that turn features back into pictures, one a file, and the registry that finds them."""

from collections.abc import Callable
from typing import Any, TypeVar

from invertdesc.reconstructors.base import Reconstructor
from invertdesc.registry import Registry

__all__ = ["Reconstructor", "create_method", "list_methods", "register_method"]

A = TypeVar("A", bound=Callable[..., Any])
methods: Registry[Reconstructor] = Registry(
    "method",
    group="invertdesc.methods",
    builtin={
        "biht": "invertdesc.reconstructors.biht:Biht",
        "bovw": "invertdesc.reconstructors.bovw:Bovw",
        "coarse": "invertdesc.reconstructors.coarse:Coarse",
        "coarse+cgan": "invertdesc.reconstructors.cgan:CoarseCGAN",
        "gradient": "invertdesc.reconstructors.gradient:Gradient",
        "maxent": "invertdesc.reconstructors.maxent:MaxEnt",
        "paired-dictionary": "invertdesc.reconstructors.paired_dictionary:PairedDictionary",
        "patch-database": "invertdesc.reconstructors.patch_database:PatchDatabase",
        "poisson": "invertdesc.reconstructors.poisson:Poisson",
        "ridge": "invertdesc.reconstructors.ridge:Ridge",
        "tv": "invertdesc.reconstructors.tv:Tv",
        "unfold": "invertdesc.reconstructors.unfold:Unfold",
        "unfold+cgan": "invertdesc.reconstructors.cgan:UnfoldCGAN",
        "unfold+gradient": "invertdesc.reconstructors.gradient:UnfoldGradient",
        "upconv": "invertdesc.reconstructors.upconv:Upconv",
    },
)


def create_method(name: str, **options: Any) -> Reconstructor:
    """Create a method by name; options go to its constructor."""
    return methods.create(name, **options)


def list_methods(pattern: str = "*") -> list[str]:
    """List the names of methods that match a wildcard pattern, sorted."""
    return methods.names(pattern)


def register_method(name: str) -> Callable[[A], A]:
    """Register the class or function below as a factory of methods, under a new name."""
    return methods.registering(name)
