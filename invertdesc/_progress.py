"""Bars that show progress, on terminals, where somebody asked for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar, cast

T = TypeVar("T")
_shown: ContextVar[bool] = ContextVar("shown", default=False)


@contextmanager
def show_progress(shown: bool = True) -> Iterator[None]:
    """Show the bars of what runs in a block; False leaves it as the code around has it."""
    token = _shown.set(shown or _shown.get())
    try:
        yield
    finally:
        _shown.reset(token)


def watch(
    items: Iterable[T],
    title: str,
    *,
    unit: str = "image",
    total: int | None = None,
    leave: bool = True,
    shown: bool | None = None,
) -> Iterable[T]:
    """Return items, with a bar where that is asked for.

    Args:
        items: What to go through.
        title: Of the bar.
        unit: What an item is called.
        total: How many there are; None where `items` tell.
        leave: Whether the bar stays when all is done.
        shown: Whether to show it; None where a block of `show_progress` does.
    """
    if not (_shown.get() if shown is None else shown):
        return items
    from tqdm import tqdm

    bar = tqdm(items, desc=title, unit=unit, total=total, leave=leave, disable=None)
    return cast("Iterable[T]", bar)
