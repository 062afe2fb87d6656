"""Ways through a map of boxes."""

from pathlib import Path

import numpy as np
import pytest
from scene import ring

from invertdesc import FileError, InputError
from invertdesc.maps import (
    Map,
    open_map,
    own_viewpoints,
    read_viewpoints,
    viewpoints_around,
    viewpoints_between,
)
from invertdesc.maps.viewpoints import shrunk


@pytest.fixture(scope="module")
def opened(boxes_map: Path) -> Map:
    return open_map(boxes_map, features=boxes_map / "features")


def test_own_cameras(opened: Map) -> None:
    found = own_viewpoints(opened, names="00[12]", hold_out=True)
    assert [one.name for one in found] == ["001", "002"]
    assert [one.leave_out for one in found] == [("001",), ("002",)]
    assert found[0].pose is opened.image("001").pose
    assert own_viewpoints(opened)[3].leave_out == ()
    with pytest.raises(InputError, match="names like"):
        own_viewpoints(opened, names="x*")


def test_between(opened: Map) -> None:
    found = viewpoints_between(opened, "002", "006", 5)
    first, last = opened.image("002").pose, opened.image("006").pose
    assert [one.name for one in found] == ["0", "1", "2", "3", "4"]
    assert np.allclose(found[0].pose.rotation, first.rotation)
    assert np.allclose(found[4].pose.rotation, last.rotation)
    assert np.allclose(found[2].pose.centre, (first.centre + last.centre) / 2)
    halves = [
        a.pose.rotation.T @ b.pose.rotation for a, b in ((found[0], found[2]), (found[2], found[4]))
    ]
    assert np.allclose(*halves)
    with pytest.raises(InputError, match="count"):
        viewpoints_between(opened, "002", "006", 1)
    with pytest.raises(InputError, match="name of an image"):
        viewpoints_between(opened, "002", "x")


def test_around_goes_where_cameras_went(opened: Map) -> None:
    found = viewpoints_around(opened, 40)
    middle = np.median(opened.model.xyz, 0)
    places = np.stack([one.pose.centre for one in found])
    turns = np.degrees(np.arctan2(places[:, 0] - middle[0], middle[2] - places[:, 2]))
    assert -75 < turns.min() < -50
    assert 50 < turns.max() < 75
    assert np.allclose(places[:, 1], places[0, 1], atol=0.05)
    for one in found[::7]:
        pixel = one.camera.project(one.pose.apply(middle[None]))
        assert np.abs(pixel - one.camera.principal).max() < 1e-6
        assert one.pose.rotation[1] @ (0, 1, 0) > 0.8  # upright


def test_poses_from_a_file(opened: Map, tmp_path: Path) -> None:
    (pose,) = ring(1, 12.0)
    row = " ".join(str(value) for value in (*pose.quaternion, *pose.translation))
    file = tmp_path / "poses.txt"
    file.write_text(f"# name qw qx qy qz tx ty tz\n\nhere {row}\n")
    (found,) = read_viewpoints(opened, file)
    assert found.name == "here"
    assert np.allclose(found.pose.rotation, pose.rotation)
    for text in ("here 1 0 0 0 0 0\n", "here 0 0 0 0 0 0 0\n", "here 1 0 0 x 0 0 0\n", "#\n", "a"):
        file.write_text(text)
        with pytest.raises(InputError):
            read_viewpoints(opened, file)
    with pytest.raises(FileError):
        read_viewpoints(opened, tmp_path / "none.txt")


def test_smaller_pictures(opened: Map) -> None:
    (whole,) = own_viewpoints(opened, names="001")
    assert shrunk(whole, 160).camera.image_size == (120, 160)
    assert shrunk(whole, None) is whole
    assert shrunk(whole, 999) is whole
