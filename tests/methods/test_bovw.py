from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import pytest
import torch
from skimage import data

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor, create_method, extract
from invertdesc.errors import InputError
from invertdesc.image import to_image, write_image
from invertdesc.methods._arrange import (
    Placement,
    _swaps,
    cost_of,
    improve_arrangement,
    pairs_of,
    score_arrangement,
    start_arrangement,
)
from invertdesc.methods.bovw import Bovw, grid_order
from invertdesc.methods.database import collect_database


def total_cost(words: torch.Tensor, places: torch.Tensor, beside: torch.Tensor) -> float:
    """Sum what an arrangement costs, term by term."""
    assert cost_of(words, places, beside) == pytest.approx(_total(words, places, beside))
    return _total(words, places, beside)


def _total(words: torch.Tensor, places: torch.Tensor, beside: torch.Tensor) -> float:
    own = places.gather(0, words.flatten()[None]).sum()
    pairs = (
        cost[a, b].sum() for cost, (a, b) in zip(beside.unbind(), pairs_of(words), strict=True)
    )
    return float(own + sum(pairs))


@pytest.fixture(scope="module")
def method(database: Callable[[str], Path]) -> Bovw:
    return Bovw("sift-dense", database=database("bovw"))


@pytest.fixture(scope="module")
def features() -> LocalFeatures:
    return extract(to_image(data.astronaut()[40:168, 90:250]), descriptor="sift-dense")


def costs(seed: int, words: int, places: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    own = torch.randn(words, places, generator=draw, dtype=torch.float64)
    return own, torch.randn(2, words, words, generator=draw, dtype=torch.float64)


def test_dense_sift_is_sift_at_the_middles_of_squares() -> None:
    image = to_image(data.astronaut()[:50, :70])
    found = extract(image, descriptor=create_descriptor("sift-dense", step=20, scale=1.5))
    assert found.keypoints.tolist() == [[x, y] for y in (9.5, 29.5) for x in (9.5, 29.5, 49.5)]
    assert found.orientations is None
    there = replace(found, descriptor="sift", orientations=torch.zeros(6))
    wanted = create_descriptor("sift").describe(image, there).features
    assert torch.equal(found.descriptors, wanted.descriptors)
    for name, bad in {"step": 0, "scale": 0.0}.items():
        with pytest.raises(InputError, match=rf"Expected {name} >=? [01], got {bad}\."):
            create_descriptor("sift-dense", **{name: bad})


def test_places_and_pairs_are_counted() -> None:
    truth = torch.tensor([[0, 1, 2], [3, 4, 5]])
    assert score_arrangement(truth, truth) == Placement(1.0, 1.0)
    # All a row down: nobody at home, every pair beside another still there, none below.
    assert score_arrangement(truth, truth.flip(0)) == Placement(0.0, 4 / 7)
    # Mirrored: what was left of another is right of it.
    assert score_arrangement(truth, truth.flip(1)) == Placement(1 / 3, 3 / 7)
    # A pair that is there once counts once.
    twice = torch.tensor([[0, 1], [0, 1]])
    assert score_arrangement(torch.tensor([[0, 1], [1, 0]]), twice).neighbours == 0.5 / 2


def test_more_starts_cost_no_more_and_sometimes_less(
    method: Bovw, database: Callable[[str], Path]
) -> None:
    many = Bovw("sift-dense", database=database("bovw"), starts=6)
    less = 0
    for seed in range(4):
        draw = torch.Generator().manual_seed(seed)
        bag = torch.randint(24, (48,), generator=draw).sort().values
        places = method.alpha * method._costs_of_places(bag, (6, 8))
        one, best = (
            total_cost(made.arrange(bag, (6, 8)), places, method.beside) for made in (method, many)
        )
        assert best <= one
        less += best < one - 1e-9
    assert less
    with pytest.raises(InputError, match="starts"):
        Bovw("sift-dense", database=database("bovw"), starts=0)


def test_the_start_has_the_least_cost_of_places() -> None:
    own, _ = costs(0, 3, 5)
    words = torch.tensor([0, 0, 1, 2, 2])
    found = start_arrangement(words, own)
    assert found.sort().values.tolist() == words.tolist()
    every = (own[list(order), range(5)].sum() for order in set(permutations(words.tolist())))
    assert float(own[found, range(5)].sum()) == pytest.approx(float(min(every)))


@pytest.mark.parametrize("seed", range(3))
def test_each_swap_is_worth_what_it_is_said_to_be(seed: int) -> None:
    own, beside = costs(seed, 4, 12)
    words = torch.randint(4, (3, 4), generator=torch.Generator().manual_seed(seed))
    told = _swaps(words, own, beside)
    before = total_cost(words, own, beside)
    for one in range(12):
        for other in range(12):
            swapped = words.flatten().clone()
            swapped[[one, other]] = swapped[[other, one]]
            change = total_cost(swapped.view(3, 4), own, beside) - before
            assert float(told[one, other]) == pytest.approx(change, abs=1e-9)


def test_climbing_ends_where_no_swap_gains() -> None:
    own, beside = costs(7, 6, 48)
    words = torch.randint(6, (6, 8), generator=torch.Generator().manual_seed(7))
    found = improve_arrangement(words, own, beside)
    assert found.flatten().sort().values.tolist() == words.flatten().sort().values.tolist()
    assert float(_swaps(found, own, beside).min()) > -1e-9
    assert total_cost(found, own, beside) < total_cost(words, own, beside) - 20


def test_each_round_lowers_the_cost() -> None:
    own, beside = costs(3, 6, 48)
    words = torch.randint(6, (6, 8), generator=torch.Generator().manual_seed(3))
    totals = [
        total_cost(improve_arrangement(words, own, beside, rounds), own, beside)
        for rounds in range(5)
    ]
    assert all(later < earlier for earlier, later in pairwise(totals))


def test_only_the_bag_counts(method: Bovw, features: LocalFeatures) -> None:
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(1))
    shuffled = replace(features, descriptors=features.descriptors[order])
    rows = features[order]  # the same keypoints, listed in another order
    wanted = method(FeatureBatch.collate([features]))
    assert torch.equal(method(FeatureBatch.collate([shuffled])), wanted)
    assert torch.equal(method(FeatureBatch.collate([rows])), wanted)
    batch = FeatureBatch.collate([features])
    assert method.measure(batch) == method.measure(FeatureBatch.collate([rows]))


