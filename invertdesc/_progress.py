"""Show progress bars on terminals, if they were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar, cast

T = TypeVar("T")
_shown: ContextVar[bool] = ContextVar("shown", default=False)


@contextmanager
def show_progress(shown: bool = True) -> Iterator[None]:
    """Show the progress bars of the code in a block; False changes nothing."""
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
    """Return the items, and show a progress bar if asked for.

    Args:
        items: Items to iterate over.
        title: Title of the bar.
        unit: Name of one item.
        total: Number of items; None if `items` has a length.
        leave: Whether the bar stays visible at the end.
        shown: Whether to show the bar; None to show it only in a block of `show_progress`.
    """
    if not (_shown.get() if shown is None else shown):
        return items
    from tqdm import tqdm

    bar = tqdm(items, desc=title, unit=unit, total=total, leave=leave, disable=None)
    return cast("Iterable[T]", bar)
