"""The list of what needs a GPU: its order, its time, and what it remembers."""

import argparse
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[2]


def _item(name: str, code: str, **options: Any) -> Any:
    from gpu_list import Item

    values = {"seconds": 20.0, "least": 1.0, "code": ("benchmarks/ceilings.py",)} | options
    return Item(name, ("{python}", "-c", code), **values)


def _session(folder: Path, seconds: float = 60) -> Any:
    from on_gpu import Done, Session

    options = argparse.Namespace(
        seconds=seconds, output=folder / "out", work=folder / "work", dry=False, device="cpu"
    )
    session = Session(options)
    session.done = Done(folder / "out" / "gpu-done.json")  # not what the repository remembers
    return session


def _done(folder: Path) -> dict[str, dict[str, str]]:
    return json.loads((folder / "out" / "gpu-done.json").read_text())


def test_what_is_done_is_not_done_again_and_what_failed_is(tmp_path: Path) -> None:
    note = f"open({str(tmp_path / 'ran')!r}, 'a').write"
    items = [_item("good", f"{note}('g')"), _item("bad", f"{note}('b'); raise SystemExit(3)")]
    for _ in range(2):
        _session(tmp_path).run(items)
    assert (tmp_path / "ran").read_text() == "gbb"
    assert {name: one["status"] for name, one in _done(tmp_path).items()} == {
        "good": "done",
        "bad": "failed",
    }
    assert "good: done before" in (tmp_path / "out" / "gpu-log.txt").read_text()


def test_an_item_is_done_again_when_its_code_or_command_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import on_gpu

    monkeypatch.setattr(on_gpu, "ROOT", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    code = tmp_path / "benchmarks" / "ceilings.py"
    code.write_text("1")
    done = on_gpu.Done(tmp_path / "gpu-done.json")
    item = _item("one", "")
    done.note(item, "done", 1.0)
    assert on_gpu.Done(tmp_path / "gpu-done.json").has(item)
    assert not done.has(_item("one", "pass"))
    code.write_text("2")
    assert not done.has(item)


def test_what_takes_too_long_is_ended_with_its_children_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("on_gpu.GRACE", 0.5)
    note = tmp_path / "child"
    slow = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        f"open({str(note)!r}, 'w').write(str(child.pid)); time.sleep(600)"
    )
    _session(tmp_path).run([_item("slow", slow, seconds=4), _item("next", "print('here')")])
    assert [one["status"] for one in _done(tmp_path).values()] == ["stopped", "done"]
    if note.exists():  # a very busy machine may not have come so far
        _wait_until_gone(int(note.read_text()))


def _wait_until_gone(process: int) -> None:
    state = Path(f"/proc/{process}/stat")
    for _ in range(200):
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.1)
    raise AssertionError(f"Process {process} is still there.")


def test_without_enough_time_an_item_is_left_for_the_next_and_a_shorter_one_is_done(
    tmp_path: Path,
) -> None:
    items = [
        _item("long", "", least=100.0),
        _item("training", "", seconds=500.0, trains=True),
        _item("shorter", ""),
    ]
    _session(tmp_path, seconds=40).run(items)
    assert {name: one["status"] for name, one in _done(tmp_path).items()} == {
        "training": "cut",  # not for as long as it should
        "shorter": "done",
    }


def test_results_and_the_end_of_the_log_are_there_after_each_item(tmp_path: Path) -> None:
    write = "open({path!r}, 'w').write({text!r})"
    (tmp_path / "work").mkdir()
    good, broken = (str(tmp_path / "work" / name) for name in ("a.json", "b.json"))
    items = [
        _item("a", write.format(path=good, text='{"x": 1}'), results=("a.json",)),
        _item("b", write.format(path=broken, text="{"), results=("b.json",)),
    ]
    # Braces of Python are those of the command's words.
    items = [_escaped(item) for item in items]
    _session(tmp_path).run(items)
    found = json.loads((tmp_path / "out" / "gpu-results.json").read_text())
    assert found == {"a": {"x": 1}}


def test_weights_have_names_that_come_back(tmp_path: Path) -> None:
    made = tmp_path / "work" / "a+b.safetensors"
    made.parent.mkdir()
    made.write_bytes(b"weights")
    _session(tmp_path).run([_item("a+b", "", weights=("a+b.safetensors",))])
    assert (tmp_path / "out" / "a-with-b.safetensors").read_bytes() == b"weights"


