"""Each threat takes away what it says, and nothing else."""

from dataclasses import replace

import pytest
import torch

from invertdesc import LocalFeatures, create_descriptor, recover_frames
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.kinds import choose
from invertdesc.auditing.threats import EVERYTHING, SHUFFLED, THREATS
from invertdesc.auditing.typical import Typical
from invertdesc.descriptors import Descriptor
from invertdesc.errors import InputError, MissingFieldError, NotApplicableError, UnknownNameError

FIELDS = ("keypoints", "descriptors", "scales", "orientations", "scores")
ALL = [*THREATS.values(), *DEFENCES.values(), SHUFFLED]


def attack(
    name: str,
    features: LocalFeatures,
    typical: Typical,
    value: object = None,
    *,
    seed: int = 0,
    image: int = 0,
) -> LocalFeatures:
    kind = {**THREATS, **DEFENCES, "shuffled": SHUFFLED}[name]
    return kind.at(value).apply(features, typical.adapter, typical, seed=seed, image=image)


def changed(one: LocalFeatures, other: LocalFeatures) -> set[str]:
    return {name for name in FIELDS if not torch.equal(getattr(one, name), getattr(other, name))}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("everything", set()),
        ("no-scale", {"scales"}),
        ("no-orientation", {"orientations"}),
        ("no-frame", {"scales", "orientations"}),
        ("coordinates", {"descriptors"}),
        ("quantised", {"descriptors"}),
        ("noisy", {"descriptors"}),
        ("permute", {"descriptors"}),
        ("shuffled", {"descriptors"}),
        ("quantise", {"descriptors"}),
        ("ldp-noise", {"descriptors"}),
        ("lift", {"descriptors"}),
        ("lift-hybrid", {"descriptors"}),
    ],
)
def test_only_what_is_named_changes(
    stored: LocalFeatures, typical: Typical, name: str, fields: set[str]
) -> None:
    assert changed(attack(name, stored, typical), stored) == fields


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_what_is_stored_stays_and_a_seed_repeats(
    stored: LocalFeatures, typical: Typical, kind: object
) -> None:
    name = kind.name  # type: ignore[attr-defined]
    before = {field: getattr(stored, field).clone() for field in FIELDS}
    first = attack(name, stored, typical, seed=5, image=1)
    again = attack(name, stored, typical, seed=5, image=1)
    assert all(torch.equal(getattr(stored, field), before[field]) for field in FIELDS)
    shared = [f for f in FIELDS if getattr(first, f) is not None]
    assert all(torch.equal(getattr(first, f), getattr(again, f)) for f in shared)


@pytest.mark.parametrize(
    "name", ["random", "noisy", "shuffled", "keep-random", "ldp-noise", "lift", "permute"]
)
def test_another_seed_draws_anew(stored: LocalFeatures, typical: Typical, name: str) -> None:
    one, other = (attack(name, stored, typical, seed=seed) for seed in (0, 1))
    assert not torch.equal(one.descriptors, other.descriptors)


def test_guesses_stand_for_what_is_missing(stored: LocalFeatures, typical: Typical) -> None:
    scales = attack("no-scale", stored, typical, 3).scales
    turns = attack("no-orientation", stored, typical, 0.5).orientations
    both = attack("no-frame", stored, typical, 4)
    assert scales is not None
    assert turns is not None
    assert set(scales.tolist()) == {3.0}
    assert set(turns.tolist()) == {0.5}
    assert both.scales is not None
    assert both.orientations is not None
    assert both.scales.unique().tolist() + both.orientations.unique().tolist() == [4.0, 0.0]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("no-scale", ("scales",)),
        ("no-orientation", ("orientations",)),
        ("no-frame", ("scales", "orientations")),
    ],
)
def test_what_is_missing_is_recovered(
    stored: LocalFeatures, typical: Typical, name: str, fields: tuple[str, ...]
) -> None:
    scenario = THREATS[name].at()
    answer = next(one for one in scenario.attacks if one.name == "recovered")
    found = scenario.apply(stored, typical.adapter, typical, seed=0, image=0, attack=answer)
    own = recover_frames(stored.without(*fields), descriptor=typical.adapter)
    for field in fields:
        assert torch.equal(getattr(found, field), getattr(own, field))


def test_without_a_network_nothing_is_recovered(picture: torch.Tensor) -> None:
    latch = create_descriptor("latch")
    features, scenario, known = (
        latch.extract(picture),
        THREATS["no-orientation"].at(),
        Typical(latch),
    )
    answer = next(one for one in scenario.attacks if one.name == "recovered")
    with pytest.raises(NotApplicableError, match="No network that recovers"):
        scenario.apply(features, latch, known, seed=0, image=0, attack=answer)
    assert len(attack("no-orientation", features, known)) == len(features)


def test_descriptors_alone_know_nothing_of_places(stored: LocalFeatures, typical: Typical) -> None:
    elsewhere = replace(
        stored,
        keypoints=stored.keypoints.flip(0),
        scales=torch.full_like(stored.keypoints[:, 0], 7.0),
        orientations=torch.ones_like(stored.keypoints[:, 0]),
        scores=torch.zeros_like(stored.keypoints[:, 0]),
        image_size=(500, 400),
    )
    one, other = (attack("descriptors", f, typical) for f in (stored, elsewhere))
    assert one.image_size == other.image_size
    assert torch.equal(one.descriptors, stored.descriptors[: len(one)])
    assert all(torch.equal(getattr(one, f), getattr(other, f)) for f in FIELDS if f != "scores")
    assert one.scores is None
    assert other.scores is None


