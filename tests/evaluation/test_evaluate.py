import csv
import json
from pathlib import Path

import pytest
import torch
from skimage import data

from invertdesc import create_method, extract, reconstruct
from invertdesc.errors import InputError
from invertdesc.evaluation.baselines import MeanPicture
from invertdesc.evaluation.evaluate import evaluate
from invertdesc.evaluation.metrics import ncc, ssim
from invertdesc.evaluation.tables import format_table, save_table
from invertdesc.image import to_gray, to_image


@pytest.fixture(scope="module")
def images() -> list[torch.Tensor]:
    return [to_image(picture[:128, :160]) for picture in (data.coffee(), data.chelsea())]


def test_means_are_those_of_the_single_pictures(images: list[torch.Tensor]) -> None:
    row, *_ = evaluate(images, method="poisson", floors=False)
    features = extract(images)
    grays = [to_gray(image) for image in images]
    made = [to_gray(picture) for picture in reconstruct(features, method="poisson")]
    assert row.images == 2
    assert row.keypoints == pytest.approx(sum(map(len, features)) / 2)
    for name, measure in (("ncc", ncc), ("ssim", ssim)):
        values = [float(measure(a, b)) for a, b in zip(made, grays, strict=True)]
        assert getattr(row, name) == pytest.approx(sum(values) / 2, abs=1e-5)
        if name == "ncc":  # of two values: half their distance
            assert row.ncc_error == pytest.approx(abs(values[0] - values[1]) / 2, abs=1e-5)
    one, *_ = evaluate(images[:1], method="poisson", floors=False)
    assert one.ncc_error is None


def test_floors_are_below(images: list[torch.Tensor]) -> None:
    rows = {row.knows: row for row in evaluate(images)}
    assert list(rows) == ["everything", "orientation unknown", "shuffled", "flat"]
    assert rows["flat"].ncc == pytest.approx(0, abs=1e-6)
    assert rows["everything"].ncc > rows["shuffled"].ncc + 0.2
    assert rows["everything"].ssim > rows["flat"].ssim
    text = format_table(list(rows.values()))
    line = text.splitlines()[0]  # what is the same for all methods, once
    assert line.startswith("images, sift: images 2, keypoints an image ")
    assert max(map(len, text.splitlines())) <= 120
    assert "| knows               | reconstruct_ms | ncc" in text.splitlines()[2]


def test_images_of_other_sizes_and_without_keypoints_count(images: list[torch.Tensor]) -> None:
    row, *_ = evaluate([images[0], torch.full((3, 64, 48), 0.5), images[1]], floors=False)
    assert row.images == 3


def test_collisions_are_percentages_of_keypoints() -> None:
    from invertdesc import LocalFeatures
    from invertdesc.evaluation.evaluate import _collisions

    features = LocalFeatures(
        keypoints=torch.tensor([[0.0, 0.0], [1.0, 1.0], [3.0, 3.0], [9.0, 9.0]]),
        descriptors=torch.zeros(4, 128),
        image_size=(16, 16),
        descriptor="sift",
    )
    assert _collisions(features) == [25.0, 50.0]


def test_pictures_are_handed_on(images: list[torch.Tensor]) -> None:
    kept: list[str] = []
    evaluate(images, method=create_method("poisson"), keep=lambda *shown: kept.append(shown[1]))
    assert kept.count("everything") == 2


def test_no_images_raise() -> None:
    with pytest.raises(InputError, match="at least one image"):
        evaluate([])


def test_tables_are_saved_by_suffix(images: list[torch.Tensor], tmp_path: Path) -> None:
    rows = evaluate(images, floors=False)
    save_table(rows, tmp_path / "t.json")
    save_table(rows, tmp_path / "t.csv")
    assert json.loads((tmp_path / "t.json").read_text())[0]["ncc"] == rows[0].ncc
    with (tmp_path / "t.csv").open() as file:
        assert float(next(csv.DictReader(file))["ncc"]) == rows[0].ncc
    with pytest.raises(InputError, match=r"\.csv or \.json"):
        save_table(rows, tmp_path / "t.txt")


def test_several_methods_share_features_and_floors(images: list[torch.Tensor]) -> None:
    rows = evaluate(images, method=["poisson", create_method("unfold")])
    assert [row.method for row in rows] == ["poisson"] * 3 + ["unfold"] * 3 + ["none"]
    assert rows[0].ncc == evaluate(images, method="poisson", floors=False)[0].ncc


def test_two_methods_of_one_name_are_refused(images: list[torch.Tensor]) -> None:
    with pytest.raises(InputError, match="different names"):
        evaluate(images, method=["poisson", "poisson"])


def test_the_mean_of_the_others_is_a_floor(images: list[torch.Tensor]) -> None:
    three = [*images, (images[0] + images[1]) / 2]
    mean = MeanPicture.of(three)
    assert mean is not None
    torch.testing.assert_close(mean.without(three[2]), three[2])
    rows = evaluate(three, method="poisson", mean=mean)
    row = next(row for row in rows if row.knows == "mean picture")
    expected = sum(float(ncc(to_gray(mean.without(one)), to_gray(one))) for one in three)
    assert row.method == "none"
    assert row.ncc == pytest.approx(expected / 3, abs=1e-5)
    assert MeanPicture.of([images[0], images[1][:, :50]]) is None
    assert MeanPicture.of(images[:1]) is None


def test_a_hole_is_measured_inside_with_the_keypoints_around_it(
    images: list[torch.Tensor],
) -> None:
    box = (50, 40, 100, 80)
    rows = {row.knows: row for row in evaluate(images[:1], method="poisson", hole=box)}
    features = extract(images[0])
    (around,) = reconstruct([features.outside(box)], method="poisson")
    cut = (slice(40, 80), slice(50, 100))
    expected = ncc(to_gray(around)[cut], to_gray(images[0])[cut])
    assert rows["around the hole"].ncc == pytest.approx(float(expected), abs=1e-5)
    assert rows["around the hole"].ncc < rows["everything"].ncc


def test_distances_are_columns_where_they_are_measured(images: list[torch.Tensor]) -> None:
    plain = evaluate(images, floors=False)
    assert "vgg" not in format_table(plain)
    far = {"vgg": lambda picture, truth: (picture - truth).abs().mean() * 0 + 0.125}
    (row,) = evaluate(images, floors=False, distances=far)
    assert row.vgg == 0.125
    assert row.lpips is None
    assert "0.125" in format_table([row])
