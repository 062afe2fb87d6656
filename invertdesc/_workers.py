"""Run functions in worker processes, which ignore Ctrl-C and end with this process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_in_processes(
    function: Callable[[T], R],
    items: Sequence[T],
    workers: int,
    prepare: Callable[[], None] | None = None,
) -> Iterator[R]:
    """Call a function of a module on each item, in other processes; yield results in order.

    Args:
        function: Function of a module, called on each item.
        items: Arguments, one per call.
        workers: Number of processes.
        prepare: Called once in each process.
    """
    # Forked children of a process with torch threads can hang, so start new processes.
    with ProcessPoolExecutor(workers, get_context("spawn"), begin_worker, (prepare,)) as pool:
        try:
            with _deaf():  # workers are started as items are submitted, and inherit the mask
                results = pool.map(function, items, chunksize=8)
            yield from results
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def begin_worker(prepare: Callable[[], None] | None = None) -> None:
    """Set up a worker process: it ends with its parent, which handles Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()  # also returns when the parent was killed
        os._exit(1)


@contextmanager
def _deaf() -> Iterator[None]:
    """Block Ctrl-C inside the block; processes started in it never receive it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
