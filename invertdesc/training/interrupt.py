"""Let signals end a run after the current step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and the signal that ends jobs of a cluster


@dataclass
class Interruption:
    """The received signal.

    Attributes:
        signal: Number of the signal, or None.
    """

    signal: int | None = None


@contextmanager
def delay_interruption() -> Iterator[Interruption]:
    """Note the first Ctrl-C or SIGTERM inside the block, and raise it after the block.

    A second signal acts immediately. Ignored signals stay ignored. Outside the main thread nothing
    is noted, since only the main thread may handle signals.
    """
    noted = Interruption()
    usual: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        noted.signal = number
        restore()

    if threading.current_thread() is threading.main_thread():
        usual = {number: signal.getsignal(number) for number in SIGNALS}
        usual = {k: v for k, v in usual.items() if v not in (None, signal.SIG_IGN)}
        for number in usual:
            signal.signal(number, note)
    try:
        yield noted
    finally:
        restore()
    if noted.signal is not None:
        signal.raise_signal(noted.signal)
