from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from invertdesc import LocalFeatures, draw_keypoints, show, write_image
from invertdesc.errors import FileError, InputError
from invertdesc.image import to_uint8


def test_pictures_and_features_are_shown_side_by_side(
    astronaut: Tensor, astronaut_features: LocalFeatures
) -> None:
    shown = show(astronaut, astronaut_features, to_uint8(astronaut[:, :100]))
    pixels = np.asarray(shown)
    assert pixels.shape == (256, 3 * 256 + 2 * 6, 3)
    assert np.array_equal(pixels[:, :256], to_uint8(astronaut))
    assert (pixels[:, 256:262] == 255).all()
    assert np.array_equal(pixels[:, 262:518], to_uint8(draw_keypoints(astronaut_features)))
    assert np.array_equal(pixels[:100, 524:], to_uint8(astronaut[:, :100]))
    assert (pixels[100:, 524:] == 255).all()


def test_a_file_is_shown_and_a_missing_one_is_named(tmp_path: Path) -> None:
    write_image(torch.rand(3, 8, 9), tmp_path / "a.png")
    assert show(tmp_path / "a.png").size == (9, 8)
    with pytest.raises(FileError, match="found none at"):
        show(tmp_path / "b.png")


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(InputError, match="Expected pictures or features to show, got none"):
        show()
    with pytest.raises(InputError, match="got NoneType"):
        show(None)


def test_notebooks_display_features(astronaut_features: LocalFeatures) -> None:
    image = Image.open(BytesIO(astronaut_features._repr_png_()))
    assert image.format == "PNG"
    assert np.array_equal(np.asarray(image), to_uint8(draw_keypoints(astronaut_features)))
