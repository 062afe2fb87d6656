import importlib
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from invertdesc.ops import paint_pieces

module = importlib.import_module("invertdesc.ops.paint_pieces")  # the op of that name hides it
AWAY = 1e-4  # cells; nearer to an edge the definition and the op may round differently


def paint_by_pixel(
    pieces: Tensor,
    centers: Tensor,
    sides: Tensor,
    turns: Tensor,
    offsets: Tensor,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """The definition: each pixel asks each piece for the cell under it. Float64.

    Returns the sums, and where no pixel centre lies on an edge, so that they are beyond doubt.
    """
    (channels, grid), (height, width) = pieces.shape[1:3], size
    sums = torch.zeros(len(offsets) - 1, channels, height, width, dtype=torch.float64)
    clear = torch.ones(len(offsets) - 1, height, width, dtype=torch.bool)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    for image in range(len(offsets) - 1):
        for k in range(int(offsets[image]), int(offsets[image + 1])):
            dx, dy = (columns - centers[k, 0].double()), (rows - centers[k, 1].double())
            cos, sin = math.cos(turns[k]), math.sin(turns[k])
            cell = float(sides[k]) / grid
            right = (dx * cos + dy * sin) / cell + grid / 2
            down = (dy * cos - dx * sin) / cell + grid / 2
            inside = (right >= 0) & (right < grid) & (down >= 0) & (down < grid)
            j, i = (part.floor().long().clamp(0, grid - 1) for part in (right, down))
            sums[image] += torch.where(inside, pieces[k].double()[:, i, j], 0)
            for part in (right, down):
                clear[image] &= (part - part.round()).abs() > AWAY
    return sums, clear


def one(piece, x, y, side, turn, size):
    piece = torch.as_tensor(piece, dtype=torch.float32)[None, None]
    return paint_pieces(
        piece,
        torch.tensor([[x, y]]),
        torch.tensor([side]),
        torch.tensor([turn]),
        torch.tensor([0, 1]),
        size,
    )[0, 0].tolist()


QUARTERS = [[1.0, 2.0], [3.0, 4.0]]


def test_an_upright_piece():
    assert one(QUARTERS, 1.5, 1.5, 4.0, 0.0, (4, 5)) == [
        [1, 1, 2, 2, 0],
        [1, 1, 2, 2, 0],
        [3, 3, 4, 4, 0],
        [3, 3, 4, 4, 0],
    ]


@pytest.mark.parametrize(
    ("quarter", "rows"),
    [
        (1, [[3, 1], [4, 2]]),  # clockwise on the screen: what was left is above
        (2, [[4, 3], [2, 1]]),
        (3, [[2, 4], [1, 3]]),
        (-1, [[2, 4], [1, 3]]),
        (4, [[1, 2], [3, 4]]),
    ],
)
def test_quarter_turns(quarter, rows):
    assert one(QUARTERS, 0.5, 0.5, 2.0, quarter * math.pi / 2, (2, 2)) == rows


def test_an_eighth_turn():
    """A square on its corner; the pixel in its middle is on all edges, so it is left out."""
    found = one([[1.0]], 2.0, 2.0, 2.9, math.pi / 4, (5, 5))
    assert found == [
        [0, 0, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0],
    ]


@pytest.mark.parametrize("quarter", range(5))
def test_a_centre_on_an_edge_takes_the_cell_right_or_below(quarter):
    """Keypoints on whole pixels with even sides: every edge falls on pixel centres."""
    piece = torch.arange(1.0, 17).view(4, 4)
    expected = torch.zeros(7, 7)
    expected[1:5, 1:5] = piece.rot90(-quarter)
    assert one(piece, 3.0, 3.0, 4.0, quarter * math.pi / 2, (7, 7)) == expected.tolist()


def test_a_piece_cut_by_the_border():
    assert one(QUARTERS, -0.5, 1.5, 4.0, 0.0, (3, 3)) == [[2, 2, 0], [2, 2, 0], [4, 4, 0]]


def test_a_piece_outside_paints_nothing():
    for x, y in ((-9.0, 1.0), (12.0, 1.0), (1.0, -9.0), (1.0, 12.0)):
        assert one(QUARTERS, x, y, 4.0, 0.3, (4, 4)) == [[0.0] * 4] * 4


def test_a_piece_below_a_pixel_paints_at_most_the_pixel_under_it():
    assert one([[5.0]], 1.1, 0.9, 0.5, 0.7, (2, 3)) == [[0, 0, 0], [0, 5, 0]]
    assert one([[5.0]], 1.5, 0.5, 0.5, 0.7, (2, 3)) == [[0, 0, 0], [0, 0, 0]]


def test_a_piece_above_the_picture_fills_it():
    assert one([[5.0]], 1.0, 1.0, 1e6, 0.4, (2, 3)) == [[5.0] * 3] * 2


def test_where_pieces_overlap_they_add_up():
    found = paint_pieces(
        torch.tensor([1.0, 10.0]).view(2, 1, 1, 1),
        torch.tensor([[0.5, 0.5], [1.5, 0.5]]),
        torch.tensor([2.0, 2.0]),
        torch.zeros(2),
        torch.tensor([0, 2]),
        (2, 4),
    )
    assert found[0, 0].tolist() == [[1, 11, 10, 0]] * 2


def test_no_keypoints():
    found = paint_pieces(
        torch.zeros(0, 3, 4, 4),
        torch.zeros(0, 2),
        torch.zeros(0),
        torch.zeros(0),
        torch.tensor([0, 0, 0]),
        (3, 5),
    )
    assert torch.equal(found, torch.zeros(2, 3, 3, 5, dtype=torch.float64))


def random_case(seed: int, *, keypoints: int = 12) -> list:
    draw = torch.Generator().manual_seed(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=draw))

    size = (number(1, 40), number(1, 40))
    counts = [number(0, keypoints) * number(0, 2) for _ in range(number(1, 3))]
    total, grid = sum(counts), number(1, 5)
    spread = torch.tensor([size[1], size[0]])
    centers = (torch.rand(total, 2, generator=draw) * 1.6 - 0.3) * spread
    sides = 10 ** (torch.rand(total, generator=draw) * 4.5 - 1)  # 0.1 to 3,000 pixels
    turns = (torch.rand(total, generator=draw) * 6 - 3) * math.pi
    if seed % 3 == 0:
        turns = torch.randint(-4, 5, (total,), generator=draw) * (math.pi / 2)
    pieces = torch.randn(total, number(1, 4), grid, grid, generator=draw)
    return [pieces, centers, sides, turns, torch.tensor([0, *counts]).cumsum(0), size]


