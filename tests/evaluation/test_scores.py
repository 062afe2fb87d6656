"""The one ruler, and the floors: tables and audits measure alike."""

import pytest
import torch

from invertdesc import audit, evaluate, extract, reconstruct
from invertdesc.errors import InputError
from invertdesc.evaluation.baselines import FLAT, flat_picture, shuffled
from invertdesc.evaluation.scores import Ruler, Scores, mean_of


@pytest.fixture(scope="module")
def image(astronaut: torch.Tensor) -> torch.Tensor:
    return astronaut[:, :120, 50:210].contiguous()


def test_tables_and_audits_give_the_same_numbers(image: torch.Tensor) -> None:
    (row,) = evaluate([image], method="poisson", floors=False)
    found = audit([image], method="poisson", threats=[], defences=[])
    scores = found.row("everything").scores
    for name in ("ncc", "gradient", "ssim", "psnr"):
        assert getattr(row, name) == getattr(scores, name)
    (flat,) = (row for row in evaluate([image], floors=["flat"]) if row.knows == "flat")
    assert flat.psnr == pytest.approx(found.row("flat").scores.psnr)


def test_inside_of_a_hole_only_the_hole_counts(image: torch.Tensor) -> None:
    features = extract(image)
    picture = reconstruct(features, method="poisson")
    box = (40, 30, 90, 80)
    broken = torch.full_like(picture, 0.3)
    broken[:, 30:80, 40:90] = picture[:, 30:80, 40:90]
    ruler = Ruler(faces=False, hole=box)
    assert ruler.full(features, broken, image) == ruler.full(features, picture, image)
    assert ruler.full(features, broken, image) != Ruler(faces=False).full(features, broken, image)


def test_distances_are_measured_under_their_names(image: torch.Tensor) -> None:
    ruler = Ruler(distances={"lpips": lambda a, b: (a - b).abs().max()}, faces=False)
    scores = ruler.full(extract(image), image, image)
    assert (scores.lpips, scores.vgg, scores.psnr) == (0.0, None, 100.0)
    with pytest.raises(InputError, match="vgg, lpips, got 'l2'"):
        Ruler(distances={"l2": lambda a, b: a.sum()})


def test_pictures_smaller_than_the_window_have_no_ssim(image: torch.Tensor) -> None:
    features = extract(image)
    assert Ruler(faces=False, hole=(0, 0, 8, 8)).full(features, image, image).ssim is None
    with pytest.raises(InputError, match="at least 11 pixels"):
        evaluate([image], method="poisson", floors=False, hole=(0, 0, 8, 8))


def test_means_are_over_the_images_that_have_a_number() -> None:
    mean = mean_of([Scores(ncc=0.25, faces=1.0), Scores(ncc=0.75), Scores()])
    assert mean == Scores(ncc=0.5, faces=1.0)


def test_floors_are_fixed(image: torch.Tensor) -> None:
    assert torch.equal(flat_picture((4, 6)), torch.full((3, 4, 6), FLAT))
    features = extract(image)
    first, again = shuffled(features), shuffled(features)
    assert torch.equal(first.descriptors, again.descriptors)
    assert not torch.equal(first.descriptors, features.descriptors)
    assert torch.equal(first.keypoints, features.keypoints)