def test_results_of_benchmarks_are_written_as_they_come(tmp_path: Path) -> None:
    file, bench = tmp_path / "results.json", tmp_path / "bench_two.py"
    bench.write_text(
        "import pathlib\n"
        "def test_one(benchmark):\n    benchmark.pedantic(int, rounds=2)\n"
        "def test_two(benchmark):\n"
        f"    assert 'test_one' in pathlib.Path({str(file)!r}).read_text()\n"
        "    benchmark.pedantic(int, rounds=2)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={tmp_path}"]
    paths = f"{ROOT / 'benchmarks'}{os.pathsep}{ROOT}"
    subprocess.run(
        [*command, "-p", "conftest", f"--as-it-goes={file}", str(bench)],
        check=True,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
    )
    found = json.loads(file.read_text())["benchmarks"]
    assert [one["name"] for one in found] == ["test_one", "test_two"]
    assert found[0]["stats"]["median"] > 0


def _escaped(item: Any) -> Any:
    from dataclasses import replace

    *words, code = item.command
    return replace(item, command=(*words, code.replace("{", "{{").replace("}", "}}")))


def test_the_list_is_in_order_of_worth_and_fits_into_its_time() -> None:
    from gpu_list import everything
    from on_gpu import LONG, SHORT

    items = everything(Path("pack.zip"), Path("work"))
    names = [item.name for item in items]
    wanted = ["tests", "shares", "methods", "unfold", "coarse", "coarse+cgan", "figure4", "upconv"]
    assert [name for name in names if name in wanted] == wanted
    assert len(set(names)) == len(names)
    assert LONG < 600 - 20
    assert SHORT < 240 - 10
    before = sum(item.seconds for item in items[: names.index("unfold")] if not item.background)
    assert LONG - before >= next(item.least for item in items if item.name == "unfold")
    assert not any(item.trains for item in everything(None, Path("work")))
    for item in items:
        assert any(list(ROOT.glob(pattern)) for pattern in item.code), item.name


def test_features_are_extracted_for_what_is_trained_alone() -> None:
    from gpu_list import chosen

    def extracted(**options: Any) -> list[str] | None:
        items = {item.name: item for item in chosen(Path("pack.zip"), Path("work"), **options)}
        if "features" not in items:
            return None
        words = items["features"].command
        return list(words[words.index("benchmarks/gpu_train.py") + 1 : words.index("--folder")])

    assert extracted() == ["unfold", "coarse", "coarse-30", "coarse+cgan", "upconv"]
    assert extracted(only=["coarse-30", "tests"]) == ["coarse-30"]
    assert extracted(only=["figure4"]) == ["coarse"]
    assert extracted(only=["tests"]) is None
    assert "tests" not in [item.name for item in chosen(None, Path("work"), skip=["tests"])]