def test_words_find_their_places_in_pictures_like_those_collected(tmp_path: Path) -> None:
    picture = to_image(data.astronaut()[:256, 100:356])
    draw = torch.Generator().manual_seed(0)
    for number in range(6):
        noisy = picture + 0.02 * torch.randn(picture.shape, generator=draw)
        write_image(noisy.clamp(0, 1), tmp_path / f"{number}.png")
    dense = create_descriptor("sift-dense")
    line = collect_database(
        "bovw", sorted(tmp_path.iterdir()), tmp_path / "words", descriptor=dense, words=48
    )
    assert line == "48 words of 'sift' in 6 pictures."
    batch = FeatureBatch.collate([extract(picture, descriptor=dense)])
    (found,) = Bovw(dense, database=tmp_path / "words").measure(batch)
    (random,) = Bovw(dense, database=tmp_path / "words", arrangement="random").measure(batch)
    assert found.words > 0.6
    assert found.neighbours > 0.6
    assert random.words < 0.15
    assert random.neighbours < 0.3


def test_a_random_arrangement_goes_by_its_seed(
    database: Callable[[str], Path], features: LocalFeatures
) -> None:
    made = {
        seed: create_method("bovw", database=database("bovw"), arrangement="random", seed=seed)
        for seed in (0, 1)
    }
    batch = FeatureBatch.collate([features])
    assert torch.equal(made[0](batch), made[0](batch))
    assert not torch.equal(made[0](batch), made[1](batch))
    turned = replace(features, descriptors=features.descriptors.flip(0))
    assert torch.equal(made[0](FeatureBatch.collate([turned])), made[0](batch))


def test_grids_are_told_from_what_is_none(method: Bovw, features: LocalFeatures) -> None:
    shape, order = grid_order(features.keypoints.flip(0))
    assert shape == (8, 10)
    assert order.tolist() == list(range(80))[::-1]
    assert grid_order(torch.zeros(0, 2))[0] == (0, 0)
    with pytest.raises(InputError, match="'sift-dense' and 'hog'"):
        method(FeatureBatch.collate([features[1:]]))
    uneven = torch.cartesian_prod(torch.tensor([0.0, 1.0, 3.0]), torch.tensor([0.0, 1.0]))
    with pytest.raises(InputError, match="make none"):
        grid_order(uneven)
    with pytest.raises(InputError, match="several at one"):
        grid_order(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))


def test_hog_has_a_grid_too(pictures_folder: Path, tmp_path: Path) -> None:
    images = sorted(pictures_folder.iterdir())[:2]
    collect_database("bovw", images, tmp_path / "words", descriptor="hog", words=8)
    batch = FeatureBatch.collate([extract(data.camera()[:64, :80], descriptor="hog")])
    picture = create_method("bovw", database=tmp_path / "words")(batch)
    assert picture.shape == (1, 3, 64, 80)
    assert float(picture.std()) > 0.1


def test_what_it_cannot_work_with_is_told(
    pictures_folder: Path, tmp_path: Path, database: Callable[[str], Path]
) -> None:
    images = sorted(pictures_folder.iterdir())[:1]
    with pytest.raises(InputError, match="regular grid"):
        collect_database("bovw", images, tmp_path / "x", descriptor="sift")
    with pytest.raises(InputError, match="words from 2 to 225"):
        collect_database("bovw", images, tmp_path / "x", descriptor="sift-dense", words=999)
    with pytest.raises(InputError, match="arrangement among 'learned', 'random'"):
        Bovw("sift-dense", database=database("bovw"), arrangement="best")
    assert not list(tmp_path.iterdir())


def test_pairs_are_those_right_of_and_below() -> None:
    beside, under = pairs_of(torch.tensor([[0, 1], [2, 3]]))
    assert [side.tolist() for side in (*beside, *under)] == [[0, 2], [1, 3], [0, 1], [2, 3]]
