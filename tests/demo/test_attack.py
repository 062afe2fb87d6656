"""What the page does, without a page."""

import shutil
import socket
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from invertdesc import LocalFeatures, create_method, reconstruct
from invertdesc.cli import main
from invertdesc.demo.answers import Answers, Seen, View, example_at, forget
from invertdesc.demo.attack import (
    Choice,
    Stored,
    attack,
    is_erased,
    kept,
    offered_descriptors,
    offered_methods,
    store,
)
from invertdesc.errors import InputError
from invertdesc.image import read_image, to_uint8

POISSON = Choice(method="poisson")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "photo.png"
    Image.fromarray(data.astronaut()[:128, 128:320]).save(path)
    return path


@pytest.fixture(scope="module")
def stored(photo: Path) -> Stored:
    return store(photo, "sift", 512)


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    results = tmp_path / "results"
    results.mkdir()
    return Answers(results, uploads=tmp_path)


@pytest.fixture
def sent(tmp_path: Path, photo: Path) -> Path:
    """The photograph as an upload."""
    return Path(shutil.copy(photo, tmp_path))


def shown(answer: tuple[Seen | None, View | None]) -> tuple[Seen, View]:
    seen, view = answer
    assert seen is not None
    assert view is not None
    return seen, view


def png_of(width: int, height: int) -> bytes:
    """Return a PNG's first bytes: small, whatever size it claims."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(header))
    pixels = struct.pack(">I", 9) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + crc + pixels


def half(side: str) -> torch.Tensor:
    mask = torch.zeros(4, 6, dtype=torch.bool)
    columns = {"left": slice(0, 3), "right": slice(3, 6), "whole": slice(None)}[side]
    mask[:, columns] = True
    return mask


def test_large_pictures_are_shrunk(photo: Path) -> None:
    assert store(photo, "sift", 96).image.shape == (3, 64, 96)
    assert store(photo, "sift", 512).image.shape == (3, 128, 192)


def test_a_share_is_of_the_strongest(stored: Stored) -> None:
    part = kept(stored.features, Choice(share=0.25))
    assert len(part) == round(0.25 * len(stored.features))
    assert part.scores is not None
    assert stored.features.scores is not None
    assert float(part.scores.min()) >= float(stored.features.scores.quantile(0.74))


def test_a_share_without_scores_is_random_and_always_the_same(stored: Stored) -> None:
    bare = stored.features.without("scores")
    some, again = (kept(bare, Choice(share=0.5)) for _ in range(2))
    assert len(some) == round(0.5 * len(bare))
    assert torch.equal(some.keypoints, again.keypoints)
    assert not torch.equal(some.keypoints, bare.keypoints[: len(some)])


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_that_is_none_is_told(share: float) -> None:
    with pytest.raises(InputError, match="a share above 0"):
        Choice(share=share)


def test_what_is_under_the_mask_is_erased(stored: Stored) -> None:
    erased = is_erased(stored.features, half("left"))
    assert torch.equal(erased, stored.features.keypoints[:, 0] < 95.5)
    mask = torch.zeros(256, 384, dtype=torch.bool)  # twice the picture
    mask[20:60] = True
    y = stored.features.keypoints[:, 1]
    assert torch.equal(is_erased(stored.features, mask), (y >= 9.5) & (y < 29.5))


def test_picture_is_that_of_what_is_left(stored: Stored) -> None:
    made = attack(stored, POISSON, half("left"))
    left = stored.features[stored.features.keypoints[:, 0] >= 95.5]
    assert torch.equal(made.features.keypoints, left.keypoints)
    assert torch.equal(made.picture, reconstruct(left, method="poisson"))
    erased = len(stored.features) - len(left)
    assert made.words == f"{len(left)} of {len(stored.features)} keypoints; {erased} erased."


@pytest.mark.parametrize("field", ["orientations", "scales"])
def test_what_is_not_stored_is_guessed_and_told(field: str, stored: Stored) -> None:
    made = attack(stored, Choice(method="poisson", **{field: False}))
    assert getattr(made.features, field) is None
    assert f"{field.capitalize()} are unknown" in made.words
    everything = attack(stored, POISSON)
    assert "unknown" not in everything.words
    assert float((made.picture - everything.picture).abs().mean()) > 0.02


def test_nothing_left_is_told(stored: Stored) -> None:
    with pytest.raises(InputError, match=r"all \d+ are erased"):
        attack(stored, POISSON, half("whole"))


def test_only_descriptors_that_need_no_download_are_offered() -> None:
    names = offered_descriptors()
    assert {"sift", "orb", "hog", "mkd"} <= set(names)
    assert not {"hardnet", "sosnet", "hynet", "disk", "tfeat", "superpoint"} & set(names)


def test_only_methods_that_need_no_database_are_offered() -> None:
    names = offered_methods()
    assert {"unfold", "poisson", "coarse", "gradient", "unfold+gradient"} <= set(names)
    assert not {"bovw", "paired-dictionary", "patch-database", "ridge"} & set(names)
    for name in names:
        create_method(name)


def test_view_shows_what_was_made(answers: Answers, sent: Path, stored: Stored) -> None:
    seen, view = shown(answers(None, str(sent), method="poisson"))
    assert view.new
    assert not view.bad
    assert view.photo is not None
    assert view.picture is not None
    assert view.photo.shape == view.picture.shape == (3 * 128, 3 * 192, 3)
    made = attack(stored, POISSON)
    features, picture, panels = view.files
    assert {file.parent for file in view.files} == {seen.folder}
    loaded = LocalFeatures.load(features)
    assert torch.equal(loaded.descriptors, made.features.descriptors)
    assert np.array_equal(to_uint8(read_image(picture)), to_uint8(made.picture))
    assert read_image(panels).shape[2] > 3 * 2 * 192


def test_files_hold_no_more_than_the_attacker_has(answers: Answers, sent: Path) -> None:
    _, view = shown(
        answers(None, str(sent), method="poisson", percent=10, hidden=["orientations", "scales"])
    )
    loaded = LocalFeatures.load(view.files[0])
    assert loaded.orientations is None
    assert loaded.scales is None
    assert view.words.startswith(f"{len(loaded)} of ")
    assert "of the strongest 10%" in view.words


def test_two_browsers_do_not_mix(answers: Answers, sent: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.fromarray(data.coffee()[100:260, 200:360]).save(other)
    one, first = shown(answers(None, str(sent), method="poisson"))
    two, second = shown(answers(None, str(other), descriptor="orb", method="poisson"))
    assert one.folder != two.folder
    one, changed = shown(answers(one, str(sent), half("right"), method="poisson"))
    assert changed.photo is None  # it is there already, with what was drawn over it
    assert one.stored.features.descriptor == "sift"
    assert LocalFeatures.load(second.files[0]).descriptor == "orb"
    assert all(file.exists() for file in (*changed.files, *second.files))
    assert not any(file.exists() for file in first.files)
    forget(one)
    assert not one.folder.exists()
    assert two.folder.exists()


def test_the_same_again_is_not_computed_again(answers: Answers, sent: Path) -> None:
    seen, _ = shown(answers(None, str(sent), method="poisson"))
    blank = torch.zeros(4, 6, dtype=torch.bool)
    assert answers(seen, str(sent), blank, method="poisson") == (seen, None)


def test_a_mask_goes_with_the_photograph_it_was_drawn_on(
    answers: Answers, sent: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(sent.read_bytes())
    seen, _ = shown(answers(None, str(sent), method="poisson"))
    _, view = shown(answers(seen, str(other), half("left"), method="poisson"))
    assert view.new
    assert "erased" not in view.words


def test_errors_are_told_and_left_behind(answers: Answers, sent: Path) -> None:
    seen, before = shown(answers(None, str(sent), descriptor="orb", method="poisson"))
    seen, view = shown(answers(seen, str(sent), descriptor="orb", method="coarse"))
    assert view.bad
    assert "orb" in view.words
    assert view.picture is None
    assert not view.files
    assert not view.new
    _, after = shown(answers(seen, str(sent), descriptor="orb", method="poisson"))
    assert after.words == before.words
    assert after.picture is not None


@pytest.mark.parametrize("content", [b"this is no image", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_pictures_are_told(
    content: bytes, answers: Answers, tmp_path: Path
) -> None:
    path = tmp_path / "<b>bad.png"
    path.write_bytes(content)
    seen, view = answers(None, str(path))
    assert seen is None
    assert view is not None
    assert view.bad
    assert view.words.startswith("Expected a")


def test_files_of_what_is_seen_no_more_go(answers: Answers, sent: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("this is no image")
    for path in (None, str(bad)):
        seen, _ = shown(answers(None, str(sent), method="poisson"))
        assert seen.folder.exists()
        assert answers(seen, path)[0] is None
        assert not seen.folder.exists()


def test_a_picture_without_keypoints_is_told(answers: Answers, tmp_path: Path) -> None:
    path = tmp_path / "flat.png"
    Image.new("RGB", (64, 64), "gray").save(path)
    _, view = answers(None, str(path))
    assert view is not None
    assert "'sift' found none" in view.words


def test_no_picture_is_asked_for(answers: Answers) -> None:
    seen, view = answers(None, None)
    assert seen is None
    assert view is not None
    assert (view.words, view.bad) == ("Choose a picture.", False)


def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(SystemExit, match="2"):
            main(["demo", "--port", str(port), "--no-browser"])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: Expected a free port, got {port}: ")


def test_without_gradio_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # both are set, and put back after the test
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "")
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--port", "0", "--no-browser"])
    assert "pip install 'invertdesc[demo]'" in capsys.readouterr().err


def test_only_uploads_and_examples_are_read(answers: Answers, sent: Path, photo: Path) -> None:
    link = sent.with_name("link.png")
    link.symlink_to(photo)
    for path in (
        photo,
        link,
        sent.parent / ".." / photo.parent / "photo.png",
        "photo.png",
        "",
        "\0",
    ):
        seen, view = answers(None, str(path), method="poisson")
        assert seen is None
        assert view is not None
        assert view.bad
        assert view.words == ("Expected an uploaded picture or an example, got another file.")
    for path in (str(sent), example_at(1)):
        _, view = shown(answers(None, path, method="poisson"))
        assert not view.bad


def test_what_is_seen_outlives_its_upload(answers: Answers, sent: Path) -> None:
    seen, _ = shown(answers(None, str(sent), method="poisson"))
    sent.unlink()  # as gradio does after an hour
    _, view = shown(answers(seen, str(sent), method="poisson", percent=50))
    assert not view.bad


@pytest.mark.parametrize("index", [-1, 5, 99, None, "0", [0, 1], 0.5])
def test_an_example_that_is_none_is_told(index: object) -> None:
    with pytest.raises(InputError, match="Expected an example from 0 to 4, got"):
        example_at(index)


def test_pictures_of_too_many_pixels_are_refused_by_their_header(
    answers: Answers, tmp_path: Path
) -> None:
    path = tmp_path / "large.png"
    for side in (5001, 10_000, 20_000):  # Pillow itself warns of the second and refuses the third
        path.write_bytes(png_of(side, side))
        view = answers(None, str(path))[1]
        assert view is not None
        assert view.bad
        assert f"at most 25000000 pixels, got {side**2}" in view.words, view.words


def test_errors_say_nothing_of_where_files_lie(answers: Answers, tmp_path: Path) -> None:
    path = tmp_path / "of mine.png"
    path.write_bytes(png_of(64, 64))  # a header, and nothing behind
    view = answers(None, str(path))[1]
    assert view is not None
    assert view.bad
    assert "of mine.png" in view.words
    assert "/" not in view.words
    for words, left in {
        f"got {path}: bad": "got of mine.png: bad",
        "Cannot read /home/somebody/.cache/weights.bin: no": "Cannot read weights.bin: no",
        "Expected '/var/lib/a/b.npz'": "Expected 'b.npz'",
        "Expected (N, D) and/or 3 / 4": "Expected (N, D) and/or 3 / 4",
    }.items():
        assert answers.without_folders(InputError(words)) == left
