"""From the options of a command, by their names, to the arguments of a public verb."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from invertdesc._text import parse_options, parse_size
from invertdesc.cli.describing import TEXTS
from invertdesc.cli.messages import complain, complain_of
from invertdesc.errors import FileError, InputError
from invertdesc.sources import example_path

if TYPE_CHECKING:
    from pathlib import Path

    from invertdesc.descriptors import Descriptor
    from invertdesc.stores.base import Store

T = TypeVar("T")


def call(context: typer.Context, verb: Callable[..., T], **others: Any) -> T:
    """Call a verb with the command's options that are named as its parameters, and with others.

    Where it has them, it shows its progress, and says at once what fails.
    """
    offered = context.params | {"progress": True, "on_outcome": complain_of}
    known = inspect.signature(verb).parameters
    return verb(**{name: value for name, value in offered.items() if name in known} | others)


def descriptor_options(context: typer.Context) -> dict[str, Any]:
    """Return what `create_descriptor` takes beside a name, of -D and --gray."""
    gray = context.params["gray"]
    return parse_options(context.params["descriptor_option"]) | ({"gray": gray} if gray else {})


def make_descriptor(context: typer.Context) -> Descriptor:
    """Create the adapter that -d, -D and --gray say."""
    from invertdesc.descriptors import create_descriptor

    return create_descriptor(context.params["descriptor"] or "sift", **descriptor_options(context))


def method_options(context: typer.Context) -> dict[str, Any]:
    """Return what `create_method` takes beside a name and a descriptor, of -M and --unfolding."""
    from invertdesc.unfolding.unfolding import Unfolding

    file = context.params["unfolding"]
    known = parse_options(context.params["method_option"], TEXTS["apart"]["method"])
    return known if file is None else known | {"unfolding": Unfolding.load(file)}


def names_of(context: typer.Context) -> list[str]:
    """Return the sources and the file of the example that were named."""
    example = context.params.get("example")
    extra = [] if example is None else [str(example_path(example))]
    names = [*(context.params["sources"] or ()), *extra]
    if not names:
        raise InputError("Expected a SOURCE or --example, got none. See --help.")
    return names


def vectors_of(unfolding: Path | None) -> str | None:
    """Return the unfolding's file, which is the name of the vectors that `fit_program` fitted."""
    from invertdesc.descriptors import create_descriptor

    if unfolding is None or unfolding.suffix != ".safetensors":
        return None
    try:
        return create_descriptor(str(unfolding)).name
    except FileError:  # fitted to a descriptor that has a name, or not to be read, as loading says
        return None


@contextmanager
def store_of(context: typer.Context) -> Iterator[Store | None]:
    """Open the store that the sources name; give None where they name images and .npz files."""
    from invertdesc.stores.named import find_store
    from invertdesc.stores.summary import check_readable, opened

    given = context.params
    found = find_store(given["sources"] or (), alone=given.get("example") is None)
    for path in found.passed_over:
        complain("warning", f"Also found, not read: {path}. Pass it by itself.")
    if found.store is None:
        yield None
        return
    if given["descriptor_option"] or given["gray"] is not None:
        raise InputError(f"Expected -D and --gray for images only, got them for {found.store}.")
    size = parse_size(given["image_size"])
    name = given["descriptor"] or vectors_of(given["unfolding"])
    with opened(found.store, name, image_size=size, mend=given["mend"]) as store:
        check_readable(store)
        yield store
