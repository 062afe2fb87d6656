"""Keypoints and vectors to bfloat16 cell maps of d = 2 and d = 4, the input of a network.

    pytest benchmarks/bench_placement.py --benchmark-json=benchmarks/results/placement-cpu.json

Every contender ends with two channels-last bfloat16 tensors on the device, every byte written. The
other contenders implement the descriptions in papers; those in NumPy convert at the end, as the
input of a network requires. All except invertdesc and `scatter_rounds` drop colliding keypoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from memory import peak
from torch import Tensor

from invertdesc.ops import fill_cells, place_at_sizes

Record = Callable[..., None]
CELLS = (2, 4)
LENGTH = 128
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class Case:
    """A batch of keypoints and vectors, on a device and, for NumPy, image by image."""

    def __init__(self, images: int, each: int, size: int, device: str, crowd: bool = False) -> None:
        draw = torch.Generator().manual_seed(0)
        points = torch.rand(images * each, 2, generator=draw) * size - 0.5
        self.radius = 4 if crowd else 1
        if crowd:
            points = torch.full_like(points, size / 2)
        self.images, self.each, self.size, self.device = images, each, size, device
        self.points = points.to(device)
        self.rows = torch.rand(images * each, LENGTH, generator=draw).to(device)
        self.offsets = (torch.arange(images + 1) * each).to(device)
        self.points_of = points.view(images, each, 2).numpy()
        self.rows_of = self.rows.cpu().view(images, each, LENGTH).numpy()

    @property
    def bytes(self) -> int:
        """Number of bytes that every contender has to write."""
        return sum(self.images * (-(-self.size // d)) ** 2 * LENGTH * 2 for d in CELLS)

    @property
    def values(self) -> dict[str, object]:
        """Values that are recorded with a timing."""
        names = ("images", "each", "size", "radius", "device", "bytes")
        return {{"each": "keypoints"}.get(name, name): getattr(self, name) for name in names}


def ours(case: Case) -> list[Tensor]:
    placed = place_at_sizes(
        case.points, case.offsets, (case.size, case.size), cell_sizes=CELLS, radius=case.radius
    )
    return [
        fill_cells(case.rows, one.owners, cell_size=d, dtype=torch.bfloat16)
        for d, one in zip(CELLS, placed, strict=True)
    ]


def placing_alone(case: Case) -> list[Tensor]:
    return [
        one.owners
        for one in place_at_sizes(
            case.points, case.offsets, (case.size, case.size), cell_sizes=CELLS, radius=case.radius
        )
    ]


def _resident(maps: list[np.ndarray[Any, Any]]) -> Tensor:
    return torch.from_numpy(np.stack(maps)).to(torch.bfloat16).permute(0, 3, 1, 2)


def _cells_of(points: np.ndarray[Any, Any], d: int) -> np.ndarray[Any, Any]:
    return np.maximum(np.floor(points), 0).astype(np.int64) // d


def loop(case: Case) -> list[Tensor]:
    """Loop over keypoints; a cell is empty if its values are. A second pass looks around."""
    results = []
    for d in CELLS:
        side, maps = -(-case.size // d), []
        for points, rows in zip(case.points_of, case.rows_of, strict=True):
            grid, later = np.zeros((side, side, LENGTH)), []
            for number, (x, y) in enumerate(_cells_of(points, d)):
                if all(value == 0 for value in grid[y, x]):
                    grid[y, x] = list(rows[number])
                else:
                    later.append((number, x, y))
            for number, x, y in later:
                around = [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
                for place in around:
                    inside = min(place) >= 0 and max(place) < side
                    if inside and all(value == 0 for value in grid[place]):
                        grid[place] = list(rows[number])
                        break
            maps.append(grid)
        results.append(_resident(maps))
    return results


def numpy_unique_first(case: Case) -> list[Tensor]:
    results = []
    for d in CELLS:
        side, maps = -(-case.size // d), []
        for points, rows in zip(case.points_of, case.rows_of, strict=True):
            x, y = _cells_of(points, d).T
            cells, first = np.unique(y * side + x, return_index=True)
            grid = np.zeros((side * side, LENGTH), np.float32)
            grid[cells] = rows[first]
            maps.append(grid.reshape(side, side, LENGTH))
        results.append(_resident(maps))
    return results


def numpy_last_wins(case: Case) -> list[Tensor]:
    results = []
    for d in CELLS:
        side, maps = -(-case.size // d), []
        for points, rows in zip(case.points_of, case.rows_of, strict=True):
            x, y = _cells_of(points, d).T
            grid = np.zeros((side, side, LENGTH), np.float32)
            grid[y, x] = rows
            maps.append(grid)
        results.append(_resident(maps))
    return results


def _flat_cells(case: Case, d: int) -> tuple[Tensor, int]:
    side = -(-case.size // d)
    x, y = (case.points.floor().clamp(min=0).long() // d).unbind(1)
    image = torch.arange(case.images, device=case.points.device).repeat_interleave(case.each)
    return (image * side + y) * side + x, side


def _maps(flat: Tensor, case: Case, side: int) -> Tensor:
    return flat.view(case.images, side, side, LENGTH).permute(0, 3, 1, 2)


def torch_index_put(case: Case) -> list[Tensor]:
    results = []
    for d in CELLS:
        cells, side = _flat_cells(case, d)
        flat = case.rows.new_zeros(case.images * side * side, LENGTH, dtype=torch.bfloat16)
        flat.index_put_((cells,), case.rows.to(torch.bfloat16))
        results.append(_maps(flat, case, side))
    return results


def torch_scatter_rounds(case: Case) -> list[Tensor]:
    """The whole rule: rounds of scatter(amin) over owners, then a gather and a mask."""
    results = []
    total = len(case.points)
    step = torch.tensor(
        [(0, 0), (-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    )
    for d in CELLS:
        _, side = _flat_cells(case, d)
        home = (case.points.floor().clamp(min=0).long() // d).flip(1)
        image = torch.arange(case.images, device=home.device).repeat_interleave(case.each)
        steps = step.to(home.device)
        number = torch.arange(total, device=home.device)
        keys = torch.full((case.images * side * side,), 2 * total, device=home.device)
        at, walking = torch.zeros_like(number), torch.ones_like(number, dtype=torch.bool)
        while bool(walking.any()):
            cell = home + steps[at]
            inside = ((cell >= 0) & (cell < side)).all(1)
            flat = ((image * side + cell[:, 0]) * side + cell[:, 1]).clamp(0, len(keys) - 1)
            key = number + total * (at > 0)
            claim = torch.where(inside & walking, key, 2 * total)
            keys.scatter_reduce_(0, flat, claim, "amin")
            lost = (~inside | (keys[flat] != key)) & (at < 8)
            at = at + lost
            walking = lost
        owner = torch.where(keys < 2 * total, keys % total, -1)
        rows = case.rows.to(torch.bfloat16)[owner.clamp(min=0)]
        results.append(_maps(rows * (owner >= 0)[:, None], case, side))
    return results


CONTENDERS = [
    ours,
    placing_alone,
    numpy_unique_first,
    numpy_last_wins,
    torch_index_put,
    torch_scatter_rounds,
    loop,
]
CASES = {
    **{f"256 x 256, 300 keypoints, batch {b}": (b, 300, 256, False) for b in (1, 8, 64, 256)},
    **{f"256 x 256, {n:,} keypoints, batch 8": (8, n, 256, False) for n in (100, 1000, 3000)},
    "1024 x 1024, 10,000 keypoints, batch 1": (1, 10_000, 1024, False),
    "all in one cell, radius 4, 300 keypoints, batch 8": (8, 300, 256, True),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda one: one.__name__)
def test_placement(
    benchmark: Any, record: Record, name: str, device: str, contender: Callable[[Case], Any]
) -> None:
    images, each, size, crowd = CASES[name]
    slow = contender is loop
    if device == "cuda" and contender in (loop, numpy_unique_first, numpy_last_wins):
        pytest.skip("works on the CPU")
    if slow and images > 8:
        pytest.skip("takes minutes")
    case = Case(images, each, size, device, crowd)
    benchmark.group = f"{name}, {device}"
    record(contender=contender.__name__, **case.values)

    def run() -> None:
        contender(case)
        if device == "cuda":
            torch.cuda.synchronize()

    if slow:
        benchmark.pedantic(run, rounds=2, warmup_rounds=0)
    else:
        benchmark.pedantic(run, rounds=max(7, min(100, 1000 // images)), warmup_rounds=5)
    taken = None if contender is placing_alone else peak(run, device)
    if taken is not None:
        benchmark.extra_info["peak_beyond_maps"] = taken / case.bytes - 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_write_ceiling(benchmark: Any, record: Record, name: str, device: str) -> None:
    """Measure how fast the device writes zeros into existing memory, a limit for all maps."""
    images, each, size, crowd = CASES[name]
    case = Case(images, each, size, device, crowd)
    benchmark.group = f"{name}, {device}"
    record(contender="write_ceiling", **case.values)
    there = torch.zeros(case.bytes // 2, dtype=torch.bfloat16, device=device)

    def run() -> None:
        there.zero_()
        if device == "cuda":
            torch.cuda.synchronize()

    benchmark.pedantic(run, rounds=15, warmup_rounds=2)
