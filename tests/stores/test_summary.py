"""What is in a store, in Python."""

from pathlib import Path

import pytest
from make_stores import change, write_colmap

from invertdesc import LocalFeatures, inspect_store, open_store
from invertdesc.errors import InputError
from invertdesc.features.guesses import Guesses
from invertdesc.stores.summary import check_readable

Images = dict[str, LocalFeatures]


def test_contents_are_counted(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {"a": some, "b": some[:7], "c": some[:0], "d": some})
    change(path, "UPDATE keypoints SET rows = -1 WHERE image_id = 4;")
    with open_store(path) as store:
        found = inspect_store(store)
        assert len(store) == 4  # it is open still
        assert found.description == store.description
    assert (found.path, found.images, found.read) == (path, 4, 3)
    assert (found.keypoints, found.fewest, found.most, found.without) == (67, 0, 60, 1)
    assert len(found.errors) == 1
    assert found.errors[0].startswith("Cannot read 'd'")
    assert inspect_store(path, images=2).read == 2
    with pytest.raises(InputError, match="images >= 1"):
        inspect_store(path, images=0)


def test_costs_and_guesses_are_those_of_what_is_missing(tmp_path: Path, images: Images) -> None:
    found = inspect_store(write_colmap(tmp_path, images, columns=2))
    assert found.guesses == Guesses()  # both can be recovered
    assert found.costs[0].startswith("Without scales and orientations, ")
    assert "--" not in " ".join(found.costs)


def test_only_what_is_missing_is_guessed(tmp_path: Path, images: Images) -> None:
    found = inspect_store(write_colmap(tmp_path, images))
    assert found.guesses == Guesses()
    assert [cost.partition(",")[0] for cost in found.costs] == ["Without scores"]


def test_a_store_of_vectors_that_no_adapter_knows_cannot_be_read(
    tmp_path: Path, images: Images
) -> None:
    with open_store(write_colmap(tmp_path, images), descriptor="somebodys") as store:
        with pytest.raises(InputError, match="with an adapter"):
            check_readable(store)
        assert inspect_store(store).costs[0].startswith("No method can read 'somebodys'")