def test_coordinates_alone_know_nothing_of_descriptors(
    stored: LocalFeatures, typical: Typical
) -> None:
    other = replace(stored, descriptors=stored.descriptors.flip(1))
    made = [attack("coordinates", f, typical).descriptors for f in (stored, other)]
    assert torch.equal(*made)
    assert len(made[0].unique(dim=0)) == 1


def test_shares_are_counted_and_lie_in_each_other(stored: LocalFeatures, typical: Typical) -> None:
    for name in ("strongest", "random", "keep-strongest", "keep-random"):
        few, more = (attack(name, stored, typical, share) for share in (0.1, 0.5))
        assert len(few) == round(0.1 * len(stored))
        assert len(more) == round(0.5 * len(stored))
        rows = {tuple(row) for row in more.descriptors.tolist()}
        assert all(tuple(row) in rows for row in few.descriptors.tolist())
    assert len(attack("random", stored, typical, 0.0)) == 1


def test_the_strongest_have_the_highest_scores() -> None:
    features = LocalFeatures(
        keypoints=torch.zeros(4, 2),
        descriptors=torch.arange(4.0)[:, None].expand(4, 128).contiguous(),
        image_size=(8, 8),
        descriptor="sift",
        scores=torch.tensor([0.1, 0.9, 0.5, 0.7]),
    )
    kept = attack("strongest", features, Typical(create_descriptor("sift")), 0.5)
    assert kept.descriptors[:, 0].tolist() == [1.0, 3.0]


def test_nothing_is_left_in_the_hole(stored: LocalFeatures, typical: Typical) -> None:
    box = (80.0, 60.0, 160.0, 140.0)
    around = attack("outside", stored, typical, (80, 60, 160, 140))
    assert len(around.inside(box)) == 0
    assert len(around) == len(stored) - len(stored.inside(box)) < len(stored)
    middle = attack("outside", stored, typical)
    assert len(middle) == len(stored.outside((60, 50, 180, 150))) < len(stored)


def test_one_secret_order_serves_all_images(stored: LocalFeatures, typical: Typical) -> None:
    marked = replace(stored, descriptors=torch.arange(128.0).expand(len(stored), -1).contiguous())
    orders = [attack("permute", marked, typical, image=n).descriptors for n in (0, 1)]
    assert torch.equal(*orders)
    assert len(orders[0].unique(dim=0)) == 1
    assert orders[0][0].sort().values.tolist() == list(range(128))


def test_images_draw_apart(stored: LocalFeatures, typical: Typical) -> None:
    one, other = (attack("shuffled", stored, typical, image=n) for n in (0, 1))
    assert not torch.equal(one.descriptors, other.descriptors)


@pytest.mark.parametrize("name", ["quantised", "quantise"])
def test_bits_cannot_be_coarser(
    stored_bits: LocalFeatures, typical_bits: Typical, name: str
) -> None:
    with pytest.raises(InputError, match="bits"):
        attack(name, stored_bits, typical_bits)


def test_what_a_descriptor_does_not_use_is_no_loss(picture: torch.Tensor) -> None:
    brief = create_descriptor("brief")
    features = brief.extract(picture)
    kinds = ("no-scale", "no-orientation", "no-frame")
    for name in kinds:
        with pytest.raises(NotApplicableError):
            attack(name, features, Typical(brief))


def test_without_scores_none_is_strongest(stored: LocalFeatures, typical: Typical) -> None:
    with pytest.raises(MissingFieldError, match="scores"):
        attack("strongest", stored.without("scores"), typical)


def test_a_grid_of_vectors_hides_no_place(picture: torch.Tensor) -> None:
    hog = create_descriptor("hog")
    with pytest.raises(NotApplicableError, match="gives its position"):
        attack("descriptors", hog.extract(picture), Typical(hog))


def test_bits_stay_bits(stored_bits: LocalFeatures, typical_bits: Typical, orb: Descriptor) -> None:
    for name in ("noisy", "permute", "coordinates", "ldp-noise", "lift", "lift-hybrid"):
        made = attack(name, stored_bits, typical_bits)
        assert made.descriptors.dtype == torch.uint8
        assert set(orb.encode(made.descriptors).unique().tolist()) == {-1.0, 1.0}
    ones = [attack("permute", stored_bits, typical_bits), stored_bits]
    counts = [orb.encode(f.descriptors).sum(1) for f in ones]
    assert torch.equal(*counts)


def test_names_and_values_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean strongest"):
        choose(THREATS, [("strongst", None)], "threat")
    with pytest.raises(InputError, match="value of 0 to 1"):
        choose(THREATS, [("strongest", 1.5)], "threat")
    with pytest.raises(InputError, match="without a value"):
        choose(THREATS, [("everything", 1)], "threat")
    for box in ("1,2,3", "5,5,1,1", "0,0,inf,9", 3):
        with pytest.raises(InputError, match="Expected a box"):
            choose(THREATS, [("outside", box)], "threat")
    assert [one.name for one in choose(DEFENCES, None, "defence")] == list(DEFENCES)
    (half,) = choose(THREATS, [("strongest", 0.5)], "threat")
    assert half.title == "The strongest 50 %"
    assert "50 %" in half.sentence


def test_sentences_are_whole() -> None:
    for kind in (*ALL, EVERYTHING):
        scenario = kind.at()
        assert scenario.sentence.endswith(".")
        assert "{" not in scenario.sentence + scenario.title
