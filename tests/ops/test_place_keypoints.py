import math
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.ops import Placement, place_at_sizes, place_keypoints
from invertdesc.ops.place_keypoints import MOST


def place_one_by_one(
    keypoints: Tensor,
    offsets: Tensor,
    image_size: tuple[int, int],
    *,
    cell_size: int,
    radius: int,
    scores: Tensor | None = None,
) -> Placement:
    """The rule of ops/README.md, sentence by sentence; every implementation is compared with it."""
    height, width = (-(-side // cell_size) for side in image_size)
    images, ends, points = len(offsets) - 1, offsets.tolist(), keypoints.tolist()
    strength = [0.0] * len(points) if scores is None else scores.tolist()
    owners = [[[-1] * width for _ in range(height)] for _ in range(images)]
    moved, dropped = [0] * images, [0] * images
    for image, (start, end) in enumerate(pairwise(ends)):
        in_priority = sorted(range(start, end), key=lambda i: (-strength[i], i))
        others = []
        for i in in_priority:
            row, column = home(points[i], cell_size)
            if owners[image][row][column] < 0:
                owners[image][row][column] = i
            else:
                others.append(i)
        for i in others:
            row, column = home(points[i], cell_size)
            for down, right in rings(radius):
                y, x = row + down, column + right
                if 0 <= y < height and 0 <= x < width and owners[image][y][x] < 0:
                    owners[image][y][x] = i
                    moved[image] += 1
                    break
            else:
                dropped[image] += 1
    map_ = torch.tensor(owners, dtype=torch.int32).view(images, height, width)
    return Placement(map_, torch.tensor(moved), torch.tensor(dropped))


def home(point: list[float], cell_size: int) -> tuple[int, int]:
    """Row and column of the cell under a point; the half pixel before 0 belongs to the first."""
    x, y = (max(math.floor(p), 0) // cell_size for p in point)
    return y, x


@cache
def rings(radius: int) -> list[tuple[int, int]]:
    reach = range(-radius, radius + 1)
    steps = [(down, right) for down in reach for right in reach if (down, right) != (0, 0)]
    return sorted(steps, key=lambda s: (max(abs(s[0]), abs(s[1])), s[0] ** 2 + s[1] ** 2, *s))


@pytest.fixture(params=[place_keypoints, place_one_by_one], ids=["op", "definition"])
def place(request):
    """The op and its definition alike: the cases below hold for both."""

    def run(points, size, *, offsets=None, scores=None, **options):
        options = {"cell_size": 4, "radius": 1, **options}
        return request.param(
            torch.tensor(points, dtype=torch.float32).view(-1, 2),
            torch.tensor([0, len(points)] if offsets is None else offsets),
            size,
            scores=None if scores is None else torch.tensor(scores),
            **options,
        )

    return run


def check(placement: Placement, owners: list, moved: list[int], dropped: list[int]) -> None:
    assert placement.owners.tolist() == owners
    assert placement.owners.dtype == torch.int32
    assert placement.moved.tolist() == moved
    assert placement.dropped.tolist() == dropped
    assert placement.moved.dtype == placement.dropped.dtype == torch.int64


def test_keypoint_owns_the_cell_under_it(place):
    found = place([[0, 0], [3.9, 4], [9, 7.5]], (8, 12))
    check(found, [[[0, -1, -1], [1, -1, 2]]], [0], [0])


def test_without_scores_the_lowest_index_is_first(place):
    found = place([[1, 1], [2, 2]], (4, 8))
    check(found, [[[0, 1]]], [1], [0])


def test_highest_score_is_first(place):
    found = place([[1, 1], [2, 2]], (4, 8), scores=[0.5, 0.75])
    check(found, [[[1, 0]]], [1], [0])


def test_tied_scores_fall_back_to_the_index(place):
    found = place([[1, 1], [2, 2], [3, 3]], (4, 12), scores=[0.5, 0.75, 0.75], radius=2)
    check(found, [[[1, 2, 0]]], [2], [0])


def test_negative_scores_count(place):
    found = place([[1, 1], [2, 2]], (4, 8), scores=[-2.0, -1.0])
    check(found, [[[1, 0]]], [1], [0])


def test_home_beats_the_priority_of_one_that_moves(place):
    """Keypoint 1, the strongest that must move, may not take the cell of the weak one at home."""
    found = place([[1, 1], [2, 2], [6, 1]], (4, 8), scores=[3.0, 2.0, 1.0])
    check(found, [[[0, 2]]], [0], [1])


def test_the_stronger_of_two_that_move_takes_the_nearer_cell(place):
    points = [[1, 1], [1, 1], [9, 1], [9, 1]]  # both want the middle cell
    check(place(points, (4, 12), scores=[9.0, 1.0, 8.0, 2.0]), [[[0, 3, 2]]], [1], [1])
    check(place(points, (4, 12), scores=[9.0, 2.0, 8.0, 1.0]), [[[0, 1, 2]]], [1], [1])


def test_ring_order(place):
    """By distance, row, column: above, left, right, below, then the corners likewise."""
    found = place([[6, 6]] * 9, (12, 12))
    check(found, [[[5, 1, 6], [2, 0, 3], [7, 4, 8]]], [8], [0])


def test_second_ring_order(place):
    found = place([[2, 2]] * 26, (5, 5), cell_size=1, radius=2)
    rows = [
        [21, 13, 9, 14, 22],
        [15, 5, 1, 6, 16],
        [10, 2, 0, 3, 11],
        [17, 7, 4, 8, 18],
        [23, 19, 12, 20, 24],
    ]
    check(found, [rows], [24], [1])


def test_a_ring_is_finished_before_the_next_begins(place):
    """All are taken but a corner of ring 3 (distance 4.2) and a side of ring 4 (distance 4)."""
    taken = [[x, y] for y in range(4) for x in range(5) if [x, y] not in ([3, 3], [4, 0])]
    found = place([*taken, [0, 0]], (4, 5), cell_size=1, radius=4)
    assert found.owners[0, 3, 3] == len(taken)
    assert found.owners[0, 0, 4] == -1


def test_cells_outside_are_passed_over(place):
    found = place([[0, 0]] * 5, (8, 8))
    check(found, [[[0, 1], [2, 3]]], [3], [1])


def test_radius_0_moves_nobody(place):
    found = place([[1, 1], [2, 2], [6, 2]], (4, 8), radius=0)
    check(found, [[[0, 2]]], [0], [1])


def test_cell_size_1(place):
    found = place([[0, 1], [2.9, 0], [1.2, 1.7]], (2, 3), cell_size=1)
    check(found, [[[-1, -1, 1], [0, 2, -1]]], [0], [0])


def test_a_cell_cut_by_the_border_is_a_cell(place):
    found = place([[8.4, 4.4], [3, 4]], (5, 9))
    check(found, [[[-1, -1, -1], [1, -1, 0]]], [0], [0])


def test_a_cell_larger_than_the_picture(place):
    check(place([[2, 1], [0, 0]], (3, 5), cell_size=7), [[[0]]], [0], [1])


def test_the_outermost_half_pixels(place):
    """Pixel centres are whole numbers, so that the picture spans -0.5 to W - 0.5."""
    found = place([[-0.5, -0.5], [11.5, -0.25], [-0.1, 7.5], [11.5, 7.5]], (8, 12))
    check(found, [[[0, -1, 1], [2, -1, 3]]], [0], [0])


def test_an_empty_image_in_a_batch(place):
    found = place([[1, 1], [6, 1]], (4, 8), offsets=[0, 1, 1, 2])
    check(found, [[[0, -1]], [[-1, -1]], [[-1, 1]]], [0, 0, 0], [0, 0, 0])


def test_images_do_not_compete(place):
    found = place([[1, 1], [2, 2], [1, 1]], (4, 8), offsets=[0, 2, 3], scores=[1.0, 2.0, 3.0])
    check(found, [[[1, 0]], [[2, -1]]], [1, 0], [0, 0])


def test_no_keypoints_at_all(place):
    check(place([], (4, 8), offsets=[0, 0, 0]), [[[-1, -1]], [[-1, -1]]], [0, 0], [0, 0])


def test_everything_in_one_cell(place):
    """Radius 4 reaches 81 cells: the first 81 of 100 find one, the strongest in the middle."""
    points = [[18, 18]] * 100
    found = place(points, (36, 36), radius=4, scores=[float(i) for i in range(100)])
    assert found.owners[0, 4, 4] == 99
    assert sorted(found.owners.flatten().tolist()) == list(range(19, 100))
    assert (found.moved.tolist(), found.dropped.tolist()) == ([80], [19])


def random_case(seed: int) -> tuple[tuple, dict]:
    draw = torch.Generator().manual_seed(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=draw))

    height, width = number(1, 24), number(1, 24)
    counts = [number(0, 25) * number(0, 1) for _ in range(5)]
    total = sum(counts)
    crowd = torch.rand(5, generator=draw) ** 2  # near 0, all crowd into few cells
    crowd = crowd.repeat_interleave(torch.tensor(counts))[:, None]
    points = torch.rand(total, 2, generator=draw) * crowd * torch.tensor([width, height]) - 0.5
    scores = torch.randint(0, 6, (total,), generator=draw) / 4 - 0.5  # many ties
    offsets = torch.tensor([0, *counts]).cumsum(0)
    options = {"cell_size": number(1, 7), "radius": number(0, 4)}
    return (points, offsets, (height, width)), {**options, "scores": scores if seed % 2 else None}


def check_cases(seeds: range) -> None:
    for seed in seeds:
        case, options = random_case(seed)
        found, expected = place_keypoints(*case, **options), place_one_by_one(*case, **options)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)), seed


