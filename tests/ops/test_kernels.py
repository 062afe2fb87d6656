"""The Triton kernels by Triton's interpreter, on the CPU; `pytest -m gpu` runs them on a device."""

import sys

import pytest
import torch

from invertdesc.ops import fill_cells, paint_pieces, place_at_sizes

pytest.importorskip("triton")
if torch.cuda.is_available():
    pytest.skip("there is a device to run the kernels on", allow_module_level=True)
kernels = pytest.importorskip("invertdesc.ops._kernels")


@pytest.mark.parametrize("seed", range(30))
def test_placing_is_the_same_to_the_bit(crowded_case, seed: int) -> None:
    points, offsets, scores, size, cells, radius = crowded_case(seed)
    owners, moved, dropped = kernels.place(points, offsets, scores, size, cells, radius)
    expected = place_at_sizes(points, offsets, size, cell_sizes=cells, radius=radius, scores=scores)
    assert torch.equal(owners, torch.cat([one.owners.flatten() for one in expected]))
    assert torch.equal(moved, torch.stack([one.moved for one in expected]))
    assert torch.equal(dropped, torch.stack([one.dropped for one in expected]))


def test_all_in_one_cell_and_none_at_all() -> None:
    for count, radius in ((200, 4), (0, 1), (1, 8)):
        points = torch.full((count, 2), 20.0)
        offsets = torch.tensor([0, count, count])
        owners, *_ = kernels.place(points, offsets, None, (40, 40), (2,), radius)
        (expected,) = place_at_sizes(points, offsets, (40, 40), cell_sizes=(2,), radius=radius)
        assert torch.equal(owners, expected.owners.flatten())


def test_the_smallest_scores_are_told_apart_and_the_zeros_tie() -> None:
    scores = torch.tensor([-1e-45, -0.0, 0.0, 1e-45, 3e38, -3e38, float("-inf"), 1e-38])
    points, offsets = torch.full((len(scores), 2), 5.0), torch.tensor([0, len(scores)])
    owners, *_ = kernels.place(points, offsets, scores, (12, 12), (4,), 1)
    assert owners.view(3, 3).tolist() == [[0, 7, 5], [3, 4, 1], [6, 2, -1]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_filling_is_the_same_to_the_bit_and_writes_everything(
    crowded_case, dtype: torch.dtype, told: bool, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, offsets, scores, size, _, radius = crowded_case(11)
    (placed,) = place_at_sizes(points, offsets, size, cell_sizes=(3,), radius=radius, scores=scores)
    draw = torch.Generator().manual_seed(0)
    total = len(points)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    rows = torch.randn(total, 13, dtype=wide, generator=draw)
    if packed:
        rows = torch.randint(0, 256, (total, 2), generator=draw).to(torch.uint8)
    geometry = torch.randn(total, 5, dtype=wide, generator=draw) if told else None
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *a, **k: empty(*a, **k).fill_(float("nan")))
    made = kernels.fill(rows, placed.owners, geometry, 3, 13, dtype)
    expected = fill_cells(
        rows,
        placed.owners,
        cell_size=3,
        geometry=geometry,
        bits=13 if packed else None,
        dtype=dtype,
    )
    assert made.shape == expected.shape
    assert made.stride() == expected.stride()
    # The interpreter cuts what a device rounds to bfloat16.
    off = 8e-3 if dtype == torch.bfloat16 else 0
    torch.testing.assert_close(made, expected, rtol=off, atol=0)


@pytest.mark.parametrize("seed", range(8))
def test_painting_is_the_same_to_the_bit(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, 12, (3,), generator=draw)
    total = int(counts.sum())
    grid = (1, 2, 3, 8)[seed % 4]
    pieces = torch.randn(total, 3, grid, grid, generator=draw)
    centers = torch.rand(total, 2, generator=draw) * 60 - 10
    sides = torch.rand(total, generator=draw) ** 3 * 80 + 0.5
    turns = torch.randn(total, generator=draw) * 2
    turns[::3] = (turns[::3] * 2).round() * torch.pi / 2
    centers[::2] = centers[::2].round()
    given = (pieces, centers, sides, turns, torch.tensor([0, *counts.tolist()]).cumsum(0), (35, 41))
    plain = paint_pieces(*given)
    module = sys.modules["invertdesc.ops.paint_pieces"]
    monkeypatch.setattr(module, "_paint_plain", module._paint_kernel)
    assert torch.equal(paint_pieces(*given), plain)
    assert plain.any()
