import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from invertdesc import LocalFeatures, extract
from invertdesc.image import read_image, to_gray

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(data.astronaut()[:128, 128:320]).save(path)
    return path


def test_reconstruct_writes_a_picture_of_the_same_size(run: Run, photo: Path) -> None:
    status, out, _ = run("reconstruct", photo, "-o", "back.png")
    assert (status, out) == (0, "Wrote back.png.\n")
    assert read_image("back.png").shape == (3, 128, 192)


def test_output_is_named_after_the_source_where_none_is_given(run: Run, photo: Path) -> None:
    assert run("reconstruct", photo)[0] == 0
    assert [p.name for p in Path().glob("*.png")] == ["photo-reconstruction.png"]


def test_side_by_side_shows_three_panels(run: Run, photo: Path) -> None:
    run("reconstruct", photo, "-o", "both.png", "--side-by-side")
    _, height, width = read_image("both.png").shape
    assert width > 3 * 192 * 2
    assert height > 128 * 2


def test_example_needs_no_file(run: Run) -> None:
    status, _, _ = run("reconstruct", "--example", "camera", "-D", "contrast_threshold=0.1")
    assert status == 0
    assert read_image("camera-reconstruction.png").shape == (3, 512, 512)


def test_folders_and_patterns_write_to_a_folder(run: Run, photo: Path) -> None:
    Image.open(photo).save(photo.parent / "other.jpg")
    (photo.parent / "notes.txt").write_text("no image")
    status, out, _ = run("reconstruct", photo.parent, "-o", "out")
    assert (status, out) == (0, "Wrote 2 files to out.\n")
    assert sorted(p.name for p in Path("out").iterdir()) == ["other.png", "photo.png"]
    status, _, _ = run("reconstruct", "**/*.jpg", "-o", "more")
    assert status == 0
    assert [p.name for p in Path("more").iterdir()] == ["other.png"]


def test_extracted_features_give_the_same_picture_as_the_image(run: Run, photo: Path) -> None:
    run("extract", photo, "-o", "photo.npz", "-D", "max_num_keypoints=50", "--gray", "luma")
    features = LocalFeatures.load("photo.npz")
    assert len(features) == 50
    assert features.provenance.gray == "luma"
    run("reconstruct", "photo.npz", "-o", "a.png")
    run("reconstruct", photo, "-o", "b.png", "-D", "max_num_keypoints=50", "--gray", "luma")
    assert torch.equal(read_image("a.png"), read_image("b.png"))
    assert run("reconstruct", "photo.npz", "-o", "c.png", "--side-by-side")[0] == 0


def test_method_options_reach_the_method(run: Run, photo: Path) -> None:
    run(
        "reconstruct",
        photo,
        "-o",
        "a.png",
        "-m",
        "poisson",
        "-M",
        "mean=0.3",
        "-M",
        "deviation=0.05",
    )
    assert float(to_gray(read_image("a.png")).mean()) == pytest.approx(0.3, abs=0.01)


def test_list_names_everything_and_filters(run: Run) -> None:
    _, out, _ = run("list")
    assert "  sift " in out
    assert "  poisson " in out
    assert "  unfold " in out
    _, out, _ = run("list", "root*")
    assert [line.split()[0] for line in out.splitlines()] == ["descriptors", "rootsift"]


def test_list_says_what_is_needed_what_ships_and_what_is_default(run: Run) -> None:
    def row(name: str) -> list[str]:
        lines = run("list", name)[1].splitlines()
        return [cell.strip() for cell in lines[1].split("  ") if cell]

    assert row("sift")[:3] == ["sift (default)", "-", "unfolding"]
    assert row("auto")[:3] == ["auto (default)", "unfolding", "weights"]
    assert row("hardnet")[:3] == ["hardnet", "weights, unfolding", "-"]
    assert row("superpoint")[:3] == ["superpoint", "program, unfolding", "-"]
    assert row("xfeat")[:3] == ["xfeat", "weights", "unfolding"]
    assert row("coarse")[:3] == ["coarse", "weights", "weights for sift"]
    assert row("bovw")[:3] == ["bovw", "grid, database", "-"]


