"""Show progress bars on terminals, if they were asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
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


@contextmanager
def progress_lines(
    title: str, total: int, *, unit: str, shown: bool
) -> Iterator[Callable[[str], object]]:
    """Give a function to call after each step: a bar on a terminal, lines in a pipe or a log.

    Args:
        title: Title of the bar, and start of each line.
        total: Number of steps.
        unit: Name of one step.
        shown: Whether to show anything.
    """
    if not shown:
        yield lambda _: None
        return
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=title, unit=unit) as bar:
            yield lambda _: bar.update()
        return
    steps = count(1)

    def write(step: str) -> None:
        print(f"{title}: {next(steps)} of {total}, {step}", file=sys.stderr, flush=True)

    yield write
