"""Measure the peak memory of a call."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak(run: Callable[[], object], device: str) -> int | None:
    """Return the peak bytes of a call, including its result; None if unknown.

    On the CPU this is resident memory, counted by Linux. Freed memory of the heap is returned to
    the system first, since it could be used again without being counted.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        RESET.write_text("5")  # resets the peak
    except OSError:
        return None
    before = _resident("VmRSS")
    run()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    (line,) = (one for one in STATUS.read_text().splitlines() if one.startswith(name))
    return int(line.split()[1]) * 1024
