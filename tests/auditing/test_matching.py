"""Matches with a second picture, whose every point is known."""

import pytest
import torch
from skimage import data

from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.matching import Matching, count_correct, second_view
from invertdesc.auditing.subjects import Subject
from invertdesc.auditing.threats import EVERYTHING
from invertdesc.auditing.typical import Typical
from invertdesc.descriptors import Descriptor
from invertdesc.image import to_image


def test_points_go_where_the_picture_goes() -> None:
    image = torch.zeros(3, 101, 141)
    image[:, 29:32, 99:102] = 1  # a spot at (100, 30)
    view = second_view(image)
    seen = view.picture[0]
    rows, columns = torch.meshgrid(torch.arange(101.0), torch.arange(141.0), indexing="ij")
    spot = torch.stack([(seen * columns).sum(), (seen * rows).sum()]) / seen.sum()
    torch.testing.assert_close(view.where(torch.tensor([[100.0, 30.0]]))[0], spot, atol=0.2, rtol=0)


def test_only_mutual_matches_in_the_right_place_count() -> None:
    places = torch.tensor([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    away = torch.tensor([[0.1, 1.0, 1.0], [1.0, 0.1, 1.0], [1.0, 0.2, 0.3]])
    assert count_correct(away, places, places) == 2  # the third prefers the second's
    assert count_correct(away, places, places + 2) == 2
    assert count_correct(away, places, places + 4) == 0
    assert count_correct(torch.zeros(0, 3), places[:0], places) == 0


@pytest.fixture(scope="module")
def matching(sift: Descriptor, typical: Typical) -> Matching:
    image = to_image(data.astronaut()[:256, 100:356])
    return Matching(sift, [Subject("astronaut", sift.extract(image), image)], typical)


def test_no_defence_keeps_all(matching: Matching) -> None:
    assert matching.kept(EVERYTHING.at()) == 1.0


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("permute", 1.0, 1.0),
        ("drop-fields", 1.0, 1.0),
        ("avoid-faces", 1.0, 1.0),  # where no face is given
        ("quantise", 0.5, 1.1),
        ("keep-random", 0.01, 0.25),
        ("lift", 0.5, 1.1),
        ("ldp-noise", 0.01, 0.9),
    ],
)
def test_defences_cost_matches(matching: Matching, name: str, low: float, high: float) -> None:
    if name == "avoid-faces":
        matching.subjects[0].__dict__["faces"] = []
    kept = matching.kept(DEFENCES[name].at())
    assert kept is not None
    assert low <= kept <= high


def test_without_originals_nothing_is_matched(
    matching: Matching, sift: Descriptor, typical: Typical
) -> None:
    (one,) = matching.subjects
    bare = Matching(sift, [Subject("bare", one.features)], typical)
    assert bare.kept(EVERYTHING.at()) is None
