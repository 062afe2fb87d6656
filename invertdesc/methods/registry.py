"""The registry of methods."""

from collections.abc import Callable
from typing import Any, TypeVar

from invertdesc.methods.base import Reconstructor
from invertdesc.registry import Registry

A = TypeVar("A", bound=Callable[..., Any])
methods: Registry[Reconstructor] = Registry(
    "method",
    group="invertdesc.methods",
    builtin={
        "biht": "invertdesc.methods.biht:Biht",
        "bovw": "invertdesc.methods.bovw:Bovw",
        "coarse": "invertdesc.methods.coarse:Coarse",
        "coarse+cgan": "invertdesc.methods.cgan:CoarseCGAN",
        "gradient": "invertdesc.methods.gradient:Gradient",
        "maxent": "invertdesc.methods.maxent:MaxEnt",
        "paired-dictionary": "invertdesc.methods.paired_dictionary:PairedDictionary",
        "patch-database": "invertdesc.methods.patch_database:PatchDatabase",
        "poisson": "invertdesc.methods.poisson:Poisson",
        "ridge": "invertdesc.methods.ridge:Ridge",
        "tv": "invertdesc.methods.tv:Tv",
        "unfold": "invertdesc.methods.unfold:Unfold",
        "unfold+cgan": "invertdesc.methods.cgan:UnfoldCGAN",
        "unfold+gradient": "invertdesc.methods.gradient:UnfoldGradient",
        "upconv": "invertdesc.methods.upconv:Upconv",
    },
)


def create_method(name: str, **options: Any) -> Reconstructor:
    """Create a method by name; options go to its constructor.

    >>> create_method("poisson", descriptor="sift", mean=0.5).name
    'poisson'
    """
    return methods.create(name, **options)


def list_methods(pattern: str = "*") -> list[str]:
    """List the names of methods that match a wildcard pattern, sorted.

    >>> list_methods("unfold*")
    ['unfold', 'unfold+cgan', 'unfold+gradient']
    """
    return methods.names(pattern)


def register_method(name: str) -> Callable[[A], A]:
    """Register the class or function below as a factory of methods, under a new name.

    >>> @register_method("poisson")
    ... def bright(*, descriptor=None):
    ...     return create_method("poisson", descriptor=descriptor, mean=0.7)
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected a new method name ..., got 'poisson', which is taken...
    """
    return methods.registering(name)
