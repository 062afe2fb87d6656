"""`invertdesc reconstruct` on stores."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from make_stores import WRITERS, change, write_colmap, write_hloc, write_npz

from invertdesc import LocalFeatures, reconstruct
from invertdesc.image import read_image, to_gray, to_uint8

Run = Callable[..., tuple[int, str, str]]
Images = dict[str, LocalFeatures]
POISSON = ("-m", "poisson")


def written(folder: str = "out") -> list[str]:
    files = (p for p in Path(folder).rglob("*") if p.is_file() and p.suffix != ".jsonl")
    return sorted(p.relative_to(folder).as_posix() for p in files)


def first(text: str) -> str:
    return text.partition("\n")[0]


@pytest.mark.parametrize("kind", WRITERS)
def test_pictures_of_a_store(kind: str, run: Run, tmp_path: Path, images: Images) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    path = WRITERS[kind](folder, images)
    upright = ("--assume", "orientations=0") if kind == "oxford" else ()
    status, out, err = run("reconstruct", path, "-o", "out", *POISSON, *upright)
    assert status == 0
    assert all(line.startswith("note: ") for line in err.splitlines())
    assert first(out) == "Wrote 2 of 2 pictures to out."
    assert written() == ["101.png", "102.png"]


def test_picture_is_that_of_the_features(run: Run, tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {"rome/0001.jpg": some})
    assert run("reconstruct", path, "-o", "out", "--method", "poisson")[0] == 0
    given = reconstruct(some, method="poisson")
    read = read_image("out/rome/0001.png")
    assert read.shape == (3, 200, 240)
    apart = to_gray(read, "luma") - to_gray(given)  # the database does not name the gray
    assert float((apart - apart.mean()).abs().mean()) < 0.05
    assert to_uint8(read).std() > 10


def test_folders_of_names_are_kept(run: Run, tmp_path: Path, some: LocalFeatures) -> None:
    names = ["a/b/one.jpg", "a/two.PNG", "three.v2", r"win\dows.jpg", "/data/four.jpg", "C:\\x.jpg"]
    path = write_colmap(tmp_path, dict.fromkeys(names, some[:5]))
    assert run("reconstruct", path, "-o", "out", *POISSON)[0] == 0
    assert written() == [
        "a/b/one.png",
        "a/two.png",
        "data/four.png",
        "three.v2.png",
        "win/dows.png",
        "x.png",
    ]


@pytest.mark.parametrize(
    "name",
    ["../evil.jpg", "a/../../evil.jpg", "/../evil.jpg", r"..\evil.jpg", "..", "/", "", ".", "C:/",
     "bell\x07.jpg", "esc\x1b[2J.jpg", "n" * 300 + ".jpg"],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_told(
    name: str, run: Run, tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_colmap(tmp_path, {name: some[:5], "good.jpg": some[:5]})
    before = set(tmp_path.rglob("*"))
    status, out, err = run("reconstruct", path, "-o", "deep/out", *POISSON)
    assert status == 2
    assert first(out) == "Wrote 1 of 2 pictures to deep/out. 1 failed."
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    made = {p.relative_to(tmp_path).as_posix() for p in set(tmp_path.rglob("*")) - before}
    assert made == {"deep", "deep/out", "deep/out/good.png", "deep/out/metrics.jsonl"}


def test_links_in_the_output_folder_lead_nowhere(
    run: Run, tmp_path: Path, some: LocalFeatures
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "precious.png").write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / "sub").symlink_to(tmp_path / "elsewhere")
    (out / "loop").symlink_to(out / "loop")
    (out / "file.png").symlink_to(tmp_path / "nowhere.png")
    path = write_colmap(
        tmp_path,
        dict.fromkeys(["sub/one.jpg", "sub/deep/two.jpg", "loop/three.jpg", "file.jpg"], some[:5]),
    )
    status, said, err = run("reconstruct", path, "-o", "out", *POISSON)
    assert (status, first(said)) == (2, "Wrote 1 of 4 pictures to out. 3 failed.")
    assert "a link that leads out of it" in err
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "nowhere.png").exists()
    assert not (out / "file.png").is_symlink()  # replaced, not followed


def test_what_is_there_is_left(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    Path("out").mkdir()
    Path("out/101.png").write_text("made before")
    status, out, _ = run("reconstruct", path, "-o", "out", *POISSON)
    assert (status, first(out)) == (0, "Wrote 1 of 2 pictures to out. 1 were there already.")
    assert Path("out/101.png").read_text() == "made before"
    _, out, _ = run("reconstruct", path, "-o", "out", *POISSON)
    assert first(out) == "Wrote 0 of 2 pictures to out. 2 were there already."


def test_what_a_killed_run_left_is_cleared(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    killed = (
        "import os, signal\nfrom invertdesc._files import atomic_write\n"
        "with atomic_write('out/102.png'):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", killed], check=False)
    assert len(written()) == 1
    run("reconstruct", path, "-o", "out", *POISSON)
    assert written() == ["101.png", "102.png"]


def test_shards_make_together_what_one_run_makes(
    run: Run, tmp_path: Path, some: LocalFeatures
) -> None:
    names = [f"cam{k % 2}/{k}.jpg" for k in range(7)]
    path = write_colmap(tmp_path, {name: some[k:] for k, name in enumerate(names)})
    run("reconstruct", path, "-o", "all", *POISSON)
    counts = []
    for shard in ("0/3", "1/3", "2/3"):
        status, out, _ = run("reconstruct", path, "-o", "parts", "--shard", shard, *POISSON)
        assert status == 0
        counts.append(int(out.split()[1]))
    assert counts == [3, 2, 2]
    assert written("parts") == written("all")
    for name in written("all"):
        assert Path("parts", name).read_bytes() == Path("all", name).read_bytes()


def test_more_shards_than_images(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    status, out, _ = run("reconstruct", path, "-o", "out", "--shard", "4/9", *POISSON)
    assert (status, first(out)) == (0, "Wrote 0 of 0 pictures to out.")


def test_images_are_chosen_by_name(run: Run, tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, dict.fromkeys(["a/1.jpg", "a/2.jpg", "b/1.jpg"], some[:5]))
    run("reconstruct", path, "-o", "out", "--names", "a/*", *POISSON)
    assert written() == ["a/1.png", "a/2.png"]
    status, _, err = run("reconstruct", path, "-o", "out", "--names", "c/*", *POISSON)
    assert status == 2
    assert "Expected images of names like 'c/*'" in err


@pytest.mark.parametrize("size", [1, 16])
def test_bad_images_are_told_and_left_out(
    size: int, run: Run, tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_colmap(tmp_path, dict.fromkeys("abcd", some[:5]))
    change(path, "UPDATE keypoints SET rows = -1 WHERE image_id = 2;")
    change(path, "UPDATE descriptors SET data = zeroblob(3) WHERE image_id = 3;")
    batch = ("--batch-size", size)
    status, out, err = run("reconstruct", path, "-o", "out", *POISSON, *batch)
    assert (status, first(out)) == (2, "Wrote 2 of 4 pictures to out. 2 failed.")
    assert len(re.findall("^error: Cannot read '[bc]' of", err, re.MULTILINE)) == 2
    assert written() == ["a.png", "d.png"]


def test_images_without_keypoints_are_no_errors(
    run: Run, tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_colmap(tmp_path, {"a": some, "b": some[:0]})
    status, out, _ = run("reconstruct", path, "-o", "out", *POISSON)
    assert (status, first(out)) == (0, "Wrote 1 of 2 pictures to out. 1 have no keypoints.")


def test_images_of_several_sizes_go_together(run: Run, tmp_path: Path, some: LocalFeatures) -> None:
    crops = {f"{side}.jpg": some.crop((0, 0, side, 190)) for side in (150, 200, 230)}
    path = write_colmap(tmp_path, crops)
    assert run("reconstruct", path, "-o", "out", *POISSON)[0] == 0
    assert read_image("out/150.png").shape == (3, 190, 150)
    assert read_image("out/230.png").shape == (3, 190, 230)


def test_of_images_with_one_stem_later_ones_keep_their_suffix(
    run: Run, tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_colmap(tmp_path, dict.fromkeys(["a.jpg", "a.tif", "b.jpg"], some[:5]))
    status, out, _ = run("reconstruct", path, "-o", "out", *POISSON)
    assert (status, first(out)) == (0, "Wrote 3 of 3 pictures to out.")
    assert written() == ["a.png", "a.tif.png", "b.png"]


def test_images_of_one_picture_are_told(run: Run, tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, dict.fromkeys(["a.jpg", "./a.jpg", "/a.jpg"], some[:5]))
    status, out, err = run("reconstruct", path, "-o", "out", *POISSON)
    assert (status, first(out)) == (2, "Wrote 2 of 3 pictures to out. 1 failed.")
    assert "'a.jpg' and another one" in err


@pytest.mark.filterwarnings("default::invertdesc.FramesRecoveredWarning")
def test_store_without_orientations(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images, columns=2)
    status, _, err = run("reconstruct", path, "-o", "out", *POISSON)
    assert status == 0
    assert "warning: Recovered the orientations and scales of" in err
    assert written() == ["101.png", "102.png"]
    recovered = Path("out/101.png").read_bytes()
    guess = ("--assume", "orientations=0", "--assume", "scales=3")
    status, _, err = run("reconstruct", path, "-o", "guessed", *POISSON, *guess)
    assert (status, "Recovered" in err) == (0, False)
    assert Path("guessed/101.png").read_bytes() != recovered


def test_store_of_unknown_descriptors_is_told_once(
    run: Run, tmp_path: Path, images: Images
) -> None:
    path = write_hloc(tmp_path, images)
    with h5py.File(path, "a") as file:
        for name in images:
            del file[name]["descriptors"]
            file[name]["descriptors"] = np.eye(256, len(images[name]), dtype="f4")
    status, out, err = run("reconstruct", path, "-o", "out")
    assert (status, out) == (2, "")
    assert err.count("error") == 1
    assert "may be those of superpoint" in err
    assert run("inspect", path)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Expected a folder to write to, -o DIR, got None"),
        (("-o", "out.png"), "Expected a folder to write to, -o DIR, got out.png"),
        (("-o", "out", "--shard", "4/4"), "Expected a shard I/N"),
        (("-o", "out", "--shard", "0/0"), "Expected a shard I/N"),
        (("-o", "out", "--shard", "-1/2"), "Expected a shard I/N"),
        (("-o", "out", "--image-size", "640"), "such as 640x480"),
        (("-o", "out", "--image-size", "0x480"), "at least 1 pixel"),
        (("-o", "out", "--assume", "scores=1"), "scales=SIGMA or orientations=RADIANS"),
        (("-o", "out", "--assume", "scales=NaN"), "scales=SIGMA or orientations=RADIANS"),
        (("-o", "out", "-d", "siftt"), "Did you mean"),
        (("-o", "out", "-m", "poison"), "Did you mean"),
        (("-o", "out", "-D", "sigma=2"), "-D and --gray for images only"),
        (("-o", "out", "--example", "camera"), "one store and nothing beside it"),
        (("other.jpg", "-o", "out"), "one store and nothing beside it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_arguments_are_told(
    arguments: tuple[str, ...], words: str, run: Run, tmp_path: Path, images: Images
) -> None:
    path = write_colmap(tmp_path, images)
    status, out, err = run("reconstruct", path, *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert not Path("out").exists()


@pytest.mark.parametrize("options", [("--shard", "0/2"), ("--consistency",), ("--ray", "local")])
def test_options_of_stores_need_one(
    options: tuple[str, ...], run: Run, tmp_path: Path, images: Images
) -> None:
    write_npz(tmp_path, images)
    status, _, err = run("reconstruct", "101.npz", *options)
    assert status == 2
    assert "with a store, got none" in err


def test_damaged_database_is_told(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    path.write_bytes(path.read_bytes()[:5000])
    for command in (("reconstruct", path, "-o", "out"), ("inspect", path)):
        status, out, err = run(*command)
        assert (status, out) == (2, "")
        assert "COLMAP database" in err
    Path("empty.db").touch()
    for command in (("reconstruct", "empty.db", "-o", "out"), ("inspect", "empty.db")):
        status, _, err = run(*command)
        assert status == 2
        assert "of a known kind" in err


def start(store: Path, folder: str, *options: str) -> subprocess.Popen[bytes]:
    """Reconstruct a store in a process of its own, to a folder beside it."""
    command = [sys.executable, "-m", "invertdesc", "reconstruct", str(store), "-o", folder]
    return subprocess.Popen(
        [*command, *POISSON, *options],
        cwd=store.parent,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def pictures(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder, but for metrics."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*.*")
        if p.suffix != ".jsonl"
    }


@pytest.mark.slow
def test_killed_runs_leave_whole_files_and_end_alike(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {f"{k % 3}/{k}.jpg": some[k % 7 :] for k in range(60)})
    assert start(path, "whole", "--batch-size", "2").wait(120) == 0
    whole = pictures(tmp_path / "whole")
    for _ in range(2):
        run = start(path, "killed", "--batch-size", "2")
        count = len(list((tmp_path / "killed").rglob("*.png")))
        limit = time.monotonic() + 60
        while len(list((tmp_path / "killed").rglob("*.png"))) < count + 8:
            assert time.monotonic() < limit
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        assert run.wait(60) == -signal.SIGKILL
        found = pictures(tmp_path / "killed")
        done = {name: data for name, data in found.items() if name.endswith(".png")}
        assert 0 < len(done) < len(whole)
        assert all(whole[name] == data for name, data in done.items())
    assert start(path, "killed", "--batch-size", "2").wait(120) == 0
    assert pictures(tmp_path / "killed") == whole
    metrics = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    assert sorted({json.loads(line)["image"].replace("jpg", "png") for line in metrics}) == sorted(
        whole
    )


@pytest.mark.slow
def test_four_processes_make_the_files_of_one(tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {f"{k % 3}/{k}.jpg": some[k % 7 :] for k in range(42)})
    whole = start(path, "whole", "--batch-size", "4")
    assert whole.wait(300) == 0
    runs = [start(path, "shared", "--batch-size", "4", "--shard", f"{k}/4") for k in range(4)]
    assert [run.wait(300) for run in runs] == [0, 0, 0, 0]
    assert len(pictures(tmp_path / "whole")) == 42
    assert pictures(tmp_path / "shared") == pictures(tmp_path / "whole")
    lines = [
        json.loads(line)["image"]
        for k in range(4)
        for line in (tmp_path / "shared" / f"metrics-{k}-of-4.jsonl").read_text().splitlines()
    ]
    assert len(lines) == len(set(lines)) == 42
