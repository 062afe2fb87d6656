"""What placing and filling take beside the maps themselves."""

import ctypes
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
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        RESET.write_text("5")  # the high-water mark starts anew
    except OSError:
        pytest.skip("this system does not tell the peak of memory")
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


@pytest.mark.parametrize("scored", [False, True])
def test_it_is_less_than_a_twentieth(scored: bool) -> None:
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
    assert 0.99 * maps <= peak(run) < 1.05 * maps
