"""What a map reveals, by how much of it is known; points found again from lines."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scene import Scene, scattered

from invertdesc import InputError, LocalFeatures, audit_map, read_image, write_image
from invertdesc.maps import Map, _lines, open_map
from invertdesc.maps._lines import recover_points, thrown_lines

ALL = ["points", "lines", "descriptors", "frames", "keypoints"]


@pytest.fixture(scope="module")
def opened(boxes: Scene, tmp_path_factory: pytest.TempPathFactory) -> Map:
    folder = tmp_path_factory.mktemp("audited")
    scattered(boxes, 400, views=9).write(folder)
    return open_map(folder, features=folder / "features")


@pytest.mark.slow
def test_all_threats(opened: Map) -> None:
    found = audit_map(opened, images=1, method="poisson", max_side=80)
    assert [row.threat for row in found.rows] == ALL
    assert {row.image for row in found.rows} == {"004"}
    assert len({row.measures["coverage"] for row in found.rows}) == 1


def test_pictures_are_measured_and_saved(opened: Map, tmp_path: Path) -> None:
    images = tmp_path / "images"
    for number in range(9):
        noise = torch.rand(3, 240, 320, generator=torch.Generator().manual_seed(number))
        write_image(noise, images / f"{number:03d}.png")
        (images / f"{number:03d}.png").rename(images / f"{number:03d}")
    found = audit_map(
        opened, images=2, threats=["frames", "points"], method="poisson", max_side=80, truth=images
    )
    assert [(row.image, row.threat) for row in found.rows] == [
        ("002", "frames"),
        ("002", "points"),
        ("006", "frames"),
        ("006", "points"),
    ]
    assert all(abs(row.measures["ncc"]) < 0.15 for row in found.rows)  # of noise
    found.save(tmp_path / "out")
    assert read_image(tmp_path / "out" / "sheet.png").shape == found.sheet.shape
    saved = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert len(saved["rows"]) == 4
    assert "±" in (tmp_path / "out" / "audit.txt").read_text(encoding="utf-8")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "sheet.png",
        "audit.txt",
        "audit.json",
    }


def test_points_alone_show_their_colours(opened: Map) -> None:
    from invertdesc.maps import ViewOptions, own_viewpoints
    from invertdesc.maps.audit import MAP_THREATS, Scene

    (at,) = own_viewpoints(opened, names="001", hold_out=True)
    picture = MAP_THREATS[0].attack(Scene(opened), at, "poisson")
    seen = opened.view(
        at.camera, at.pose, leave_out=at.leave_out, options=ViewOptions(neighbours=0)
    )
    assert seen.colors is not None
    x, y = seen.keypoints.round().long().unbind(1)
    same = (picture[:, y, x].T - seen.colors).abs().amax(1) < 1e-6
    assert same.double().mean() > 0.95  # a few share a pixel
    far = torch.cdist(torch.tensor([[0.0, 0.0]]), seen.keypoints).min()
    assert far > 24
    assert picture[:, 0, 0].tolist() == [0.5, 0.5, 0.5]


def test_each_image_is_left_out(opened: Map, monkeypatch: pytest.MonkeyPatch) -> None:
    left_out = []
    view = Map.view

    def noted(self: Map, *given: Any, leave_out: Any, **options: Any) -> LocalFeatures:
        left_out.append(tuple(leave_out))
        return view(self, *given, leave_out=leave_out, **options)

    monkeypatch.setattr(Map, "view", noted)
    audit_map(opened, images=2, threats=["points", "lines"], method="poisson", max_side=40)
    assert left_out == 3 * [("002",)] + 3 * [("006",)]


def test_wrong_arguments(opened: Map) -> None:
    with pytest.raises(InputError, match="'lines'"):
        audit_map(opened, threats=["line"])
    with pytest.raises(InputError, match="none"):
        audit_map(opened, threats=[])
    with pytest.raises(InputError, match="images"):
        audit_map(opened, images=0)
    with pytest.raises(InputError, match="names like"):
        audit_map(opened, names="x*")


def box_points(count: int) -> np.ndarray:
    """Points on three sides of a box of side 1."""
    draw = np.random.default_rng(0)
    points = draw.uniform(size=(count, 3))
    points[np.arange(count), np.arange(count) % 3] = 0
    return points


def test_lines_keep_no_points() -> None:
    points = box_points(500)
    lines = thrown_lines(points)
    apart = points - lines.origins
    along = np.einsum("ni,ni->n", apart, lines.directions)
    assert np.abs(apart - along[:, None] * lines.directions).max() < 1e-9
    middle = np.median(points, 0)
    off = np.einsum("ni,ni->n", lines.origins - middle, lines.directions)
    assert np.abs(off).max() < 1e-9


def test_points_are_found_on_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    points = box_points(3000)
    lines = thrown_lines(points)
    found = recover_points(lines)
    far = np.linalg.norm(found - points, axis=1)
    assert np.median(far) < 0.06
    assert np.median(far) < np.median(np.linalg.norm(lines.origins - points, axis=1)) / 4
    monkeypatch.setattr(_lines, "_CHUNK", 5000)
    assert (recover_points(lines) == found).all()
    monkeypatch.setattr(_lines, "_PAIRS", 3000 * 1000)  # a third of the lines as neighbours
    fewer = np.median(np.linalg.norm(recover_points(lines) - points, axis=1))
    assert np.median(far) < fewer < 0.15


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_lines(count: int) -> None:
    points = box_points(3)[:count]
    assert np.isfinite(recover_points(thrown_lines(points))).all()
