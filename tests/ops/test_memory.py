"""What placing and filling take beside the maps themselves."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from invertdesc.ops import fill_cells, place_at_sizes

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(name: str) -> int:
    (line,) = (one for one in STATUS.read_text().splitlines() if one.startswith(name))
    return int(line.split()[1]) * 1024


def peak(run: Callable[[], object]) -> int:
    """Bytes that a call takes at its peak, from a heap that has nothing freed to give."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    RESET.write_text("5")  # the high-water mark starts anew
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def measure(scored: bool) -> tuple[int, int]:
    """Return the bytes of the maps, and those that placing and filling take at their peak."""
    images, each, size, cells = 16, 300, 256, (2, 4)
    draw = torch.Generator().manual_seed(0)
    points = torch.rand(images * each, 2, generator=draw) * size - 0.5
    rows = torch.rand(images * each, 128, generator=draw)
    scores = torch.rand(images * each, generator=draw) if scored else None
    offsets = torch.arange(images + 1) * each

    def run() -> list[Tensor]:
        placed = place_at_sizes(points, offsets, (size, size), cell_sizes=cells, scores=scores)
        return [
            fill_cells(rows, one.owners, cell_size=cell, dtype=torch.bfloat16)
            for cell, one in zip(cells, placed, strict=True)
        ]

    maps = sum(map_.nbytes for map_ in run())
    return maps, peak(run)


@pytest.mark.parametrize("scored", [False, True])
def test_it_is_less_than_a_twentieth(scored: bool) -> None:
    if not os.access(RESET, os.W_OK):
        pytest.skip("this system does not tell the peak of memory")
    # In a process of its own: what other tests have freed would be taken again unseen.
    command = [sys.executable, __file__, *(["scored"] if scored else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    maps, taken = map(int, done.stdout.split())
    assert 0.99 * maps <= taken < 1.05 * maps


if __name__ == "__main__":
    print(*measure("scored" in sys.argv))
