"""Who is recognised, and which picture is picked, with recognisers made by hand."""

from collections.abc import Sequence

import pytest
import torch
from skimage import data

from invertdesc.errors import InputError
from invertdesc.evaluation.dlib_faces import DlibRecogniser
from invertdesc.evaluation.recognition import Bounded, Bounds, Face, bounds_of, overlapping
from invertdesc.evaluation.understanding import Understood, Viewer, fingerprint
from invertdesc.image import to_image, with_gray

BOX = (0.0, 0.0, 4.0, 4.0)


class ByBrightness:
    """Takes a picture for one face, and its mean for who it is; black pictures have no face."""

    name = "brightness"
    bounds: Bounds | None = Bounds(0.1, 0.02, "by hand")

    def faces(self, picture: torch.Tensor) -> list[Face]:
        mean = picture.mean()
        return [Face(BOX, mean[None])] if mean > 0 else []

    def again(self, picture: torch.Tensor, faces: Sequence[Face]) -> list[Face | None]:
        return overlapping(self.faces(picture), faces)

    def distance(self, one: torch.Tensor, other: torch.Tensor) -> float:
        return float((one - other).abs())


def plain(value: float) -> torch.Tensor:
    return torch.full((3, 8, 8), value)


def look(picture: torch.Tensor, *originals: torch.Tensor | None) -> Understood:
    return Viewer(originals, ByBrightness()).look(0, picture)


def test_a_face_is_accepted_up_to_the_bound() -> None:
    for made, loose, strict in ((0.51, 1.0, 1.0), (0.55, 1.0, 0.0), (0.7, 0.0, 0.0)):
        found = look(plain(made), plain(0.5), plain(0.9))
        assert (found.recognised, found.recognised_strict) == (loose, strict)
        assert found.identity == pytest.approx(made - 0.5, abs=1e-5)


def test_a_face_that_is_not_found_is_refused() -> None:
    found = look(plain(0.0), plain(0.5), plain(0.55))
    assert found.identity is None
    assert (found.recognised, found.recognised_strict, found.impostors) == (0.0, 0.0, 0.0)


def test_strangers_that_are_accepted_are_counted() -> None:
    found = look(plain(0.5), plain(0.5), plain(0.55), plain(0.9), plain(0.0))
    assert found.impostors == 0.5  # one of two; the black one has no face
    assert look(plain(0.5), plain(0.5)).impostors is None


def test_without_a_face_or_an_original_nothing_is_said_of_people() -> None:
    assert look(plain(0.5), plain(0.0), plain(0.5)).recognised is None
    assert look(plain(0.5), None, plain(0.5)) == Understood()


def test_without_bounds_there_is_a_distance_alone() -> None:
    viewer = Viewer([plain(0.5)], Bounded(ByBrightness(), None))
    found = viewer.look(0, plain(0.75))
    assert found.identity == pytest.approx(0.25)
    assert found.recognised is None


def test_bounds_are_what_one_in_a_hundred_pairs_is_below() -> None:
    gallery = [plain((n + 1) / 100) for n in range(50)]
    bounds = bounds_of(ByBrightness(), gallery, "by hand")
    # Of 1,225 pairs 49 are 0.01 apart: the hundredth lies among them.
    assert bounds.loose == pytest.approx(0.01, abs=1e-4)
    assert bounds.strict == pytest.approx(0.01, abs=1e-4)
    assert bounds.source == "by hand: 50 faces, 1,225 pairs"
    with pytest.raises(InputError, match="at least 15 faces"):
        bounds_of(ByBrightness(), gallery[:9], "too few")


def test_the_right_picture_is_picked_whatever_its_brightness() -> None:
    names = ("astronaut", "camera", "chelsea", "coffee", "rocket")
    pictures = [to_image(getattr(data, name)()) for name in names]
    viewer = Viewer(pictures[:3], others=pictures[3:])
    assert viewer.candidates == 5
    dark = with_gray(pictures[1], 0.2 + 0.3 * pictures[1].mean(0))
    blurred = torch.nn.functional.avg_pool2d(dark, 9, 1, 4)
    assert [viewer.look(number, blurred).picked for number in (0, 1, 2)] == [0.0, 1.0, 0.0]
    assert viewer.look(0, pictures[3]).picked == 0.0  # a picture that is none of the originals


def test_fingerprints_of_flat_and_tiny_pictures_are_finite() -> None:
    for picture in (plain(0.5), torch.rand(3, 1, 5)):
        assert torch.isfinite(fingerprint(picture)).all()


def test_one_picture_alone_is_not_picked() -> None:
    assert Viewer([plain(0.5)]).look(0, plain(0.5)).picked is None


def test_dlib_knows_a_person_again() -> None:
    pytest.importorskip("dlib")
    pytest.importorskip("face_recognition_models")
    recogniser = DlibRecogniser()
    woman = to_image(data.astronaut()[:200, 110:350])
    (face,) = recogniser.faces(woman)
    small = torch.nn.functional.avg_pool2d(woman, 2)
    (again,) = recogniser.faces(small.flip(2))
    assert recogniser.bounds is not None
    assert recogniser.distance(face.embedding, again.embedding) < recogniser.bounds.strict
    assert recogniser.faces(to_image(data.coffee())) == []
    assert recogniser.again(torch.zeros_like(woman), [face]) == [None]
