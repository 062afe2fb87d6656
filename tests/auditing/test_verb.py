"""The verb: what it takes, and that it is what the package names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import invertdesc
from invertdesc import LocalFeatures, audit, create_method, open_store
from invertdesc.auditing.result import Audit
from invertdesc.descriptors import Descriptor
from invertdesc.errors import FileError, InputError, UnknownNameError
from invertdesc.image import write_image

FEW: dict[str, Any] = {
    "threats": [("random", 0.5)],
    "defences": ["quantise"],
    "faces": False,
    "method": "poisson",
}


def numbers(found: Audit) -> list[tuple[str, float | None]]:
    return [(row.name, row.scores.consistency) for row in found.rows]


@pytest.fixture(scope="module")
def whole(stored: LocalFeatures) -> Audit:
    return audit(stored, **FEW)


def test_features_are_audited_alike_from_wherever_they_come(
    whole: Audit, stored: LocalFeatures, tmp_path: Path
) -> None:
    stored.save(tmp_path / "store" / "one.npz")
    with open_store(tmp_path / "store") as store:
        sources: list[Any] = [
            *(store, tmp_path / "store", str(tmp_path / "store" / "one.npz"), [stored]),
        ]
        for source in sources:
            found = audit(source, **FEW)
            assert numbers(found) == numbers(whole)
            assert found.total == 1
        assert next(store.names()) == "one"  # a store that was given stays open
    assert any("invertdesc" in note for note in audit(tmp_path / "store", **FEW).notes)


def test_images_are_audited_alike_from_wherever_they_come(
    picture: torch.Tensor, tmp_path: Path
) -> None:
    write_image(picture, tmp_path / "photos" / "one.png")
    array = (picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    (tmp_path / "notes").mkdir()
    write_image(picture, tmp_path / "notes" / "below" / "one.png")
    sources: list[Any] = [
        *(array, [array], tmp_path / "photos", str(tmp_path / "photos" / "one.png")),
        tmp_path / "notes",
    ]
    first, *others = (audit(source, **FEW) for source in sources)
    assert first.row("everything").scores.ncc is not None
    assert all(one.as_json()["rows"] == first.as_json()["rows"] for one in others)


def test_features_say_what_they_are_of(stored_bits: LocalFeatures, sift: Descriptor) -> None:
    assert audit([stored_bits], **FEW).descriptor == "orb"
    with pytest.raises(InputError, match="image 1 was left out: Expected descriptors 'sift'"):
        audit([stored_bits], descriptor=sift, **FEW)


def test_a_method_may_be_made_before(whole: Audit, stored: LocalFeatures, sift: Descriptor) -> None:
    made = create_method("poisson", descriptor=sift)
    assert numbers(audit(stored, **FEW | {"method": made})) == numbers(whole)
    assert audit(stored, **FEW | {"method": None}).method == "unfold"


def test_images_are_taken_evenly_and_those_left_out_are_counted(
    picture: torch.Tensor, stored: LocalFeatures, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    found = audit([stored, picture, tmp_path / "bad.png", picture], images=2, **FEW)
    assert [one.name for one in found.portraits] == ["image 1"]
    assert (found.total, found.left_out) == (4, 1)


def test_the_report_is_saved_with_its_numbers(whole: Audit, tmp_path: Path) -> None:
    beside = whole.save(tmp_path / "r.html", source="two words")
    assert beside == tmp_path / "r.json"
    assert "Leak report: two words" in (tmp_path / "r.html").read_text()


def test_strengths_are_values(stored: LocalFeatures) -> None:
    chosen = {"threats": [("outside", (60, 60, 120, 120)), ("strongest", 0.25), "noisy"]}
    rows = audit(stored, **FEW | chosen).rows
    assert [(row.name, row.value) for row in rows[1:4]] == [
        *(("outside", (60.0, 60.0, 120.0, 120.0)), ("strongest", 0.25), ("noisy", 0.5)),
    ]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"threats": ["telepathy"]}, UnknownNameError, "Expected a threat among"),
        ({"defences": [("quantise", 99)]}, InputError, "such as"),
        ({"threats": [("outside", "1,2,3,4")]}, InputError, "such as \\(80, 80, 176, 176\\)"),
        ({"threats": [("outside", (1, 2, 3))]}, InputError, "Expected a box"),
        ({"images": 0}, InputError, "images >= 1"),
        ({"method": "unfild"}, UnknownNameError, "unfold"),
    ],
)
def test_what_cannot_be_audited_is_refused(
    stored: LocalFeatures, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        audit(stored, **FEW | options)


def test_a_folder_with_nothing_to_audit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(FileError, match="images or a store"):
        audit(tmp_path)
    with pytest.raises(InputError, match=r"none\.png was left out"):
        audit(tmp_path / "none.png")


def test_nothing_is_printed(stored: LocalFeatures, capfd: pytest.CaptureFixture[str]) -> None:
    invertdesc.audit(stored, **FEW)
    assert capfd.readouterr() == ("", "")
