"""Which files the command reads and writes, and how it prints their names."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from invertdesc import LocalFeatures
from invertdesc.image import write_image

Run = Callable[..., tuple[int, str, str]]
POISSON = ("-m", "poisson")
LATIN = os.fsdecode(b"caf\xe9.png")  # a name of bytes that are no UTF-8
ODD = "new\nline\x1b[2J.png"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()[:96, 128:256]).save(path)
    return path


def written(folder: str) -> list[str]:
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def copies(photo: Path, *names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, name)


def test_of_a_folder_of_folders_all_pictures_are_taken(run: Run, photo: Path) -> None:
    copies(photo, "cams/cam0/1.png", "cams/cam1/1.png", "cams/.hidden/2.png")
    status, out, _ = run("reconstruct", "cams", "-o", "out", *POISSON)
    assert (status, out) == (0, "Wrote 2 files to out.\n")
    assert written("out") == ["cam0/1.png", "cam1/1.png"]
    assert run("extract", "cams", "-o", "features")[0] == 0
    assert written("features") == ["cam0/1.npz", "cam1/1.npz"]
    assert run("fit", "-d", "sift", "--data", "cams", "-o", "mine.safetensors")[0] == 0


def test_of_a_folder_with_pictures_no_others_are_taken(run: Run, photo: Path) -> None:
    copies(photo, "cams/1.png", "cams/out/1.png")
    assert run("reconstruct", "cams", "-o", "out", *POISSON)[0] == 0
    assert written("out") == ["1.png"]


def test_what_another_source_was_made_to_is_not_replaced(run: Run, photo: Path) -> None:
    assert run("extract", photo)[0] == 0
    assert run("reconstruct", photo, *POISSON)[0] == 0
    before = Path("photo-reconstruction.png").read_bytes()
    for command in (("reconstruct", "photo.npz"), ("extract", photo)):
        status, out, err = run(*command)
        assert (status, out) == (2, "")
        assert re.fullmatch(r"error: Expected no file at \S+, found one\. .*-o .*\n", err)
    assert Path("photo-reconstruction.png").read_bytes() == before
    assert run("reconstruct", "photo.npz", "-o", "photo-reconstruction.png")[0] == 0
    assert Path("photo-reconstruction.png").read_bytes() != before


def test_a_link_to_itself_costs_one_picture(run: Run, photo: Path) -> None:
    copies(photo, "in/a.png")
    Path("in/loop.png").symlink_to("loop.png")
    status, out, err = run("reconstruct", "in", "-o", "out", *POISSON)
    assert (status, out) == (2, "Wrote 1 files to out.\n")
    assert err == "error: Expected an image file, found none at in/loop.png.\n"


def test_a_folder_of_features_is_a_store(run: Run, photo: Path) -> None:
    copies(photo, "in/a.png", "in/b.png", "in/c.png")
    run("extract", "in", "-o", "features")
    common = ("reconstruct", "features", "-o", "out", *POISSON)
    status, out, _ = run(*common, "--names", "[ab]", "--shard", "1/2", "--assume", "scales=2")
    assert (status, out.splitlines()[0]) == (0, "Wrote 1 of 1 pictures to out.")
    assert written("out") == ["b.png", "metrics-1-of-2.jsonl"]
    first = Path("out/b.png").stat().st_mtime_ns
    status, out, _ = run(*common)
    assert out.splitlines()[0] == "Wrote 2 of 3 pictures to out. 1 were there already."
    assert Path("out/b.png").stat().st_mtime_ns == first
    assert run("inspect", "features")[0] == 0


def test_a_folder_of_features_may_stand_beside_other_sources(run: Run, photo: Path) -> None:
    copies(photo, "in/a.png")
    run("extract", "in", "-o", "features")
    status, out, _ = run("reconstruct", "features", photo, "-o", "out", *POISSON)
    assert (status, out) == (0, "Wrote 2 files to out.\n")


@pytest.mark.parametrize("store", [True, False], ids=["store", "files"])
def test_an_output_folder_that_is_deleted_meanwhile_is_an_error(
    store: bool, run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies(photo, "in/a.png", "in/b.png", "in/c.png")
    run("extract", "in", "-o", "features")
    done: list[Path] = []

    def write(image: Any, path: Path) -> None:
        if len(done) == 2:
            shutil.rmtree("out")
        done.append(path)
        write_image(image, path)

    monkeypatch.setattr("invertdesc.bulk.jobs.WRITERS", 1)
    monkeypatch.setattr("invertdesc.bulk.order.write_image", write)
    source = "features" if store else "in"
    status, out, err = run("reconstruct", source, "-o", "out", "--batch-size", 1, *POISSON)
    assert status == 2
    assert out.splitlines()[0].startswith("Wrote 1 of 3 pictures" if store else "Wrote 1 files")
    assert re.fullmatch(r"error: Expected 3 files to stay .*, 2 are gone, .*\n", err)


@pytest.mark.parametrize("name", [LATIN, ODD], ids=["not UTF-8", "line end"])
def test_names_are_printed_as_codes(name: str, run: Run, photo: Path) -> None:
    copies(photo, f"in/{name}")
    for command in (
        ("reconstruct", f"in/{name}", "-o", f"back-{name}", *POISSON),
        ("extract", f"in/{name}", "-o", f"{name}.npz"),
        ("reconstruct", f"in/{name}.none", "-o", "x.png"),
        ("inspect", f"{name}.npz"),
        ("inspect", f"{name}.none"),
        ("audit", f"in/{name}", *POISSON, "--no-faces", "-o", f"{name}.html"),
        ("fit", "-d", "sift", "--data", "in", "-o", f"{name}.safetensors"),
        ("evaluate", "--data", "in", *POISSON, "--no-floors", "-o", f"{name}.csv"),
    ):
        status, out, err = run(*command)
        assert status == (2 if "none" in str(command) else 0), err
        shown = f"{out}{err}".replace("\n", "")
        assert shown.isprintable(), command
        assert "audit" not in command or Path(f"{name}.html").stat().st_size > 0


def test_warnings_and_errors_of_many_files_are_printed_as_codes(run: Run, photo: Path) -> None:
    for name in (LATIN, ODD):
        Path("in").mkdir(exist_ok=True)
        Path(f"in/{name}").write_text("no image")
    copies(photo, "in/z.png")
    status, _, err = run("extract", "in", "-o", "out")
    assert status == 2
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: ") and line.isprintable() for line in lines)


def test_a_name_that_is_not_utf8_reaches_a_pipe(photo: Path) -> None:
    copies(photo, str(photo.with_name(LATIN)))
    done = subprocess.run(
        [sys.executable, "-m", "invertdesc", "extract", LATIN, "-o", f"{LATIN}.npz"],
        cwd=photo.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Wrote caf\\udce9.png.npz.\n"
    assert len(LocalFeatures.load(photo.with_name(f"{LATIN}.npz")))


def test_sources_keep_the_order_that_they_are_named_in(run: Run, photo: Path) -> None:
    names = ["z.png", "b.png", "a.png", "z.png", "c.png"]
    _, _, err = run("reconstruct", *names, photo, "-o", "out", *POISSON)
    found = re.findall(r"found none at (\S+)\.\n", err)
    assert found == ["z.png", "b.png", "a.png", "c.png"]
