"""Check options: names and kinds by a factory's signature, and ranges of numbers."""

from __future__ import annotations

import builtins
import inspect
import math
import os
import reprlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from numbers import Integral, Number, Real
from operator import ge, gt, le, lt
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from invertdesc.errors import InputError

WHOLE = 2**63  # integers of torch and NumPy are below this
# Kinds that a command line can give; options of any other class are objects.
_PLAIN = (str, bytes, Number, list, tuple, dict, NoneType)


def check_options(
    what: str,
    factory: Callable[..., Any],
    options: Mapping[str, object],
    *,
    fixed: Collection[str] = (),
) -> None:
    """Check that a factory has options of these names and takes values of these kinds.

    Objects of different classes are not distinguished. The factory itself checks ranges of numbers.

    Args:
        what: Whose options they are, such as `"method 'poisson'"`, for the message.
        factory: Function or class that is called with the options later.
        options: Values by name.
        fixed: Parameters that are not options.

    Raises:
        InputError: The factory has no such option, or takes another kind of value.

    >>> def scaled(*, by: float = 1.0, often: int | None = None): ...
    >>> check_options("box 'scaled'", scaled, {"by": 2, "often": None})
    >>> check_options("box 'scaled'", scaled, {"often": 2.5})
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected often of box 'scaled' as a whole number or null, got 2.5.
    """
    parameters = inspect.signature(factory).parameters
    known = {name: one for name, one in parameters.items() if name not in fixed}
    open_ended = any(one.kind is one.VAR_KEYWORD for one in known.values())
    for name, value in options.items():
        if name not in known:
            if open_ended:
                continue
            raise InputError(
                f"Expected options of {what} among {', '.join(known) or 'none'}; got {name!r}."
            )
        kinds = list(_alternatives(_resolved(known[name].annotation, factory, name)))
        if not any(_fits(value, kind) for kind in kinds):
            raise InputError(
                f"Expected {name} of {what} as {_described(kinds)}, got {_short(value)}."
            )


class _Names(dict[str, Any]):
    """Names of a module; a name imported only for type checkers stands for any class."""

    def __missing__(self, name: str) -> Any:
        found = getattr(builtins, name, None)
        return type(name, (), {"__class_getitem__": lambda _: Any}) if found is None else found


def _resolved(annotation: Any, factory: Callable[..., Any], name: str) -> Any:
    """Return the type of an annotation, also of one stored as text; `Any` if that fails."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, {}, _Names(_names_around(factory, name)))
    except Exception:  # a plug-in may raise anything
        return Any


def _names_around(factory: Callable[..., Any], name: str) -> dict[str, Any]:
    """Return the names of the module in which a parameter is annotated."""
    if isinstance(factory, type) and is_dataclass(factory):
        for base in factory.__mro__:
            if name in vars(base).get("__annotations__", {}):
                return vars(sys.modules[base.__module__])
    call: Any = factory.__init__ if isinstance(factory, type) else factory  # type: ignore[misc]
    return dict(getattr(inspect.unwrap(call), "__globals__", {}))


def _alternatives(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _alternatives(part)
    else:
        yield NoneType if hint is None else hint


def _fits(value: object, kind: Any) -> bool:
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if kind is int:
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        return whole and -WHOLE <= int(value) < WHOLE  # type: ignore[call-overload]
    if kind is float:
        real = isinstance(value, Real) and not isinstance(value, bool)
        return real and bool(abs(value) < math.inf)  # type: ignore[arg-type]
    if kind is Path:
        return isinstance(value, str | os.PathLike)
    if get_origin(kind) is Literal:  # the factory checks the value
        return type(value) in map(type, get_args(kind))
    if _is_path(kind):
        return isinstance(value, os.PathLike)
    if get_origin(kind) is Callable:
        return callable(value)
    if kind in (Any, object, inspect.Parameter.empty) or not isinstance(kind, type):
        return True
    if issubclass(kind, _PLAIN):
        return isinstance(value, kind)
    return not isinstance(value, _PLAIN)


def _is_path(kind: Any) -> bool:
    return (get_origin(kind) or kind) is os.PathLike


def _described(kinds: Sequence[Any]) -> str:
    words = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        NoneType: "null",
        Path: "a path",
    }
    found: dict[str, None] = {}
    for kind in kinds:
        if _is_path(kind):
            found.pop("a text", None)  # the usual form of a path
            found["a path"] = None
        elif get_origin(kind) is Literal:
            found |= dict.fromkeys(map(repr, get_args(kind)))
        elif get_origin(kind) is Callable:
            found["a function"] = None
        else:
            found[words.get(kind) or f"an object of class {kind.__name__}"] = None
    return " or ".join(found)


def _short(value: object) -> str:
    """Return a value as Python code; a long one is shortened in the middle."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    return short.repr(value)


def check_range(
    name: str,
    value: float | None,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Check that a number is in range; None, an option without a value, is always accepted.

    Args:
        name: Name of the option, for the message.
        value: Value of the option.
        least: Smallest allowed value.
        most: Largest allowed value.
        above: The value must be greater than this.
        below: The value must be less than this.

    Raises:
        InputError: The number is out of range or NaN.

    >>> check_range("keep", 0.5, above=0, most=1)
    >>> check_range("keep", 1.5, above=0, most=1)
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected keep > 0 and <= 1, got 1.5.
    """
    bounds = ((">=", least, ge), (">", above, gt), ("<=", most, le), ("<", below, lt))
    given = [(sign, bound, holds) for sign, bound, holds in bounds if bound is not None]
    if value is not None and not all(holds(value, bound) for _, bound, holds in given):
        wanted = " and ".join(f"{sign} {bound}" for sign, bound, _ in given)
        raise InputError(f"Expected {name} {wanted}, got {value}.")


def check_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Check that an option has one of the allowed values.

    Raises:
        InputError: It has another value.

    >>> check_choice("grid", 9, (8, 16))
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected grid among 8, 16; got 9.
    """
    if value not in choices:
        raise InputError(f"Expected {name} among {', '.join(map(repr, choices))}; got {value!r}.")
