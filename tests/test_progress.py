"""Bars are drawn on a terminal where somebody asked for them, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from invertdesc import (
    _progress,
    create_descriptor,
    create_method,
    extract,
    fit_unfolding,
    reconstruct,
)
from invertdesc._progress import progress_lines, show_progress, watch
from invertdesc.evaluation.compare import compare
from invertdesc.image import write_image
from invertdesc.training.data import FeatureData

SLOW: dict[str, tuple[str, dict[str, Any]]] = {
    "biht": ("orb", {"steps": 1}),
    "gradient": ("sift", {"steps": 2}),
    "maxent": ("sift", {"steps": 1, "samples": 1}),
    "tv": ("sift", {"steps": 1}),
}
TITLES = {"gradient": "descend"}


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def screen() -> Iterator[Terminal]:
    with redirect_stderr(Terminal()) as terminal:
        yield terminal


@pytest.fixture
def photo(astronaut: Tensor, tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_image(astronaut[:, :64, 60:124], path)
    return path


@pytest.mark.parametrize("name", SLOW)
def test_a_method_shows_bars_where_they_are_asked_for(astronaut: Tensor, name: str) -> None:
    descriptor, options = SLOW[name]
    method = create_method(name, **options)
    image = astronaut[:, :64, 60:124]
    for progress in (False, True):
        with screen() as seen:
            reconstruct(image, descriptor=descriptor, method=method, progress=progress)
        for title in ("extract", "reconstruct", TITLES.get(name, name)):
            assert (f"{title}:" in seen.getvalue()) == progress


def test_a_block_shows_bars_of_methods_and_not_those_of_the_verbs(astronaut: Tensor) -> None:
    method = create_method("gradient", steps=2)
    with screen() as seen, show_progress():
        reconstruct(astronaut[:, :64, 60:124], method=method)
    assert "descend:" in seen.getvalue()
    assert "reconstruct:" not in seen.getvalue()


def test_extraction_shows_a_bar_where_it_is_asked_for(photo: Path) -> None:
    sift = create_descriptor("sift")
    for progress in (False, True):
        with screen() as seen:
            extract([photo], progress=progress)
            fit_unfolding(sift, [photo], grid=4, progress=progress)
        for title in ("extract", "fit sift"):
            assert (f"{title}:" in seen.getvalue()) == progress


def test_training_data_show_bars_where_they_are_asked_for(photo: Path, tmp_path: Path) -> None:
    for progress in (False, True):
        cache = tmp_path / str(progress)
        with screen() as seen:
            FeatureData([photo], ["sift"], crop=64, cache=cache, workers=0, progress=progress)
        for title in ("extract", "read"):
            assert (f"{title}:" in seen.getvalue()) == progress


def test_a_comparison_shows_bars_where_they_are_asked_for(photo: Path) -> None:
    sift = create_descriptor("sift")
    for progress in (False, True):
        with screen() as seen:
            compare({"mine": [photo]}, [sift], ["poisson"], memory=False, progress=progress)
        for title in ("try methods, sift", "mine, sift"):
            assert (f"{title}:" in seen.getvalue()) == progress


def test_bars_of_a_block_end_with_it_and_are_not_hidden_by_one_inside() -> None:
    with screen() as seen:
        with show_progress(), show_progress(False):
            assert list(watch(range(3), "inside", unit="step")) == [0, 1, 2]
        list(watch(range(3), "outside", unit="step"))
    assert "inside: 100%" in seen.getvalue()
    assert "outside" not in seen.getvalue()


class Clock:
    """A clock that goes on by so many seconds each time that it is read."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


def test_without_a_terminal_there_is_a_line_every_half_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_progress, "time", Clock(11.0))
    with redirect_stderr(StringIO()) as pipe:
        assert list(watch(range(8), "evaluate", shown=True)) == list(range(8))
        assert list(watch(range(8), "steps of an image", shown=True, leave=False)) == list(range(8))
        assert list(watch(range(8), "not asked for")) == list(range(8))
    lines = pipe.getvalue().splitlines()
    assert lines[0].startswith("evaluate: 3 of 8 images, about ")
    assert lines[0].endswith(" left")
    assert all(line.startswith("evaluate: ") for line in lines)
    assert 2 <= len(lines) <= 3


def test_a_quick_task_says_nothing_without_a_terminal() -> None:
    with redirect_stderr(StringIO()) as pipe:
        list(watch((n for n in range(3)), "evaluate", shown=True))
    assert pipe.getvalue() == ""


def test_steps_are_lines_with_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "time", Clock(100.0))
    with (
        redirect_stderr(StringIO()) as pipe,
        progress_lines("audit", 3, unit="scenario", shown=True) as steps,
    ):
        steps.begin()
        for title in ("one", "two", "three"):
            steps.take(title)
    assert pipe.getvalue().splitlines() == [
        "audit: 1 of 3, one, about 3 minutes left",
        "audit: 2 of 3, two, about 2 minutes left",
        "audit: 3 of 3, three",
    ]


def test_steps_are_a_bar_on_a_terminal() -> None:
    with screen() as seen, progress_lines("audit", 2, unit="scenario", shown=True) as steps:
        steps.begin()
        steps.take("one")
        steps.take("two")
    assert "audit: 100%" in seen.getvalue()
