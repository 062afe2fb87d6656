"""The kernel distance of sets of pictures."""

import itertools

import pytest
import torch

from invertdesc.errors import InputError
from invertdesc.evaluation.kid import kid, pooled


def test_it_is_the_mean_over_all_pairs_of_pictures() -> None:
    draw = torch.Generator().manual_seed(0)
    made, true = torch.randn(2, 6, 3, generator=draw, dtype=torch.float64)

    def kernel(x: torch.Tensor, y: torch.Tensor) -> float:
        return (float(x @ y) / 3 + 1) ** 3

    pairs = list(itertools.permutations(range(6), 2))
    total = sum(
        kernel(made[i], made[j])
        + kernel(true[i], true[j])
        - kernel(made[i], true[j])
        - kernel(made[j], true[i])
        for i, j in pairs
    )
    assert kid(made, true).value == pytest.approx(total / len(pairs))


def test_its_error_is_that_of_repeated_draws() -> None:
    draw = torch.Generator().manual_seed(1)
    found = []
    for _ in range(200):
        made, true = torch.randn(2, 60, 2, generator=draw)
        found.append(kid(made + 0.8, true))
    values = torch.tensor([one.value for one in found])
    errors = torch.tensor([one.error for one in found])
    assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.15)


def test_sets_of_one_kind_are_near_though_every_picture_is_another() -> None:
    draw = torch.Generator().manual_seed(2)
    made, true = torch.randn(2, 300, 8, generator=draw)
    same, blurred = kid(made, true), kid(0.3 * made, true)
    assert abs(same.value) < 3 * same.error
    assert blurred.value > 5 * blurred.error


def test_features_are_averaged_over_places() -> None:
    pictures = [torch.full((3, 4, 6), 0.25), torch.full((3, 9, 2), 0.5)]
    assert pooled(lambda batch: 2 * batch, pictures).tolist() == [[0.5] * 3, [1.0] * 3]


def test_sets_must_be_alike() -> None:
    with pytest.raises(InputError, match=r"got \(2, 3\) and \(2, 3\)"):
        kid(torch.zeros(2, 3), torch.zeros(2, 3))
