"""Files that are extracted and reconstructed, in Python."""

from pathlib import Path

import pytest
import torch

from invertdesc import LocalFeatures, extract, extract_folder, reconstruct, reconstruct_store
from invertdesc.bulk import Outcome, plan_files, reconstruct_files
from invertdesc.errors import InputError
from invertdesc.image import read_image, write_image


@pytest.fixture
def photos(tmp_path: Path, astronaut: torch.Tensor) -> Path:
    write_image(astronaut, tmp_path / "photos/cam0/a.png")
    write_image(astronaut[:, :200], tmp_path / "photos/cam1/a.png")
    (tmp_path / "photos/cam1/bad.png").write_text("no image")
    return tmp_path / "photos"


def test_a_folder_of_images_becomes_a_store(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes: list[Outcome] = []
    summary = extract_folder(photos, tmp_path / "features", on_outcome=outcomes.append)
    assert (summary.total, summary.made, summary.failed, summary.complete) == (3, 2, 1, False)
    assert [one.error is None for one in outcomes].count(False) == 1
    assert capsys.readouterr() == ("", "")
    read = LocalFeatures.load(tmp_path / "features/cam0/a.npz")
    given = extract(read_image(photos / "cam0/a.png"))
    assert torch.equal(read.descriptors, given.descriptors)
    made = reconstruct_store(tmp_path / "features", tmp_path / "out", method="poisson")
    assert made.made == 2


def test_files_are_reconstructed_as_by_reconstruct(photos: Path, tmp_path: Path) -> None:
    plan = plan_files(photos / "cam0", tmp_path / "out", ".png")
    assert reconstruct_files(plan, method="poisson").made == 1
    write_image(reconstruct(photos / "cam0/a.png", method="poisson"), tmp_path / "alone.png")
    assert (tmp_path / "out/a.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    with pytest.raises(InputError, match="batch_size >= 1"):
        reconstruct_files(plan, batch_size=0)
    with pytest.raises(InputError, match="image suffix"):
        reconstruct_files({photos: tmp_path / "out.txt"})
