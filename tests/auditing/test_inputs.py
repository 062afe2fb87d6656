"""Where an audit's images come from: files, stores, originals."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from invertdesc import LocalFeatures, create_descriptor, recover_frames
from invertdesc.auditing.inputs import find_original, read_inputs
from invertdesc.descriptors import Descriptor
from invertdesc.image import write_image

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--threat", "random=0.5", "--defence", "quantise", "--no-faces")


@pytest.fixture
def folder(tmp_path: Path, picture: torch.Tensor, stored: LocalFeatures) -> Path:
    """Originals beside a store of features of the same picture."""
    write_image(picture, tmp_path / "originals" / "one.png")
    stored.save(tmp_path / "store" / "one.npz")
    return tmp_path


def test_originals_are_found_by_name_and_only_inside(tmp_path: Path) -> None:
    root = tmp_path / "originals"
    (root / "cam0").mkdir(parents=True)
    outside = tmp_path / "secret.png"
    for path in (root / "cam0" / "1.png", root / "2.jpg", outside):
        path.write_bytes(b"")
    (root / "link.png").symlink_to(outside)
    assert find_original(root, "cam0/1.png") == root / "cam0" / "1.png"
    assert find_original(root, "cam0/1") == root / "cam0" / "1.png"
    assert find_original(root, "elsewhere\\2.png") == root / "2.jpg"
    assert find_original(root, str(root / "2.jpg")) == root / "2.jpg"
    for name in ("../secret.png", str(outside), "link.png", "none.png", "", "\0", "x" * 5000):
        assert find_original(root, name) is None


def test_what_is_missing_is_recovered_and_said(stored: LocalFeatures, sift: Descriptor) -> None:
    bare = stored.without("orientations", "scores")
    gathered = read_inputs(bare, sift)
    (subject,) = gathered.subjects
    recovered = recover_frames(bare).orientations
    assert torch.equal(subject.features.orientations, recovered)  # type: ignore[arg-type]
    assert torch.equal(subject.features.scales, stored.scales)  # type: ignore[arg-type]
    assert any("Orientations are not stored" in note for note in gathered.notes)
    assert any("recovers them" in note for note in gathered.notes)


def test_what_cannot_be_recovered_is_guessed_and_said(picture: torch.Tensor) -> None:
    latch = create_descriptor("latch")
    gathered = read_inputs(latch.extract(picture).without("orientations"), latch)
    assert gathered.subjects[0].features.orientations is not None
    assert set(gathered.subjects[0].features.orientations.tolist()) == {0.0}
    assert any("orientations of 0" in note for note in gathered.notes)


def test_other_descriptors_are_left_to_another_audit(
    stored_bits: LocalFeatures, stored: LocalFeatures, sift: Descriptor, tmp_path: Path
) -> None:
    stored.save(tmp_path / "1.npz")
    stored_bits.save(tmp_path / "2.npz")
    (tmp_path / "3.png").write_bytes(b"no image")
    gathered = read_inputs(sorted(tmp_path.iterdir()), sift)
    assert [one.name for one in gathered.subjects] == ["1"]
    assert gathered.left_out == 2
    assert sum("was left out" in note for note in gathered.notes) == 2


def test_large_pictures_are_audited_smaller_and_that_is_said(
    stored: LocalFeatures, sift: Descriptor
) -> None:
    gathered = read_inputs([stored], sift, side=120)
    assert gathered.subjects[0].features.image_size == (100, 120)
    assert gathered.notes == ("image 1 of 240 x 200 pixels was audited at 120 x 100.",)


def test_a_store_is_audited_with_and_without_originals(run: Run, folder: Path) -> None:
    assert run("audit", "store", "-o", "bare.html", *QUICK)[0] == 0
    status, _, err = run("audit", "store", "--originals", "originals", "-o", "full.html", *QUICK)
    assert status == 0, err
    bare, full = (json.loads(Path(f"{n}.json").read_text()) for n in ("bare", "full"))
    assert (bare["headline"], full["headline"]) == ("consistency", "ncc")
    assert bare["rows"][0]["ncc"] is None
    assert full["rows"][0]["ncc"] > 0.5
    assert bare["rows"][0]["consistency"] == full["rows"][0]["consistency"]
    assert "there were none" in Path("bare.html").read_text()


def test_originals_that_do_not_fit_are_told(run: Run, folder: Path) -> None:
    Image.new("RGB", (20, 20)).save(folder / "originals" / "one.png")
    status, _, err = run("audit", "store", "--originals", "originals", *QUICK)
    assert status == 0
    assert "No original for one" in err


def test_the_command_of_a_report_repeats_it(run: Run, folder: Path) -> None:
    import shlex

    first = ("audit", "originals", "-o", "a b.html", "--side", 96, "--seed", 3, *QUICK)
    assert run(*first)[0] == 0
    before = Path("a b.html").read_bytes()
    command = json.loads(Path("a b.json").read_text())["command"]
    assert run(*shlex.split(command)[1:])[0] == 0
    assert Path("a b.html").read_bytes() == before


def test_bad_images_are_left_out_and_the_status_says_so(run: Run, folder: Path) -> None:
    (folder / "originals" / "bad\x1b[2J.png").write_bytes(b"no image")
    status, out, err = run("audit", "originals", *QUICK)
    assert status == 2
    assert "Wrote report.html" in out
    assert "was left out" in err
    assert "\x1b" not in err + Path("report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Expected a SOURCE"),
        (("missing.png",), "at least one image with keypoints"),
        (("originals", "--vgg16", "none.pth"), "VGG16"),
        (("originals", "--identity", "none.pt"), "TorchScript"),
        (("originals", "-d", "shift"), "sift"),
        (("originals", "-m", "unfild"), "unfold"),
    ],
)
def test_errors_say_how_to_mend(
    run: Run, folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    status, _, err = run("audit", *arguments, *QUICK)
    assert status == 2
    assert words in err
    assert "Traceback" not in err


def test_files_of_features_of_another_size_keep_it(stored: LocalFeatures, sift: Descriptor) -> None:
    gathered = read_inputs(replace(stored, image_size=(300, 301)), sift)
    assert gathered.subjects[0].features.image_size == (300, 301)


def test_the_command_says_how_many_images_it_audits(run: Run, picture: torch.Tensor) -> None:
    folder = Path("many")
    folder.mkdir()
    for number in range(3):
        write_image(picture[:, ::2, ::2], folder / f"{number}.png")
    status, _, err = run("audit", folder, "--images", 2, "-o", "r.html", *QUICK)
    assert status == 0
    assert "note: 2 of 3 images are audited, evenly spaced (--images)." in err
    assert json.loads(Path("r.json").read_text())["images_in_all"] == 3
    assert "images are audited" not in run("audit", folder, "--images", 3, *QUICK)[2]
