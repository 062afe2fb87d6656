"""A registry of names and factories: built-in ones, those of plug-ins and of users."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from invertdesc._options import check_options
from invertdesc.errors import InputError, UnknownNameError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Factory = Callable[..., T]
SURE = 4  # letters: two in the wrong order make a shorter name another one


@dataclass(frozen=True)
class Entry:
    """What a name of a registry stands for.

    Attributes:
        name: The name.
        summary: What it is, in a line.
        needs: What it needs beside positions and vectors, a word or a few each.
        ships: What of it is in the package, likewise.
        default: Whether it is taken where nobody names one.
    """

    name: str
    summary: str
    needs: tuple[str, ...] = ()
    ships: tuple[str, ...] = ()
    default: bool = False


class Registry(Generic[T]):
    """Map names to factories; each factory is imported on first use.

    >>> shapes = Registry(
    ...     "shape", group="example.shapes", builtin={"fraction": "fractions:Fraction"}
    ... )
    >>> shapes.create("fraction", numerator=1, denominator=2)
    Fraction(1, 2)
    >>> shapes.get("fractoin")
    Traceback (most recent call last):
    invertdesc.errors.UnknownNameError: Unknown shape 'fractoin'. Did you mean 'fraction'?
    """

    def __init__(
        self,
        kind: str,
        *,
        group: str,
        builtin: Mapping[str, str],
        files: Mapping[str, str] | None = None,
    ) -> None:
        """Create a registry with built-in factories.

        Args:
            kind: Kind of the named things in the singular, for messages.
            group: Entry point group in which installed plug-ins declare further factories.
            builtin: `"module:attribute"` by name.
            files: `"module:attribute"` of what reads a file whose path is a name too, by suffix.
        """
        self.kind = kind
        self.group = group
        self._factories: dict[str, Factory[T] | str] = dict(builtin)
        self._files = dict(files or {})
        self._searched = False

    def register(self, name: str, factory: Factory[T] | str) -> None:
        """Add a factory, or the `"module:attribute"` where it can be imported from.

        Raises:
            InputError: The name is taken.
        """
        if name in self._factories:
            raise InputError(
                f"Expected a new {self.kind} name for {factory!r}, got {name!r}, which is taken. "
                "Choose another."
            )
        self._factories[name] = factory

    def registering(self, name: str) -> Callable[[F], F]:
        """Return a decorator that registers a factory under a name."""

        def decorate(factory: F) -> F:
            self.register(name, factory)
            return factory

        return decorate

    def names(self, pattern: str = "*") -> list[str]:
        """List the names that match a wildcard pattern, sorted."""
        self._search_plugins()
        return sorted(name for name in self._factories if fnmatchcase(name, pattern))

    def summaries(self, pattern: str = "*") -> dict[str, str]:
        """Return what the names that match a wildcard pattern stand for: a line each."""
        return {
            name: "".join((self.get(name).__doc__ or "").strip().splitlines()[:1])
            for name in self.names(pattern)
        }

    def misspelt(self, name: str) -> str | None:
        """Return the known name that an unknown one surely means, or None.

        The two differ by letter case, signs, a doubled letter, or two letters in the wrong order.
        Any other unknown name may be somebody's own.
        """
        if name in self._factories or any(name.endswith(end) for end in self._files):
            return None
        names, plain = self.names(), _plain(name)
        pairs = range(len(plain) - 1) if len(plain) >= SURE else ()
        likely = {plain, *(plain[:i] + plain[i + 1] + plain[i] + plain[i + 2 :] for i in pairs)}
        return None if name in names else next((n for n in names if _plain(n) in likely), None)

    def get(self, name: str) -> Factory[T]:
        """Return the factory of a name.

        Raises:
            InputError: The name is not a text.
            UnknownNameError: There is no such name; the message suggests similar ones.
        """
        if not isinstance(name, str):
            raise InputError(f"Expected the name of a {self.kind}, got {name!r}.")
        for end, where in self._files.items():
            if name.endswith(end):
                return partial(_imported(where), name)
        if name not in self._factories:
            self._search_plugins()
        if name not in self._factories:
            raise UnknownNameError(f"Unknown {self.kind} {name!r}. {self._advice(name)}")
        factory = self._factories[name]
        if isinstance(factory, str):
            factory = cast("Factory[T]", _imported(factory))
            self._factories[name] = factory
        return factory

    def create(self, name: str, **options: Any) -> T:
        """Call the factory of a name.

        Raises:
            UnknownNameError: There is no such name.
            InputError: The factory has no such option, or takes another kind of value.
        """
        factory = self.get(name)
        check_options(f"{self.kind} {name!r}", factory, options)
        return factory(**options)

    def _search_plugins(self) -> None:
        if self._searched:
            return
        for found in entry_points(group=self.group):
            if self._factories.get(found.name) != found.value:  # else a search was interrupted
                self.register(found.name, found.value)
        self._searched = True

    def _advice(self, name: str) -> str:
        near = get_close_matches(name.lower(), self._factories, n=3)
        if near:
            return f"Did you mean {' or '.join(repr(n) for n in near)}?"
        return f"Known: {', '.join(self.names())}."


def _plain(name: str) -> str:
    """Return a name in small letters without signs, and a doubled letter as one."""
    return re.sub(r"([a-z])\1+", r"\1", re.sub(r"[\W_]", "", name.lower()))


def _imported(where: str) -> Callable[..., Any]:
    """Return the object at `"module:attribute"`."""
    module, _, attribute = where.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), attribute)
    return found
