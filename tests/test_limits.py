"""How much a file may ask for, and how to let it ask for more."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from invertdesc.errors import Hint, InputError, find_lack_of_memory
from invertdesc.limits import UNITS, Limits, check_limit, get_limits, use_limits

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()[:128, 128:320]).save(path)
    return path


def lack_of_numpy() -> MemoryError:
    with pytest.raises(MemoryError) as caught:
        np.zeros(2**62, np.uint8)
    return caught.value


def test_limits_hold_in_a_block_and_for_other_threads() -> None:
    before = get_limits()
    with use_limits(Limits(pixels=5)):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(get_limits).result().pixels == 5
        with pytest.raises(RuntimeError), use_limits(Limits(pixels=6)):
            raise RuntimeError
        assert get_limits().pixels == 5
    assert get_limits() == before == Limits()


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_error_says_what_came_and_how_to_raise_the_limit(name: str) -> None:
    with use_limits(Limits(**{name: 7})):
        check_limit(name, 7, "a thing")
        with pytest.raises(InputError) as caught:
            check_limit(name, 8, "a thing")
    text = f"Expected a thing of at most 7 {UNITS[name]}, got 8. "
    assert str(caught.value).startswith(text)
    assert f"use_limits(Limits({name}=8))" in str(caught.value)
    assert caught.value.hint == Hint(options={"limits": f"{name}=8"})


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", None])
def test_limit_that_is_none(value: object) -> None:
    with pytest.raises(InputError, match="Expected a limit pixels of at least 1, got"):
        Limits(pixels=value)


def test_photographs_of_24_megapixels_are_within() -> None:
    assert Limits().pixels >= 6048 * 4032
    assert Limits().keypoints >= 2**20


@pytest.mark.parametrize(
    "words",
    [
        ["--limit", "pixels=1000", "extract", "photo.png"],
        ["extract", "photo.png", "--limit", "pixels=1e3"],
        ["extract", "--limit=pixels=1000", "photo.png"],
    ],
)
def test_command_line_takes_limits_anywhere(run: Run, photo: Path, words: list[str]) -> None:
    status, _, err = run(*[str(photo) if word == "photo.png" else word for word in words])
    assert status == 2
    assert "at most 1000 pixels, got " in err
    assert get_limits() == Limits()


def test_features_that_ask_for_too_large_a_picture(run: Run, photo: Path) -> None:
    run("extract", photo, "-o", "a.npz")
    status, _, err = run("reconstruct", "a.npz", "-m", "poisson", "--limit", "pixels=1000")
    assert (status, err.count("\n")) == (2, 1)
    assert "--limit pixels=" in err
    assert run("reconstruct", "a.npz", "-m", "poisson", "--limit", "pixels=1e5")[0] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--limit", "size=3"], "one of pixels, keypoints, .*; got 'size'"),
        (["--limit", "pixels"], "name=value, got 'pixels'"),
        (["--limit", "pixels=many"], "pixels=NUMBER, got 'many'"),
        (["--limit", "pixels=NaN"], "pixels=NUMBER, got nan"),
        (["--limit", "pixels=1.5"], "pixels=NUMBER, got 1.5"),
        (["--limit", "pixels=0"], "pixels of at least 1, got 0"),
        (["--limit"], "requires an argument"),
    ],
)
def test_command_line_of_no_limits(run: Run, words: list[str], told: str) -> None:
    status, _, err = run("list", *words)
    assert (status, err.count("\n")) == (2, 1)
    assert re.search(told, err)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        lack_of_numpy(),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: 9 bytes.\nmore"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        cv2.error("OpenCV(5) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_lack_of_memory_is_a_line_and_a_status(
    run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("invertdesc.bulk.files.read_image", fail)
    status, _, err = run("extract", photo)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("error: Expected more free memory: ")


def test_other_errors_are_no_lack_of_memory() -> None:
    assert find_lack_of_memory(RuntimeError("sizes differ")) is None
