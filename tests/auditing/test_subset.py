"""Sets of words of a public dictionary: what is drawn, read back, and matched."""

import math

import pytest
import torch
from skimage import data

from invertdesc import LocalFeatures
from invertdesc.auditing.attacks.attack import NAIVE
from invertdesc.auditing.attacks.lab import Lab
from invertdesc.auditing.attacks.public import Public
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.defences.subset import (
    chance_of,
    draw_sets,
    far_from_words,
    read_first,
    read_mean,
    replace_by_words,
    set_size,
)
from invertdesc.auditing.surroundings import Surroundings
from invertdesc.auditing.typical import Typical
from invertdesc.descriptors import Descriptor
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import to_image
from invertdesc.methods.poisson import Poisson

SURE = 1e6  # an epsilon at which the right word is always stored, alone


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_right_word_is_stored_as_often_as_the_mechanism_says() -> None:
    true = torch.arange(5000) % 50
    rows = draw_sets(true, 50, 2.0, draws())
    size, chance = set_size(50, 2.0), chance_of(50, 6, 2.0)
    assert (size, rows.shape) == (6, (5000, 6))
    # By hand: sets with the right word, each exp(2) times as likely as one without it.
    inside, outside = math.comb(49, 5) * math.exp(2.0), math.comb(49, 6)
    assert chance == pytest.approx(inside / (inside + outside))
    there = (rows == true[:, None]).any(1).float().mean()
    assert float(there) == pytest.approx(chance, abs=4 * 0.5 / 5000**0.5)


def test_sets_have_different_words_in_an_order_that_tells_nothing() -> None:
    rows = draw_sets(torch.arange(300) % 40, 40, 1.0, draws())
    assert bool((rows.diff(dim=1) > 0).all())
    assert (int(rows.min()), int(rows.max())) == (0, 39)


def test_wrong_words_are_equally_likely() -> None:
    rows = draw_sets(torch.zeros(20_000, dtype=torch.int64), 10, 1.0, draws())
    counts = torch.bincount(rows.flatten(), minlength=10)[1:].float()
    assert float((counts / counts.mean() - 1).abs().max()) < 0.05


def test_with_a_large_epsilon_the_nearest_word_is_stored_and_matched(
    stored: LocalFeatures, around: Surroundings
) -> None:
    some = stored[:20]
    dictionary = around.typical.dictionary
    nearest = dictionary[torch.cdist(some.descriptors, dictionary).argmin(1)]
    assert replace_by_words(some, SURE, around).rows.shape == (20, 1)
    torch.testing.assert_close(read_first(some, SURE, around).descriptors, nearest)
    torch.testing.assert_close(read_mean(some, SURE, around).descriptors, nearest)
    away = far_from_words(some, stored[20:25], SURE, around)
    torch.testing.assert_close(away, torch.cdist(nearest, stored.descriptors[20:25]))


def test_who_knows_the_dictionary_sees_more(
    sift: Descriptor, typical: Typical, stored: LocalFeatures
) -> None:
    pictures = [to_image(getattr(data, name)()[::2, ::2]) for name in ("rocket", "coffee")]
    lab = Lab(sift, Poisson(sift), Public.of(sift, pictures), typical)
    scenario = DEFENCES["ldp-feat"].at(8.0)
    whole = lab.method(FeatureBatch.collate([stored]))[0]

    def likeness(attack: object) -> float:
        known = scenario.apply(stored, sift, typical, seed=0, image=0, attack=attack)  # type: ignore[arg-type]
        made = lab.method_for(scenario, attack)(FeatureBatch.collate([known]))[0]  # type: ignore[arg-type]
        return float(torch.corrcoef(torch.stack([made.flatten(), whole.flatten()]))[0, 1])

    naive, mean, fitting = (likeness(one) for one in (NAIVE, *scenario.attacks))
    assert mean > naive + 0.1
    assert fitting > naive + 0.1
