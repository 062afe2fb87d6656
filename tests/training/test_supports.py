from pathlib import Path

import pytest
import torch

from invertdesc import FeatureBatch, FieldRasterizer, LocalFeatures, create_descriptor
from invertdesc.errors import InputError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray
from invertdesc.training.supports import COARSE, fit_supports
from invertdesc.unfolding.unfolding import Unfolding


@pytest.fixture(scope="module")
def described(astronaut: torch.Tensor) -> list[tuple[torch.Tensor, LocalFeatures]]:
    return [(astronaut, create_descriptor("daisy").extract(astronaut))]


@pytest.fixture(scope="module")
def fitted(described: list[tuple[torch.Tensor, LocalFeatures]]) -> Unfolding:
    return fit_supports(create_descriptor("daisy"), described, [96.0])


def test_two_supports_are_nearer_than_one(
    described: list[tuple[torch.Tensor, LocalFeatures]], fitted: Unfolding
) -> None:
    image, features = described[0]
    batch, daisy = FeatureBatch.collate([features]), create_descriptor("daisy")
    alone = Unfolding(**{**vars(fitted), "others": (), "gains": None})
    one, both = (
        float(ncc(FieldRasterizer(daisy, unfolding=part)(batch).picture[0, 0], to_gray(image)))
        for part in (alone, fitted)
    )
    assert both > one + 0.01


def test_details_are_of_the_first_map_alone(fitted: Unfolding) -> None:
    assert fitted.gains.shape == (2, 7)
    assert (fitted.gains[1, COARSE:] == 0).all()
    assert fitted.gains[0, COARSE:].unique().numel() == 1
    assert fitted.others[0].frame.support == 96.0
    assert fitted.frame == create_descriptor("daisy").frame


def test_supports_survive_a_file(fitted: Unfolding, tmp_path: Path) -> None:
    fitted.save(tmp_path / "two.safetensors")
    loaded = Unfolding.load(tmp_path / "two.safetensors")
    assert torch.equal(loaded.gains, fitted.gains)
    assert loaded.others[0].frame == fitted.others[0].frame
    torch.testing.assert_close(
        loaded.others[0].matrix, fitted.others[0].matrix, atol=1e-4, rtol=1e-3
    )


def test_pieces_and_batches(
    described: list[tuple[torch.Tensor, LocalFeatures]], fitted: Unfolding
) -> None:
    """Given pieces replace all maps; a picture does not depend on its batch."""
    features = described[0][1]
    rasterizer = FieldRasterizer(create_descriptor("daisy"), unfolding=fitted, stride=2)
    one = FeatureBatch.collate([features])
    two = FeatureBatch.collate([features[:50], features])
    torch.testing.assert_close(rasterizer(one).picture[0], rasterizer(two).picture[1])
    zero = rasterizer(one, torch.zeros(len(features), 2, 8, 8))
    assert float(zero.picture.abs().max()) == 0
    none = rasterizer(FeatureBatch.collate([features[:0]]))
    assert float(none.picture.abs().max()) == 0


def test_flat_pictures_cannot_be_fitted_to() -> None:
    daisy = create_descriptor("daisy")
    flat = torch.full((3, 64, 64), 0.5)
    with pytest.raises(InputError, match="found none"):
        fit_supports(daisy, [(flat, daisy.extract(flat))], [96.0])
