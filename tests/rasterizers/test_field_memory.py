"""Forms of the field's operations that need less memory give the same values."""

import pytest
import torch
from skimage.data import astronaut

from invertdesc import FeatureBatch, extract
from invertdesc import image as images
from invertdesc.rasterizers import field as module
from invertdesc.rasterizers.field import (
    between_pixels,
    merge_parts,
    merge_pieces,
    move_between_pixels,
)


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_moving_in_place_is_moving(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SAMPLES_AT_ONCE", rows * 9)
    field = torch.rand(2, 7, 9, generator=torch.Generator().manual_seed(0))
    wanted = between_pixels(field)
    found = move_between_pixels(field)
    assert found.data_ptr() == field.data_ptr()
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("stride", [1, 2])
def test_merging_parts_is_merging(stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = FeatureBatch.collate([extract(astronaut()[:128, :160])])
    draw = torch.Generator().manual_seed(0)
    pieces = torch.randn(len(batch.keypoints), 2, 8, 8, generator=draw, dtype=torch.float64)
    assert batch.scales is not None
    assert batch.orientations is not None
    frames = 12 * batch.scales.double(), batch.orientations.double()
    wanted, _ = merge_pieces(pieces, batch, *frames, stride=stride)
    monkeypatch.setattr(module, "_KEYPOINTS_AT_ONCE", 17)
    assert torch.equal(
        merge_parts(lambda some: pieces[some], batch, *frames, stride=stride), wanted
    )


@pytest.mark.parametrize("mode", ["gamma", "luma"])
def test_grays_in_bands_are_those_of_the_whole(mode, monkeypatch: pytest.MonkeyPatch) -> None:
    image, gray = torch.rand(2, 3, 11, 6), torch.rand(2, 11, 6)
    wanted = images.to_gray(image, mode), images.with_gray(image, gray, mode)
    monkeypatch.setattr(images, "BAND", 24)
    found = images.to_gray(image, mode), images.with_gray(image, gray, mode)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