def test_random_cases_agree_with_the_definition():
    check_cases(range(400))  # of five pictures each


@pytest.mark.slow
def test_many_more_random_cases_agree_with_the_definition():
    check_cases(range(400, 10_000))


def test_a_crowded_picture_agrees_with_the_definition():
    draw = torch.Generator().manual_seed(0)
    points = torch.rand(3000, 2, generator=draw) * 63
    offsets, scores = torch.tensor([0, 1400, 3000]), torch.rand(3000, generator=draw)
    options = {"cell_size": 2, "radius": 3, "scores": scores}
    found = place_keypoints(points, offsets, (64, 64), **options)
    expected = place_one_by_one(points, offsets, (64, 64), **options)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert int(found.dropped.sum()) > 500


@pytest.mark.parametrize("seed", range(20))
def test_relabelling_keypoints_relabels_the_map(seed):
    draw = torch.Generator().manual_seed(seed)
    points = torch.rand(60, 2, generator=draw) * 16
    scores = torch.randperm(60, generator=draw).float()
    order = torch.randperm(60, generator=draw)
    offsets, options = torch.tensor([0, 60]), {"cell_size": 3, "radius": 2}
    first = place_keypoints(points, offsets, (16, 16), scores=scores, **options)
    second = place_keypoints(points[order], offsets, (16, 16), scores=scores[order], **options)
    assert torch.equal(second.owners >= 0, first.owners >= 0)
    taken = second.owners >= 0
    assert torch.equal(order[second.owners[taken].long()], first.owners[taken].long())
    assert torch.equal(second.moved, first.moved)
    assert torch.equal(second.dropped, first.dropped)


@pytest.mark.parametrize("options", [{"cell_size": 0}, {"cell_size": 2, "radius": -1}])
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(InputError, match="cell_size >= 1 and radius >= 0"):
        place_keypoints(torch.zeros(1, 2), torch.tensor([0, 1]), (4, 4), **options)


def test_more_keypoints_than_a_key_can_number_are_refused():
    many = torch.zeros(1, 2).expand(MOST + 1, 2)
    with pytest.raises(InputError, match=f"at most {MOST} keypoints"):
        place_keypoints(many, torch.tensor([0, MOST + 1]), (4, 4), cell_size=2)


def test_several_cell_sizes_at_once_are_those_one_by_one(crowded_case):
    points, offsets, scores, size, _, radius = crowded_case(7)
    options = {"radius": radius, "scores": scores}
    together = place_at_sizes(points, offsets, size, cell_sizes=(4, 1, 2), **options)
    for cell, found in zip((4, 1, 2), together, strict=True):
        alone = place_keypoints(points, offsets, size, cell_size=cell, **options)
        assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))
