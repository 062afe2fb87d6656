"""The registry of descriptor adapters."""

from collections.abc import Callable
from typing import Any, TypeVar

from invertdesc.descriptors._builtin import BUILTIN, FILES
from invertdesc.descriptors.base import Descriptor
from invertdesc.errors import InputError
from invertdesc.registry import Registry

A = TypeVar("A", bound=Callable[..., Any])
descriptors: Registry[Descriptor] = Registry(
    "descriptor",
    group="invertdesc.descriptors",
    builtin=BUILTIN,
    files=FILES,
)


def create_descriptor(name: str, **options: Any) -> Descriptor:
    """Create a descriptor adapter by name; options go to its constructor.

    The path of a .safetensors file that `fit_program` saved is a name too.

    Raises:
        UnknownNameError: No such name.
        FileError: No such file, or none of `fit_program`.
        InputError: An option that there is not.

    >>> create_descriptor("sift", contrast_threshold=0.03).dim
    128
    """
    return descriptors.create(name, **options)


def list_descriptors(pattern: str = "*") -> list[str]:
    """List the names of descriptors that match a wildcard pattern, sorted.

    >>> list_descriptors("*sift")
    ['rootsift', 'sift']
    """
    return descriptors.names(pattern)


def register_descriptor(name: str) -> Callable[[A], A]:
    """Return a decorator that registers a class or function as a factory of adapters.

    >>> @register_descriptor("sift")
    ... def keen_sift():
    ...     return create_descriptor("sift", contrast_threshold=0.01)
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected a new descriptor name ..., got ... taken. Choose another.
    """
    return descriptors.registering(name)


def resolve_descriptor(descriptor: str | Descriptor) -> Descriptor:
    """Return an adapter unchanged, or create the adapter of a name.

    Raises:
        InputError: The value is neither, or the name is unknown.
    """
    if isinstance(descriptor, str):
        return create_descriptor(descriptor)
    if isinstance(descriptor, type) or not hasattr(descriptor, "encode"):
        raise InputError(
            "Expected a descriptor's name or an adapter from create_descriptor(), "
            f"got {descriptor!r}."
        )
    return descriptor