def check_cases(seeds: range) -> None:
    compared = 0
    for seed in seeds:
        case = random_case(seed)
        found, (expected, clear) = paint_pieces(*case), paint_by_pixel(*case)
        clear = clear[:, None].expand_as(expected)
        torch.testing.assert_close(found[clear], expected[clear], rtol=0, atol=1e-12)
        compared += int(clear.sum())
    assert compared > 500 * len(seeds)  # doubtful pixels are few


def test_random_cases_agree_with_the_definition():
    check_cases(range(30))


@pytest.mark.slow
def test_many_more_random_cases_agree_with_the_definition():
    check_cases(range(30, 3000))


def shuffled(case: list, draw: torch.Generator) -> list:
    """The same keypoints in another order within each image."""
    pieces, centers, sides, turns, offsets, size = case
    ends = pairwise(offsets.tolist())
    order = torch.cat([a + torch.randperm(b - a, generator=draw) for a, b in ends])
    return [pieces[order], centers[order], sides[order], turns[order], offsets, size]


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_keypoints_does_not_matter_to_the_bit(seed):
    case = random_case(seed, keypoints=200)
    case[0] = case[0] * 10 ** torch.linspace(-6, 6, len(case[0])).view(-1, 1, 1, 1)
    found = paint_pieces(*case)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(3):
        assert torch.equal(paint_pieces(*shuffled(case, draw)), found)


def test_repeated_runs_are_the_same_to_the_bit():
    case = random_case(4, keypoints=300)
    found = paint_pieces(*case)
    assert all(torch.equal(paint_pieces(*case), found) for _ in range(5))


