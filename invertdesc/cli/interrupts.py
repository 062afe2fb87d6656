"""Ctrl-C: heard while modules are imported, too, and when all is done."""

import _thread
import atexit
import os
import signal
import sys
import threading
from functools import partial
from types import FrameType

STOPPED = 130  # exit status: 128 and the number of SIGINT
AGAIN = 0.1  # seconds


def hear_interrupts() -> None:
    """Raise `KeyboardInterrupt` at Ctrl-C, but amid an import, as soon as that is done.

    Libraries try to import others and go on without them whatever happens: an exception that is
    raised in there may be lost. A process that was started deaf to Ctrl-C stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def end_at_once() -> None:
    """End the process at Ctrl-C with the usual status: all is done but for the cleaning up."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, lambda *_: os._exit(STOPPED))
        # Last of all Python takes its handlers back; from there on the process would be killed.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _interrupt(_: int, frame: FrameType | None) -> None:
    if not _imports(frame):
        raise KeyboardInterrupt
    timer = threading.Timer(AGAIN, _signal_again())
    timer.daemon = True
    timer.start()


def _imports(frame: FrameType | None) -> bool:
    """Say whether a frame was called by an import."""
    while frame is not None:
        if frame.f_globals.get("__name__") in ("importlib._bootstrap", "_frozen_importlib"):
            return True
        frame = frame.f_back
    return False


def _signal_again() -> partial[None]:
    if sys.platform == "win32":
        return partial(_thread.interrupt_main)
    # A real signal, which also wakes a thread that waits for a lock.
    return partial(signal.pthread_kill, threading.get_ident(), signal.SIGINT)
