"""Folders of pictures of a map."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from scene import PLAIN, Scene, ring, scattered

from invertdesc import InputError, MissingDependencyError, read_image, write_image
from invertdesc.maps import (
    Map,
    Viewpoint,
    inspect_map,
    measure_flicker,
    open_map,
    own_viewpoints,
    render_map,
    write_animation,
)


@pytest.fixture(scope="module")
def little(boxes: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("little")
    scattered(boxes, 500, views=4).write(folder)
    return folder


@pytest.fixture
def opened(little: Path) -> Map:
    return open_map(little, features=little / "features")


def test_a_run_goes_on(opened: Map, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = render_map(opened, out, method="poisson", shard=(0, 2), max_side=160)
    assert (first.made, first.sheet) == (2, None)
    assert {path.name for path in out.iterdir()} == {"000.png", "002.png", "metrics-0-of-2.jsonl"}
    before = (out / "000.png").stat().st_mtime_ns
    second = render_map(opened, out, method="poisson", max_side=160, animation="webp")
    assert (second.made, second.there) == (2, 2)
    assert (out / "000.png").stat().st_mtime_ns == before
    assert read_image(out / "001.png").shape == (3, 120, 160)
    assert second.sheet == out / "sheet.png"
    with Image.open(out / "animation.webp") as film:
        assert film.n_frames == 4  # type: ignore[attr-defined]
        assert film.size == (160, 120)


def test_measures(opened: Map, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    image = torch.rand(3, 240, 320, generator=torch.Generator().manual_seed(0))
    write_image(image, tmp_path / "images" / "000.png")
    shutil.move(tmp_path / "images" / "000.png", tmp_path / "images" / "000")
    viewpoints = own_viewpoints(opened, names="000")
    render_map(
        opened, tmp_path / "out", viewpoints=viewpoints, method="poisson", truth=tmp_path / "images"
    )
    (line,) = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    found = json.loads(line)["measures"]
    assert set(found) == {"coverage", "ncc", "psnr", "ssim", "ncc_near", "psnr_near"}
    assert 0 < found["coverage"] < 1
    assert abs(found["ncc"]) < 0.1  # of noise


def test_what_sees_nothing_and_what_leads_outside(opened: Map, tmp_path: Path) -> None:
    (own,) = own_viewpoints(opened, names="001")
    away = replace(own, name="away", pose=ring(1, 180.0)[0])
    outside = replace(own, name="../outside")
    above = Viewpoint("above", PLAIN, own.pose, leave_out=("000", "001", "002", "003"))
    errors: list[str | None] = []
    summary = render_map(
        opened,
        tmp_path / "out",
        viewpoints=[own, outside, above, away],
        method="poisson",
        on_outcome=lambda outcome: errors.append(outcome.error),
    )
    assert summary.failed == 1
    assert summary.empty >= 1
    assert sum("inside a folder" in error for error in errors if error) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_arguments_are_checked_first(
    opened: Map, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    for wrong in ({"shard": (2, 2)}, {"batch_size": 0}, {"animation": "avi"}, {"method": "none"}):
        with pytest.raises(InputError):
            render_map(opened, tmp_path / "out", **wrong)  # type: ignore[arg-type]
    with pytest.raises(MissingDependencyError, match="ffmpeg"):
        render_map(opened, tmp_path / "out", animation="mp4")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["webp", "gif", "mp4"])
def test_animations(kind: str, tmp_path: Path) -> None:
    if kind == "mp4" and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    files = []
    for number in range(3):
        files.append(tmp_path / f"{number}.png")
        write_image(torch.full((3, 17, 21), number / 3), files[-1])
    write_animation(files, tmp_path / f"film.{kind}", rate=10)
    assert (tmp_path / f"film.{kind}").stat().st_size > 50
    if kind != "mp4":
        with Image.open(tmp_path / f"film.{kind}") as film:
            assert film.n_frames == 3  # type: ignore[attr-defined]
            film.seek(1)
            film.load()
            assert film.info["duration"] == 100


def test_flicker() -> None:
    ramp = [torch.full((3, 4, 4), value) for value in (0.1, 0.2, 0.3, 0.4)]
    assert measure_flicker(ramp) == pytest.approx(0, abs=1e-6)
    turns = [torch.full((3, 4, 4), value) for value in (0.0, 1.0, 0.0, 1.0)]
    assert measure_flicker(turns) == pytest.approx(1)
    with pytest.raises(InputError, match="three"):
        measure_flicker(ramp[:2])


def test_inspect(opened: Map, little: Path) -> None:
    found = inspect_map(opened)
    assert (found.images, found.points, found.with_features) == (4, len(opened.model.xyz), 4)
    assert found.cameras == {"SIMPLE_PINHOLE": 2, "OPENCV": 2}
    assert found.track == pytest.approx(found.observations / found.points)
    assert found.missing == ()
    assert inspect_map(little).missing == ("descriptors",)


def test_the_command(
    run: Callable[..., tuple[int, str, str]], little: Path, tmp_path: Path
) -> None:
    given = ["render", little, "--features", little / "features", "-m", "poisson"]
    code, out, _ = run(*given, "-o", "a", "--between", "001", "002", "--views", 3, "--max-side", 80)
    assert code == 0
    assert "3" in out
    assert (tmp_path / "a" / "sheet.png").is_file()
    code, out, _ = run(*given, "-o", "b", "--hold-out", "--names", "001", "--widest", 80)
    assert (tmp_path / "b" / "001.png").is_file()
    code, _, err = run(*given, "-o", "c", "--orbit", "--hold-out")
    assert code == 2
    assert "hold_out" in err
    code, _, err = run("render", tmp_path / "none", "-o", "c")
    assert (code, err.count("\n")) == (2, 1)
    code, out, _ = run("inspect", little / "sparse" / "0")
    assert "COLMAP model" in out
    assert "descriptors" in out
    code, out, _ = run("inspect", little / "sparse" / "0", "--json")
    assert json.loads(out)["images"] == 4
