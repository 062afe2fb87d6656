"""Show progress, if it was asked for: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")
EVERY = 30.0  # seconds between two lines, where there is no terminal
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
    """Return the items, and show progress if asked for: a bar, or lines without a terminal.

    Args:
        items: Items to iterate over.
        title: Title of the bar.
        unit: Name of one item.
        total: Number of items; None if `items` has a length.
        leave: Whether the bar stays visible at the end; one that does not has no lines.
        shown: Whether to show the bar; None to show it only in a block of `show_progress`.
    """
    if not (_shown.get() if shown is None else shown):
        return items
    if total is None and isinstance(items, Sized):
        total = len(items)
    if not sys.stderr.isatty():
        return _reported(items, title, unit, total) if leave else items
    from tqdm import tqdm

    bar = tqdm(items, desc=title, unit=unit, total=total, leave=leave)
    return cast("Iterable[T]", bar)


@dataclass
class Steps:
    """The steps of a long task, which are shown as a bar on a terminal, and as lines elsewhere.

    Attributes:
        title: Title of the bar, and start of each line.
        total: Number of steps.
        unit: Name of one step.
        bar: The bar, or None.
        shown: Whether to show anything.
        start: When the task began, in seconds of a clock.
        done: Number of steps that were taken.
    """

    title: str
    total: int
    unit: str
    bar: tqdm[NoReturn] | None = None
    shown: bool = True
    start: float = field(default_factory=time.monotonic)
    done: int = 0

    def begin(self) -> None:
        """Measure time from now on, after what had to be prepared."""
        self.start = time.monotonic()
        if self.bar is not None:
            self.bar.reset()

    def take(self, step: str) -> None:
        """Show that a step has been taken."""
        self.done += 1
        if self.bar is not None:
            self.bar.update()
        elif self.shown:
            left = _left(self.start, self.done, self.total)
            _say(f"{self.title}: {self.done} of {self.total}, {step}{left}")


@contextmanager
def progress_lines(title: str, total: int, *, unit: str, shown: bool) -> Iterator[Steps]:
    """Give the steps of a task to take: a bar on a terminal, lines in a pipe or a log.

    Args:
        title: Title of the bar, and start of each line.
        total: Number of steps.
        unit: Name of one step.
        shown: Whether to show anything.
    """
    if not (shown and sys.stderr.isatty()):
        yield Steps(title, total, unit, shown=shown)
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=title, unit=unit) as bar:
        yield Steps(title, total, unit, bar)


def in_words(seconds: float) -> str:
    """Return a time in words, to about a tenth.

    >>> in_words(38.2), in_words(400), in_words(7300)
    ('40 seconds', '7 minutes', '2 hours')
    """
    if seconds < 90:
        return f"{max(10, 10 * round(seconds / 10))} seconds"
    if seconds < 5400:
        return f"{round(seconds / 60)} minutes"
    return f"{round(seconds / 3600)} hours"


def _reported(items: Iterable[T], title: str, unit: str, total: int | None) -> Iterator[T]:
    """Give the items, and a line about them every now and then, where there is no terminal."""
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            of = "" if total is None else f" of {total}"
            _say(f"{title}: {done}{of} {unit}s{_left(start, done, total)}")


def _left(start: float, done: int, total: int | None) -> str:
    """Return in words how long the remaining steps will take; nothing if none remain."""
    if total is None or done >= total:
        return ""
    return f", about {in_words((time.monotonic() - start) / done * (total - done))} left"


def _say(line: str) -> None:
    with suppress(OSError):  # nobody hears it
        print(line, file=sys.stderr, flush=True)
