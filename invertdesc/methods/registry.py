"""The registry of methods."""

from collections.abc import Callable
from typing import Any, TypeVar

from invertdesc.descriptors import Descriptor, resolve_descriptor
from invertdesc.methods.base import Method, MethodLike, Needs
from invertdesc.registry import Registry

A = TypeVar("A", bound=Callable[..., Any])
methods: Registry[Method] = Registry(
    "method",
    group="invertdesc.methods",
    builtin={
        "auto": "invertdesc.methods.auto:Auto",
        "backprojection": "invertdesc.methods.backprojection:BackProjection",
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


def create_method(name: str, **options: Any) -> Method:
    """Create a method by name; options go to its constructor.

    >>> create_method("poisson", descriptor="sift", mean=0.5).name
    'poisson'
    """
    return methods.create(name, **options)


def list_methods(
    pattern: str = "*", *, descriptor: str | Descriptor | None = None, ready: bool = False
) -> list[str]:
    """List the names of methods, sorted.

    Args:
        pattern: Wildcard pattern that names match.
        descriptor: Name or adapter; only methods that can use it are listed.
        ready: Whether to list only methods that need neither a database nor training, for the given
            descriptor if there is one.

    Raises:
        UnknownNameError: There is no such descriptor.

    >>> list_methods("unfold*")
    ['unfold', 'unfold+cgan', 'unfold+gradient']
    >>> list_methods("*gan", descriptor="orb", ready=True)
    ['unfold+cgan']
    """
    adapter = None if descriptor is None else resolve_descriptor(descriptor)
    names = methods.names(pattern)
    if adapter is None and not ready:
        return names
    return [name for name in names if _fits(methods.get(name), adapter, ready)]


def _fits(factory: object, adapter: Descriptor | None, ready: bool) -> bool:
    """Return whether a method can be used; a factory that is not a `Method` is always listed."""
    if not (isinstance(factory, type) and issubclass(factory, Method)):
        return True
    return factory.is_ready(adapter) if ready else factory.serves(adapter)


def register_method(name: str) -> Callable[[A], A]:
    """Return a decorator that registers a class or function as a factory of methods.

    The needs of a subclass of `Method` are used by `list_methods`.

    >>> @register_method("poisson")
    ... def bright(*, descriptor=None):
    ...     return create_method("poisson", descriptor=descriptor, mean=0.7)
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected a new method name ..., got 'poisson', which is taken...
    """
    return methods.registering(name)


def check_unfolding(method: str | MethodLike, adapter: Descriptor | None) -> None:
    """Read the unfolding of a descriptor, if both are known and a method given by name needs one.

    So an image is refused before its features are extracted, which may download weights.

    Raises:
        FileError: There is no unfolding; the message says how to fit one.
    """
    if adapter is None or not isinstance(method, str):
        return
    needs = getattr(methods.get(method), "needs", None)
    if isinstance(needs, Needs) and "unfolding" in needs.abilities:
        getattr(adapter, "unfolding", None)
