"""Cameras against cases by hand, against themselves and against pycolmap."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from invertdesc import InputError
from invertdesc.maps import Camera, Pose
from invertdesc.maps._distortion import LENSES

EXTRAS = {1: (0.05,), 2: (-0.1, 0.02), 4: (-0.1, 0.03, 2e-3, -1e-3)}
EIGHT = (-0.1, 0.03, 2e-3, -1e-3, 0.01, 0.02, -0.01, 5e-3)


def camera_of(model: str) -> Camera:
    lens = LENSES[model]
    extras = (0.9,) if model == "FOV" else {**EXTRAS, 0: (), 8: EIGHT}[lens.extras]
    return Camera(model, 640, 480, (*(400.0, 420.0)[: lens.focals], 322.0, 237.0, *extras))


def points() -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.uniform((-1, -0.8, 2), (1, 0.8, 3), (200, 3))


def test_a_pinhole_by_hand() -> None:
    camera = Camera("PINHOLE", 100, 80, (50.0, 60.0, 50.0, 40.0))
    assert camera.project(np.array([[1.0, -1.0, 2.0]])).tolist() == [[74.5, 9.5]]
    assert camera.unproject(np.array([[74.5, 9.5]])).tolist() == [[0.5, -0.5]]
    assert camera.sees(np.array([[0, 0, 1.0], [0, 0, -1.0], [1.1, 0, 1.0]])).tolist() == [1, 0, 0]


@pytest.mark.parametrize("model", LENSES)
def test_rays_come_back(model: str) -> None:
    camera, known = camera_of(model), points()
    rays = camera.unproject(camera.project(known))
    assert np.abs(rays - known[:, :2] / known[:, 2:]).max() < 1e-9


@pytest.mark.parametrize("model", LENSES)
def test_pixels_as_pycolmap_has_them(model: str) -> None:
    if find_spec("pycolmap") is None:
        pytest.skip("pycolmap is not installed")
    camera, known = camera_of(model), points()
    code = (
        "import pycolmap, numpy, sys, json; model, params, points = json.loads(sys.argv[1]);"
        "camera = pycolmap.Camera(model=model, width=640, height=480, params=params);"
        "print(json.dumps([list(camera.img_from_cam(numpy.array(p))) for p in points]))"
    )
    import json

    given = json.dumps([model, camera.params, known.tolist()])
    out = subprocess.run([sys.executable, "-c", code, given], check=True, capture_output=True)
    theirs = np.array(json.loads(out.stdout)) - 0.5
    assert np.abs(camera.project(known) - theirs).max() < 1e-9


def test_rays_that_a_lens_folds_back_are_not_seen() -> None:
    camera = Camera("SIMPLE_RADIAL", 640, 480, (400.0, 320.0, 240.0, -0.3))
    known = np.array([[0.5, 0.0, 1.0], [1.8, 0.0, 1.0]])
    assert (camera.project(known)[:, 0] < 639).all()
    assert camera.sees(known).tolist() == [True, False]


def test_another_size() -> None:
    camera, known = camera_of("OPENCV"), points()
    half = camera.resized((240, 320)).project(known)
    assert np.allclose((camera.project(known) + 0.5) / 2 - 0.5, half)
    assert np.allclose(camera.padded(7).project(known), camera.project(known) + 7)
    with pytest.raises(InputError, match="same shape"):
        Camera.pinhole((480, 640), 500.0).resized((480, 320))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("PINHOL", 8, 8, (1.0, 1.0, 4.0, 4.0)), "Did you mean 'PINHOLE'"),
        (("PINHOLE", 8, 8, (1.0, 4.0, 4.0)), "Expected 4 parameters"),
        (("PINHOLE", 8, 8, (1.0, 0.0, 4.0, 4.0)), "focal lengths above 0"),
        (("PINHOLE", 8, 8, (1.0, float("nan"), 4.0, 4.0)), "finite"),
        (("PINHOLE", 0, 8, (1.0, 1.0, 4.0, 4.0)), "at least 1 pixel"),
    ],
)
def test_what_is_no_camera(given: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Camera(*given)  # type: ignore[arg-type]


def test_poses() -> None:
    pose = Pose.from_quaternion((2, 2, 0, 0), (1, 2, 3))  # a quarter turn about x
    assert np.allclose(pose.apply(np.array([[0.0, 1.0, 0.0]])), [[1, 2, 4]])
    assert np.allclose(pose.back(pose.apply(points())), points())
    assert np.allclose(pose.apply(pose.centre[None]), 0)
    assert np.allclose(pose.quaternion, [0.5**0.5, 0.5**0.5, 0, 0])


@pytest.mark.parametrize(
    ("rotation", "translation"),
    [
        (np.eye(3) * 2, np.zeros(3)),
        (np.diag([1.0, 1.0, -1.0]), np.zeros(3)),
        (np.eye(3), np.array([0, np.nan, 0])),
        (np.eye(2), np.zeros(3)),
    ],
)
def test_what_is_no_pose(rotation: np.ndarray, translation: np.ndarray) -> None:
    with pytest.raises(InputError, match="Expected a"):
        Pose(rotation, translation)