def test_an_image_does_not_depend_on_its_batch():
    pieces, centers, sides, turns, offsets, size = case = random_case(22, keypoints=50)
    assert len(offsets) > 2
    found = paint_pieces(*case)
    for image in range(len(offsets) - 1):
        rows = slice(int(offsets[image]), int(offsets[image + 1]))
        alone = torch.tensor([0, rows.stop - rows.start])
        part = paint_pieces(pieces[rows], centers[rows], sides[rows], turns[rows], alone, size)
        assert torch.equal(part[0], found[image])


@pytest.mark.parametrize("spans", [1, 100, 5000])
def test_chunks_change_nothing(monkeypatch, spans):
    case = random_case(5, keypoints=40)
    found = paint_pieces(*case)
    monkeypatch.setattr(module, "_SPANS_AT_ONCE", spans)
    assert torch.equal(paint_pieces(*case), found)


def test_uninitialised_memory_is_not_read():
    case = random_case(7, keypoints=40)
    found = paint_pieces(*case)
    torch.use_deterministic_algorithms(True)  # fills what torch.empty returns with NaN
    try:
        assert torch.empty(1).isnan()
        assert torch.equal(paint_pieces(*case), found)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("value", [1.0, -0.7, 3e38])
def test_many_equal_values_do_not_overflow(value):
    count = 100_000
    found = paint_pieces(
        torch.full((count, 1, 1, 1), value),
        torch.full((count, 2), 0.5),
        torch.full((count,), 2.0),
        torch.zeros(count),
        torch.tensor([0, count]),
        (2, 3),
    )
    exact = count * float(torch.tensor(value))
    torch.testing.assert_close(
        found[0, 0, :, :2], torch.full((2, 2), exact, dtype=torch.float64), rtol=1e-12, atol=0
    )
    assert found[0, 0, :, 2].tolist() == [0, 0]


def test_values_of_many_magnitudes_keep_their_digits():
    """1e-9 beside 1: where only the small one is painted, 8 digits of it are left."""
    found = paint_pieces(
        torch.tensor([1.0, 1e-9]).view(2, 1, 1, 1),
        torch.tensor([[0.5, 0.5], [4.5, 0.5]]),
        torch.tensor([2.0, 2.0]),
        torch.zeros(2),
        torch.tensor([0, 2]),
        (2, 6),
    )
    small = float(torch.tensor(1e-9))
    assert found[0, 0, 0, :4].tolist() == [1, 1, 0, 0]
    assert found[0, 0, 0, 4].item() == pytest.approx(small, rel=1e-8)


def test_the_error_is_as_small_as_told():
    """README.md: a sum is off by at most N^2 * 2^-61 of the largest value."""
    draw = torch.Generator().manual_seed(0)
    count = 500
    values = torch.randn(count, dtype=torch.float64, generator=draw)
    found = paint_pieces(
        values.view(-1, 1, 1, 1),
        torch.zeros(count, 2),
        torch.ones(count),
        torch.zeros(count),
        torch.tensor([0, count]),
        (1, 1),
    )
    bound = count**2 * 2.0**-61 * float(values.abs().max()) + 4e-16 * float(values.abs().sum())
    assert abs(found.item() - math.fsum(values.tolist())) <= bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-37])
def test_tiny_and_zero_values(dtype, value):
    """A channel of zeros once took a unit of 0."""
    pieces = torch.tensor([value, 1.0], dtype=dtype).view(1, 2, 1, 1)
    found = paint_pieces(
        pieces,
        torch.zeros(1, 2),
        torch.ones(1),
        torch.zeros(1),
        torch.tensor([0, 1]),
        (1, 1),
    )
    assert found[0, 0].item() == pieces[0, 0].item()
    assert not torch.signbit(found).any()
    assert found[0, 1].item() == 1


@pytest.mark.parametrize("seed", range(6))
def test_parts_give_the_same_bits(seed, monkeypatch):
    given = random_case(seed)
    whole = paint_pieces(*given)
    for name in ("_PIECES_AT_ONCE", "_SPANS_AT_ONCE", "_SUMS_AT_ONCE"):
        monkeypatch.setattr(module, name, 5)
    assert torch.equal(paint_pieces(*given), whole)
