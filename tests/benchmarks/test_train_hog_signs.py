"""The tool that trains the network for HOG's signs reads folders as its readers give them."""

from pathlib import Path

import torch
from skimage import data

from invertdesc.image import to_image, write_image


def test_a_folder_becomes_cells_of_each_reader_and_small_pictures(tmp_path: Path) -> None:
    from train_hog_signs import BATCH, READERS, draw, read_folder

    for name, picture in (("a.png", data.astronaut()), ("b.png", data.coffee())):
        write_image(to_image(picture[:256, 128:384]), tmp_path / name)
    cells, small = read_folder(tmp_path)
    assert [kept.shape for kept in cells] == [(2, 32, 32, 9)] * len(READERS)
    assert small.shape == (2, 64, 64)
    assert all(bool(torch.isfinite(kept).all()) for kept in cells)
    drawn, truth = draw([(cells, small)], 0)
    assert len(drawn) == len(truth) == BATCH
    assert truth.shape[-2:] == (2 * drawn.shape[1], 2 * drawn.shape[2])
