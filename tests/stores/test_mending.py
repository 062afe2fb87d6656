"""What `check` is certain of is acted upon, and placeholders are no descriptors."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from make_stores import change, write_colmap, write_npz
from torch.nn import functional as F

from invertdesc import LocalFeatures, check, create_descriptor, open_store, reconstruct
from invertdesc.errors import InputError, NoKeypointsWarning

Run = Callable[..., tuple[int, str, str]]
TRANSPOSED = torch.arange(128).view(4, 4, 8).transpose(0, 1).flatten()
SMALL = ("-m", "poisson", "-M", "stride=4")
ZEROS = "UPDATE descriptors SET data = zeroblob(length(data))"


@pytest.fixture(scope="module")
def many(astronaut_features: LocalFeatures) -> LocalFeatures:
    return astronaut_features[:400]


@pytest.fixture
def transposed(tmp_path: Path, many: LocalFeatures) -> Path:
    """A database in another order of the vectors than COLMAP's."""
    wrong = replace(many, descriptors=many.descriptors[:, TRANSPOSED])
    return write_colmap(tmp_path, {"a.jpg": wrong, "b.jpg": wrong[:30]})


def likeness(one: LocalFeatures, other: LocalFeatures) -> float:
    vectors = [create_descriptor(f.descriptor).encode(f.descriptors) for f in (one, other)]
    return float(F.cosine_similarity(*vectors).min())


def test_store_in_another_order_is_read_in_ours(transposed: Path, many: LocalFeatures) -> None:
    with open_store(transposed) as store:
        assert store.found is not None
        assert store.found.layout == "a transposed grid"
        assert store.description.looks_like == store.found.summary
        assert any("Mended vectors in another order" in note for note in store.description.notes)
        assert likeness(store.load("a.jpg"), many) > 0.99
        assert likeness(store.load("b.jpg"), many[:30]) > 0.99  # too few to judge by alone
    with open_store(transposed, mend=False) as store:
        assert any("Left as stored" in note for note in store.description.notes)
        features = store.load("a.jpg")
        assert likeness(features, many) < 0.9
        assert likeness(check(features).mend(features), many) > 0.99


def test_angles_of_a_store_are_mended(tmp_path: Path, many: LocalFeatures) -> None:
    assert many.orientations is not None
    wrong = replace(many, orientations=-many.orientations)
    for path in (write_colmap(tmp_path, {"a": wrong}), write_npz(tmp_path / "npz", {"a": wrong})):
        with open_store(path) as store:
            turns = store.load("a").orientations
            assert turns is not None
            off = turns - many.orientations
            assert torch.atan2(off.sin(), off.cos()).abs().max() < 1e-3


def test_few_vectors_are_no_reason_to_mend(tmp_path: Path, many: LocalFeatures) -> None:
    few = many[:100]
    wrong = replace(few, descriptors=few.descriptors[:, TRANSPOSED])
    with open_store(write_colmap(tmp_path, {"a": wrong})) as store:
        assert store.found is None
        assert likeness(store.load("a"), few) < 0.9


def test_strange_vectors_are_told(tmp_path: Path, many: LocalFeatures) -> None:
    order = torch.randperm(128, generator=torch.Generator().manual_seed(0))
    strange = replace(many, descriptors=many.descriptors[:, order])
    with open_store(write_colmap(tmp_path, {"a": strange})) as store:
        assert any("order known for it" in note for note in store.description.notes)


def test_commands_say_what_they_mended(run: Run, transposed: Path) -> None:
    told = "note: Mended vectors in another order (a transposed grid)"
    status, out, err = run("reconstruct", transposed, "-o", "out", *SMALL)
    assert (status, told in err) == (0, True)
    status, out, err = run("reconstruct", transposed, "-o", "other", *SMALL, "--no-mend")
    assert (status, "note: Left as stored" in err) == (0, True)
    assert Path("out/a.png").read_bytes() != Path("other/a.png").read_bytes()
    status, out, _ = run("inspect", transposed)
    assert "rootsift, a transposed grid (" in out
    quick = ("--no-faces", "--threat", "everything", "--defence", "ldp-noise=30")
    status, _, err = run("audit", transposed, "-o", "r.html", *SMALL, *quick)
    assert (status, told in err) == (0, True)
    assert any(told[6:] in note for note in json.loads(Path("r.json").read_text())["notes"])


def test_placeholders_are_no_descriptors(run: Run, tmp_path: Path, many: LocalFeatures) -> None:
    path = change(write_colmap(tmp_path, {"a.jpg": many, "b.jpg": many}), f"{ZEROS};")
    status, out, err = run("inspect", path)
    assert status == 2
    assert "missing        descriptors" in out
    assert "placeholders in 2 of the first 2 images" in out
    assert "features*.h5" in out
    assert err.count("got placeholders: all numbers of its 400 descriptors are 0") == 2
    for command in (("reconstruct", path, "-o", "out"), ("audit", path, "-o", "r.html")):
        status, out, err = run(*command)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        assert "got placeholders alone" in err
    assert not Path("r.html").exists()
    assert not Path("out").exists()


def test_some_placeholders(run: Run, tmp_path: Path, many: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {"a.jpg": many, "b.jpg": many})
    change(path, f"{ZEROS} WHERE image_id = 1;")
    with open_store(path) as store:
        assert store.description.descriptor == "rootsift"
        assert not store.only_placeholders
        with pytest.raises(InputError, match=r"Cannot read 'a\.jpg' .* got placeholders"):
            store.load("a.jpg")
    status, out, err = run("reconstruct", path, "-o", "out", *SMALL)
    assert status == 2
    assert out.startswith("Wrote 1 of 2 pictures to out. 1 failed.")
    assert "note: No descriptors but placeholders in 1 of the first 2" in err
    assert "error: Cannot read 'a.jpg'" in err


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_placeholders_in_features(value: float, some: LocalFeatures) -> None:
    empty = replace(some, descriptors=torch.full_like(some.descriptors, value))
    found = check(empty)
    assert not found.ok
    assert found.looks_like == "placeholders"
    assert "no descriptors but placeholders" in found.advice
    with pytest.raises(InputError, match="to mend"):
        found.mend(empty)
    with pytest.warns(NoKeypointsWarning, match="placeholders in 1 of 1 images"):
        reconstruct(empty, method="poisson")


def test_placeholders_in_a_file_of_features(run: Run, some: LocalFeatures) -> None:
    # `run` works in an empty folder.
    replace(some, descriptors=torch.zeros_like(some.descriptors)).save("a.npz")
    status, out, err = run("reconstruct", "a.npz")
    assert (status, out) == (2, "")
    assert "got placeholders" in err
    status, _, err = run("audit", "a.npz", "-o", "r.html")
    assert status == 2
    assert "got placeholders" in err


def test_one_vector_may_be_anything(some: LocalFeatures) -> None:
    assert check(some[:1]).looks_like != "placeholders"
    flat = replace(some[:2], descriptors=torch.ones(2, 128))
    assert check(flat).looks_like != "placeholders"
