"""A store to a folder of pictures, in Python."""

import json
from pathlib import Path

import pytest
import torch
from make_stores import change, write_colmap

from invertdesc import LocalFeatures, create_method, open_store, reconstruct, reconstruct_store
from invertdesc.bulk import Outcome, Status
from invertdesc.errors import FileError, FramesRecoveredWarning, InputError, UnknownNameError
from invertdesc.features.guesses import Guesses
from invertdesc.image import write_image
from invertdesc.stores.open import opener

Images = dict[str, LocalFeatures]


def test_pictures_are_those_of_reconstruct(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    summary = reconstruct_store(path, tmp_path / "out")
    assert (summary.total, summary.made, summary.complete) == (2, 2, True)
    assert summary.log == tmp_path / "out" / "metrics.jsonl"
    with open_store(path) as store:
        features = dict(store)
    for name, picture in zip(features, reconstruct(list(features.values())), strict=True):
        write_image(picture, tmp_path / "alone" / f"{name}.png")
        files = (tmp_path / folder / f"{name}.png" for folder in ("out", "alone"))
        assert len({file.read_bytes() for file in files}) == 1


def test_run_goes_on_and_says_where_its_time_went(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {"a": some, "b": some, "c": some[:0], "../d": some})
    first = reconstruct_store(path, tmp_path / "out", method="poisson", names="a")
    assert (first.total, first.made) == (1, 1)
    assert 0 < first.making <= first.reading + first.making + first.writing <= first.seconds
    then = reconstruct_store(path, tmp_path / "out", method="poisson")
    assert (then.total, then.made, then.there, then.empty, then.failed) == (4, 1, 1, 1, 1)
    assert not then.complete
    assert (then.gone, then.first_gone, then.workers) == (0, None, 0)


def test_shards_share_the_images(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    made = [
        reconstruct_store(path, tmp_path / "out", method="poisson", shard=(k, 2)).made
        for k in range(2)
    ]
    assert made == [1, 1]
    assert (tmp_path / "out/metrics-1-of-2.jsonl").exists()


def test_outcomes_are_handed_on_and_nothing_is_printed(
    tmp_path: Path, images: Images, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_colmap(tmp_path, images)
    change(path, "UPDATE keypoints SET rows = -1 WHERE image_id = 2;")
    outcomes: list[Outcome] = []
    summary = reconstruct_store(
        path, tmp_path / "out", method="poisson", on_outcome=outcomes.append, progress=True
    )
    assert capsys.readouterr() == ("", "")
    found = {one.image: (one.status, one.error is None) for one in outcomes}
    assert found == {"101": (Status.MADE, True), "102": (Status.FAILED, False)}
    assert (summary.made, summary.failed) == (1, 1)
    lines = (tmp_path / "out/metrics.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["status"] for line in lines) == ["failed", "made"]


def test_result_that_is_removed_meanwhile_is_gone(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)

    def remove(outcome: Outcome) -> None:
        (tmp_path / "out" / f"{outcome.image}.png").unlink()

    summary = reconstruct_store(path, tmp_path / "out", method="poisson", on_outcome=remove)
    assert (summary.made, summary.gone) == (0, 2)
    assert summary.first_gone == tmp_path / "out/101.png"
    assert not summary.complete


def test_a_store_that_was_open_stays_open_and_is_read_as_it_was_opened(
    tmp_path: Path, images: Images
) -> None:
    path = write_colmap(tmp_path, images)
    with open_store(path, descriptor="sift", image_size=(300, 300), mend=False) as store:
        reconstruct_store(store, tmp_path / "out", method="poisson")
        assert store.load("101").image_size == (300, 300)
        with opener(store)() as again:
            assert again.load("101").descriptor == "sift"
            assert again.load("101").image_size == (300, 300)
            assert not again.mend
        with pytest.raises(InputError, match="descriptor= with a path"):
            reconstruct_store(store, tmp_path / "out", descriptor="sift")
    with pytest.raises(FileError, match="closed"):
        store.load("101")


@pytest.mark.parametrize(
    "assume",
    [{"orientations": 0, "scales": 3}, Guesses(orientations=0.0, scales=3.0)],
    ids=["mapping", "guesses"],
)
def test_guesses_fill_what_is_missing(
    assume: Guesses | dict[str, float], tmp_path: Path, images: Images
) -> None:
    path = write_colmap(tmp_path, images, columns=2)
    with pytest.warns(FramesRecoveredWarning, match="orientations and scales of 2 of 2"):
        assert reconstruct_store(path, tmp_path / "out", method="poisson").made == 2
    assert reconstruct_store(path, tmp_path / "own", method="poisson", assume=assume).made == 2


@pytest.mark.parametrize("assume", [{"scores": 1.0}, {"scales": float("nan")}, {"scales": "2"}])
def test_other_guesses_are_refused(assume: dict[str, float]) -> None:
    with pytest.raises(InputError, match="scales=SIGMA or orientations=RADIANS"):
        Guesses.of(assume)


def test_a_method_may_be_an_object_or_any_callable(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    for name, method in {"a": "poisson", "b": create_method("poisson")}.items():
        reconstruct_store(path, tmp_path / name, method=method)
    assert (tmp_path / "a/101.png").read_bytes() == (tmp_path / "b/101.png").read_bytes()
    summary = reconstruct_store(
        path,
        tmp_path / "c",
        method=lambda batch: torch.zeros(len(batch), 3, *batch.image_size),  # type: ignore[arg-type]
        side_by_side=True,
    )
    assert summary.made == 2


def test_what_is_not_possible_is_refused_before_anything_is_written(
    tmp_path: Path, images: Images
) -> None:
    path, out = write_colmap(tmp_path, images), tmp_path / "out"
    with pytest.raises(InputError, match="Expected a shard"):
        reconstruct_store(path, out, shard=(2, 2))
    with pytest.raises(InputError, match="batch_size >= 1"):
        reconstruct_store(path, out, batch_size=0)
    with pytest.raises(InputError, match=r"names like 'c/\*'"):
        reconstruct_store(path, out, names="c/*")
    with pytest.raises(UnknownNameError, match="Did you mean"):
        reconstruct_store(path, out, descriptor="siftt")
    with pytest.raises(UnknownNameError, match="Did you mean"):
        reconstruct_store(path, out, method="poison")
    assert not out.exists()
