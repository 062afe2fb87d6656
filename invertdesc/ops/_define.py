"""Define operators of `torch.library`."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., Any])


def define_op(name: str, device: str = "default") -> Callable[[F], F]:
    """Return a decorator that defines an operator of the namespace `invertdesc`.

    `torch.library.custom_op` would do it in one call. Its operators load torch's compiler when they
    first run, 1,000 modules that take longer than the first picture.

    Args:
        name: Name of the operator.
        device: Type of device that the function serves, `"cpu"` or `"cuda"`; `"default"` for all.

    >>> from invertdesc.ops import paint_pieces
    >>> torch.ops.invertdesc.paint_pieces.default._schema.is_mutable
    False
    """

    def define(function: F) -> F:
        full = f"invertdesc::{name}"
        schema = torch.library.infer_schema(function, mutates_args=())
        torch.library.define(full, schema, tags=torch.Tag.pt2_compliant_tag)
        torch.library.impl(full, device, function)
        return function

    return define


def define_fake(name: str) -> Callable[[F], F]:
    """Return a decorator: the function gives the shape and type of an operator's result."""

    def define(function: F) -> F:
        torch.library.register_fake(f"invertdesc::{name}", function)
        return function

    return define