def test_large_weights_come_back_in_parts_nearly_as_they_were(tmp_path: Path) -> None:
    from gpu_files import save_weights
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    draw = torch.Generator().manual_seed(0)
    weights = {"w": torch.randn(300, 400, generator=draw).half(), "b": torch.randn(3)}
    save_file(weights, tmp_path / "net.safetensors", {"about": "it"})
    small = save_weights(tmp_path / "net.safetensors", tmp_path / "whole.safetensors")
    assert [file.name for file in small] == ["whole.safetensors"]
    target = tmp_path / "parts.safetensors"
    parts = save_weights(tmp_path / "net.safetensors", target, most=100_000)
    assert len(parts) == 2
    assert all(file.stat().st_size <= 100_000 for file in parts)
    assert sum(file.stat().st_size for file in parts) < 0.85 * small[0].stat().st_size
    joined = " ".join(str(file) for file in parts)
    subprocess.run(f"cat {joined} | gunzip > {target}", shell=True, check=True)
    found = load_file(target)
    assert torch.equal(found["b"], weights["b"])
    torch.testing.assert_close(found["w"], weights["w"], rtol=2**-8, atol=1e-6)
    with safe_open(target, "numpy") as file:
        assert file.metadata() == {"about": "it"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`faces` and `photos`, each with `train` and `test`, made from scikit-image's pictures."""
    root = tmp_path_factory.mktemp("data")
    sources = [data.astronaut(), data.coffee(), data.chelsea()]
    for kind in ("faces", "photos"):
        for part, count in (("train", 14), ("test", 4)):
            (root / kind / part).mkdir(parents=True)
            for number in range(count):
                source = sources[number % 3]
                x = 7 * number
                square = Image.fromarray(source[: 290 - x, x:290])
                square.save(root / kind / part / f"{part}{number:02}.png")
    return root


def _pack(folders: Path, target: Path, *more: str) -> str:
    words = [sys.executable, str(ROOT / "tools/pack_for_gpu.py"), "-o", str(target), *more]
    for part in ("train", "test"):
        for kind in ("faces", "photos"):
            words += [f"--{part}", str(folders / kind / part)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_a_pack_fits_by_quality_first_and_then_by_fewer_pictures(
    folders: Path, tmp_path: Path
) -> None:
    target = tmp_path / "pack.zip"
    for most, wanted in (("40", "36 of 36 pictures, quality 90"), ("0.4", "36 of 36")):
        assert wanted in _pack(folders, target, "--most", most)
        assert target.stat().st_size <= float(most) * 2**20
    line = _pack(folders, target, "--most", "0.08")
    assert "quality 30" in line
    assert 1 <= int(line.split()[0]) < 36
    with zipfile.ZipFile(target) as archive:
        kinds = {name.rpartition("/")[0] for name in archive.namelist() if "/" in name}
    assert kinds <= {"train/faces", "train/photos", "test/faces", "test/photos"}


def test_packed_features_are_those_that_training_finds(folders: Path, tmp_path: Path) -> None:
    from pack_for_gpu import unpack

    from invertdesc.features.local import LocalFeatures
    from invertdesc.training.data import FeatureData

    target, folder = tmp_path / "pack.zip", tmp_path / "there"
    _pack(folders, target, "--features", "orb", "--feature-images", "3")
    unpack(target, folder)
    cached = sorted((folder / "cache").rglob("*.npz"))
    assert len(cached) == 3
    paths = [
        path
        for path in sorted((folder / "train").rglob("*.webp"))
        if FeatureData.file_of(path, "orb", 256, folder / "cache").is_file()
    ]
    assert len(paths) == 3
    stamps = [path.stat().st_mtime_ns for path in cached]
    found = FeatureData(paths, ["orb"], crop=256, cache=folder / "cache", workers=0)
    assert [path.stat().st_mtime_ns for path in sorted(cached)] == stamps
    assert len(found.item(0)[1]) == len(
        LocalFeatures.load(FeatureData.file_of(paths[0], "orb", 256, folder / "cache"))
    )


@pytest.mark.slow
def test_a_tenth_of_everything_runs_on_the_cpu(folders: Path, tmp_path: Path) -> None:
    vgg = tmp_path / "vgg16.safetensors"
    _make_vgg16(vgg)
    pack = tmp_path / "pack.zip"
    _pack(folders, pack, "--vgg16", str(vgg))
    out, work = tmp_path / "out", tmp_path / "work"
    command = [sys.executable, str(ROOT / "benchmarks/on_gpu.py"), "--dry", "--pack", str(pack)]
    command += ["-o", str(out), "--work", str(work), "--seconds", "1500"]
    for name in ("tests", "shares", "unfold", "coarse", "coarse+cgan", "figure6", "balance"):
        command += ["--only", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    status = {name: one["status"] for name, one in _done(tmp_path).items()}
    assert set(status.values()) == {"done"}, done.stdout
    assert {"unfold", "coarse", "coarse+cgan", "figure6", "balance"} <= set(status)
    results = json.loads((out / "gpu-results.json").read_text())
    assert results["coarse"]["share of the matrix rate"] > 0
    assert results["unfold"]["rows"]["faces, trained"]["ncc"][1] > 0
    assert (out / "unfold.safetensors").is_file()
    assert zipfile.ZipFile(out / "sheets.zip").namelist()


def _make_vgg16(path: Path) -> None:
    from safetensors.torch import save_file

    draw, state, inputs = torch.Generator().manual_seed(0), {}, 3
    for name in ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"):
        outputs = 64 * 2 ** (int(name[4]) - 1)
        scale = (2 / (9 * inputs)) ** 0.5
        state[f"{name}.weight"] = scale * torch.randn(outputs, inputs, 3, 3, generator=draw)
        state[f"{name}.bias"] = torch.zeros(outputs)
        inputs = outputs
    save_file(state, path)
