"""`invertdesc train`, and what `invertdesc evaluate` does with several methods."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from invertdesc.image import read_image

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(9):
        y, x = rng.integers(0, 300, 2)
        Image.fromarray(data.astronaut()[y : y + 100, x : x + 100]).save(folder / f"{number}.png")
    return folder


SMALL = ("--steps", 2, "--batch-size", 2, "--crop", 64, "--width", 2, "--workers", 1)


def test_a_method_is_trained_in_two_stages(run: Run, folder: Path) -> None:
    common = ("train", "--data", folder, "--cache", "cache", *SMALL)
    status, out, _ = run(*common, "-m", "coarse", "-o", "one", "--loss", "l2")
    assert (status, out) == (0, "Wrote one/coarse.safetensors.\n")
    status, out, err = run(
        *common,
        *("-m", "coarse+cgan", "-o", "two", "--loss", "l2=100,adversarial=1"),
        *("--start", "one/coarse.safetensors", "--refiner-width", 2),
        *("--discriminator-width", 2, "--discriminator-steps", 1),
    )
    assert (status, out) == (0, "Wrote two/coarse+cgan.safetensors.\n"), err
    last = json.loads(Path("two/log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 2
    weights = "weights=two/coarse+cgan.safetensors"
    picture = folder / "0.png"
    assert run("reconstruct", picture, "-m", "coarse+cgan", "-M", weights, "-o", "a.png")[0] == 0
    assert read_image("a.png").shape == (3, 100, 100)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-m", "poisson"), "a method with a network"),
        (("--loss", "l3"), "Expected losses among"),
        (("--augment", "rain"), "Expected changes among"),
        (("-m", "coarse+cgan"), "Train 'coarse' first"),
        (("-m", "coarse", "-d", "sift", "-d", "orb", "--loss", "l2"), "one descriptor"),
        (("-m", "coarse", "--vgg16", "none.pth"), "found none at none.pth"),
    ],
)
def test_what_cannot_be_trained_is_told(
    run: Run, folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    status, _, err = run("train", "--data", folder, "-o", "out", *SMALL, *arguments)
    assert status == 2
    assert words in err


def test_methods_and_a_hole_are_measured_in_one_table(run: Run, folder: Path) -> None:
    status, out, err = run(
        *("evaluate", "--data", folder, "--images", 3, "-m", "unfold", "-m", "poisson"),
        *("--hole", "30,30,70,70", "-o", "t.json", "--sheet", "sheet.png"),
    )
    assert status == 0, err
    rows = json.loads(Path("t.json").read_text())
    found = [(row["method"], row["knows"]) for row in rows]
    assert found[0] == ("unfold", "everything")
    assert ("poisson", "around the hole") in found
    assert found[-2:] == [("none", "flat"), ("none", "mean picture")]
    assert Path("sheet.png").is_file()
    assert "mean picture" in out


@pytest.mark.parametrize("hole", ["1,2,3", "a,b,c,d", "5,5,5,9"])
def test_a_hole_that_is_none_is_told(run: Run, folder: Path, hole: str) -> None:
    status, _, err = run("evaluate", "--data", folder, "--hole", hole)
    assert status == 2
    assert "x0,y0,x1,y1" in err.lower().replace(" ", "")