def test_list_on_a_terminal_fits_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _, out, _ = run("list")
    assert max(map(len, out.splitlines())) <= 80
    assert "sift (default)" in out


def test_fit_writes_an_unfolding_that_reconstruct_takes(run: Run, photo: Path) -> None:
    status, out, _ = run("fit", "-d", "sift", "--data", photo.parent, "-o", "mine.safetensors")
    assert (status, out) == (0, "Wrote mine.safetensors, fitted to 1 photographs.\n")
    assert run("reconstruct", photo, "-o", "a.png", "--unfolding", "mine.safetensors")[0] == 0


def test_evaluate_prints_the_table_with_floors_and_saves_it(run: Run, photo: Path) -> None:
    arguments = ("-o", "t.json", "-o", "t.csv", "--sheet", "sheet.png")
    status, out, _ = run("evaluate", "--data", photo.parent, *arguments)
    assert status == 0
    rows = json.loads(Path("t.json").read_text())
    assert [row["knows"] for row in rows] == [
        "everything",
        "orientation unknown",
        "shuffled",
        "flat",
    ]
    assert rows[0]["ncc"] > max(row["ncc"] for row in rows[1:]) + 0.2
    assert f"{rows[0]['ncc']:.3f}" in out
    assert len(Path("t.csv").read_text().splitlines()) == 5
    assert read_image("sheet.png").shape[1] > 256


def _text(path: Path) -> None:
    path.write_text("this is no image")


def _truncated(path: Path) -> None:
    Image.fromarray(data.astronaut()).save(path)
    path.write_bytes(path.read_bytes()[:2000])


def _tiny(path: Path) -> None:
    Image.new("RGB", (1, 1)).save(path)


def _flat(path: Path) -> None:
    Image.new("RGB", (64, 64), "gray").save(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "found none at"),
        (_text, "which has another format"),
        (_truncated, "truncated"),
        (_tiny, "Expected keypoints, got none"),
        (_flat, "Expected keypoints, got none"),
    ],
    ids=["missing", "text", "truncated", "one pixel", "flat"],
)
def test_bad_images_are_told_and_leave_no_file(
    run: Run, tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    source = tmp_path / "bad.jpg"
    make(source)
    for command, target in (("reconstruct", "out.png"), ("extract", "out.npz")):
        status, out, err = run(command, source, "-o", target)
        assert (status, out) == (2, "")
        assert words in err
        assert "bad.jpg" in err
        assert not Path(target).exists()


def _features(**changes: object) -> dict[str, object]:
    arrays: dict[str, object] = {
        "keypoints": np.array([[5, 5], [20, 9]], np.float32),
        "descriptors": np.ones((2, 128), np.float32),
        "scales": np.full(2, 2, np.float32),
        "orientations": np.zeros(2, np.float32),
    }
    meta = {
        "format": "invertdesc-features",
        "version": 1,
        "descriptor": "sift",
        "image_size": [32, 48],
        "provenance": {},
    }
    arrays |= {k: v for k, v in changes.items() if k in arrays}
    meta |= {k: v for k, v in changes.items() if k not in arrays}
    return {key: v for key, v in arrays.items() if v is not None} | {"meta": json.dumps(meta)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keypoints": np.array([[5, np.nan], [2, 9]], np.float32)}, "NaN"),
        ({"keypoints": np.array([[5, 5], [90, 9]], np.float32)}, "1 outside"),
        ({"descriptors": np.ones((2, 64), np.float32)}, "(N, 128) for 'sift', got (2, 64)"),
        ({"descriptors": np.ones((3, 128), np.float32)}, "N = 2 keypoints"),
        ({"descriptor": "sift3"}, "Did you mean 'sift'"),
        ({"format": "other"}, "not that of invertdesc"),
        ({"scales": np.array([2, -1], np.float32)}, "scales above 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_features_are_told_and_leave_no_file(
    run: Run, changes: dict[str, object], words: str
) -> None:
    np.savez("bad.npz", **_features(**changes))
    status, out, err = run("reconstruct", "bad.npz", "-o", "out.png")
    assert (status, out) == (2, "")
    assert words in err
    assert not Path("out.png").exists()


def test_good_features_made_the_same_way_work(run: Run) -> None:
    np.savez("good.npz", **_features())
    assert run("reconstruct", "good.npz", "-o", "out.png")[0] == 0


def test_pickles_are_not_opened(run: Run) -> None:
    np.savez("bad.npz", **_features(keypoints=np.array([{}, {}], dtype=object)))
    status, _, err = run("reconstruct", "bad.npz", "-o", "out.png")
    assert status == 2
    assert "allow_pickle=False" in err
    assert not Path("out.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-d", "siftt"], "Unknown descriptor 'siftt'. Did you mean"),
        (["-m", "poison"], "Unknown method 'poison'. Did you mean 'poisson'?"),
        (["-D", "contrast=1"], "contrast_threshold"),
        (["-D", "contrast"], "name=value"),
        (["--gray", "blue"], "gamma, luma"),
        (["--example", "nobody"], "astronaut"),
        (["-o", "out.xyz"], ".png or .jpg"),
        (["--unfolding", "none.safetensors"], "found none at none.safetensors"),
        (["--device", "nonsense"], "nonsense"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_bad_arguments_are_told(run: Run, photo: Path, arguments: list[str], words: str) -> None:
    status, out, err = run("reconstruct", photo, *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert not list(Path().glob("*.*"))


def test_one_bad_file_does_not_stop_the_others(run: Run, photo: Path) -> None:
    _text(photo.parent / "bad.jpg")
    status, out, err = run("reconstruct", photo.parent, "-o", "out")
    assert (status, out) == (2, "Wrote 1 files to out.\n")
    assert "bad.jpg" in err
    assert [p.name for p in Path("out").iterdir()] == ["photo.png"]


def test_features_that_lack_something_do_not_stop_the_others(run: Run, photo: Path) -> None:
    extract(photo, descriptor="latch").without("orientations").save("lacks.npz")
    status, _, err = run("reconstruct", photo, "lacks.npz", "-o", "out")
    assert status == 2
    assert "orientations" in err
    assert [p.name for p in Path("out").iterdir()] == ["photo.png"]


def test_a_folder_that_cannot_be_written_is_told(run: Run, photo: Path) -> None:
    Path("file").write_text("")
    status, _, err = run("reconstruct", photo, "-o", "file/out.png")
    assert status == 2
    assert "Cannot write file/out.png" in err


def test_a_source_is_never_overwritten(run: Run, photo: Path) -> None:
    before = photo.read_bytes()
    status, _, err = run("reconstruct", photo, "-o", photo)
    assert status == 2
    assert "elsewhere" in err
    assert photo.read_bytes() == before


def test_of_two_sources_with_one_stem_the_second_keeps_its_suffix(run: Run, photo: Path) -> None:
    Image.open(photo).save(photo.parent / "photo.jpg")
    status, out, _ = run("reconstruct", photo.parent, "-o", "out")
    assert (status, out) == (0, "Wrote 2 files to out.\n")
    assert sorted(p.name for p in Path("out").iterdir()) == ["photo.png", "photo.png.png"]
    assert run("extract", photo.parent, "-o", "out")[0] == 0
    assert sorted(p.name for p in Path("out").glob("*.npz")) == ["photo.npz", "photo.png.npz"]


def test_two_sources_with_one_result_are_told_before_any_work(run: Run, photo: Path) -> None:
    other = photo.parent / "more" / photo.name
    other.parent.mkdir()
    Image.open(photo).save(other)
    status, _, err = run("reconstruct", photo, other, "-o", "out")
    assert status == 2
    assert "different names" in err
    assert not Path("out").exists()


def test_no_source_is_told(run: Run) -> None:
    status, _, err = run("reconstruct")
    assert status == 2
    assert "Expected a SOURCE" in err


@pytest.mark.parametrize("command", ["reconstruct", "extract", "list", "fit", "evaluate"])
def test_help_says_what_a_command_does(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    assert "Usage" in out
    assert command == "list" or "Example" in out


def test_module_runs_as_a_program_without_waiting_for_torch() -> None:
    code = "import sys, invertdesc.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    done = subprocess.run(
        [sys.executable, "-m", "invertdesc", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("0.")
