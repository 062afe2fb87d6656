"""COLMAP's models, whole, written by others, and hostile."""

import shutil
import struct
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from make_stores import write_colmap
from scene import PLAIN, Scattered, Scene, image_bytes, point_bytes, ring, scattered, write_cameras

from invertdesc import FileError, InputError, InvertDescError
from invertdesc.maps import is_map, open_map
from invertdesc.maps._colmap import read_model

XY = np.array([[10.0, 20.0], [30.0, 40.0]])


@pytest.fixture(scope="module")
def world(boxes: Scene) -> Scattered:
    return scattered(boxes, 60, views=4)


def write_little(folder: Path, **changes: bytes) -> Path:
    """Write one camera, two images of two keypoints and a point that both see."""
    folder.mkdir(parents=True)
    write_cameras(folder / "cameras.bin", [PLAIN])
    (pose,) = ring(1)
    seen = np.array([1, 2**64 - 1], np.uint64)
    images = [image_bytes(number, pose, 1, f"{number}.jpg", XY, seen) for number in (1, 2)]
    point = point_bytes(1, np.zeros(3), np.array([1, 2, 3]), [(1, 0), (2, 0)])
    files = {"images": struct.pack("<Q", 2) + b"".join(images)}
    files["points3D"] = struct.pack("<Q", 1) + point
    for name, data in {**files, **changes}.items():
        (folder / f"{name}.bin").write_bytes(data)
    return folder


def test_binary(boxes_map: Path, boxes: Scene) -> None:
    model, world = read_model(boxes_map / "sparse" / "0"), scattered(boxes, 6000)
    assert [image.name for image in model.images] == world.names
    assert np.array_equal(model.xyz, world.xyz)
    assert np.array_equal(model.colors, world.colors)
    for image, rows, pose in zip(model.images, world.seen, world.poses, strict=True):
        assert np.array_equal(image.points, rows)
        assert np.allclose(image.pose.rotation, pose.rotation)
        assert np.allclose(image.keypoints, image.camera.project(pose.apply(world.xyz[rows])))
    point = 17
    some = slice(model.starts[point], model.starts[point + 1])
    for image, keypoint in zip(model.seen_by[some], model.seen_as[some], strict=True):
        assert model.images[image].points[keypoint] == point


def test_as_pycolmap_writes_it(world: Scattered, tmp_path: Path) -> None:
    if find_spec("pycolmap") is None:
        pytest.skip("pycolmap is not installed")
    world.write(tmp_path)
    code = (
        "import pycolmap, sys; from pathlib import Path; root = Path(sys.argv[1]);"
        "model = pycolmap.Reconstruction(str(root / 'sparse' / '0'));"
        "[(root / kind).mkdir() for kind in ('text', 'binary')];"
        "model.write_text(str(root / 'text')); model.write_binary(str(root / 'binary'))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, capture_output=True)
    ours = read_model(tmp_path / "sparse" / "0")
    for kind in ("text", "binary"):
        assert (tmp_path / kind / ("rigs.txt" if kind == "text" else "rigs.bin")).exists()
        theirs = read_model(tmp_path / kind)
        order = np.lexsort(ours.xyz.T)
        assert np.allclose(ours.xyz[order], theirs.xyz[np.lexsort(theirs.xyz.T)])
        assert len(ours.seen_by) == len(theirs.seen_by)
        for one, other in zip(ours.images, theirs.images, strict=True):
            assert one.name == other.name
            assert one.camera == other.camera
            assert np.allclose(one.pose.rotation, other.pose.rotation)
            assert np.allclose(one.keypoints, other.keypoints)


def test_text_by_hand(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("# cameras\n7 PINHOLE 64 48 50 51 32 24\n")
    (tmp_path / "images.txt").write_text(
        "# images\n3 1 0 0 0 0 0 4 7 a picture.jpg\n10 20 5 11 21 -1\n9 1 0 0 0 1 0 4 7 b.jpg\n\n"
    )
    (tmp_path / "points3D.txt").write_text("5 0.5 0.25 1 255 0 9 0.3 3 0\n")
    model = read_model(tmp_path)
    first, second = model.images
    assert (first.name, second.name) == ("a picture.jpg", "b.jpg")
    assert first.keypoints.tolist() == [[9.5, 19.5], [10.5, 20.5]]
    assert (first.points.tolist(), second.points.tolist()) == ([0, -1], [])
    assert model.colors.tolist() == [[255, 0, 9]]
    assert second.camera.params == (50.0, 51.0, 32.0, 24.0)


def test_a_point_without_a_track(tmp_path: Path) -> None:
    point = point_bytes(1, np.zeros(3), np.zeros(3), [])
    nobody = np.full(2, 2**64 - 1, np.uint64)
    images = struct.pack("<Q", 1) + image_bytes(1, ring(1)[0], 1, "a", XY, nobody)
    folder = write_little(tmp_path / "m", images=images, points3D=struct.pack("<Q", 1) + point)
    model = read_model(folder)
    assert model.starts.tolist() == [0, 0]


def image(**changes: object) -> bytes:
    given = {"number": 1, "pose": ring(1)[0], "camera": 1, "name": "a", "xy": XY}
    given["points"] = np.full(2, 2**64 - 1, np.uint64)
    return struct.pack("<Q", 1) + image_bytes(**{**given, **changes})  # type: ignore[arg-type]


def point(*track: tuple[int, int], xyz: tuple[float, ...] = (0, 0, 0)) -> bytes:
    return struct.pack("<Q", 1) + point_bytes(1, np.array(xyz), np.zeros(3), list(track))


HUGE = struct.pack("<Q", 2**63)
LONE = {"points3D": struct.pack("<Q", 0)}
HOSTILE: dict[str, tuple[dict[str, bytes], str]] = {
    "count of images": ({"images": HUGE}, "cut off"),
    "count of points": ({"points3D": HUGE + b"\0" * 99}, "cut off"),
    "count of cameras": ({"cameras": HUGE}, "cut off"),
    "length of a track": (
        {"points3D": point()[:-8] + HUGE},
        "cut off",
    ),
    "count of keypoints": ({"images": image()[:-56] + HUGE}, "cut off"),
    "no images": ({"images": struct.pack("<Q", 0)}, "with images"),
    "more than there is": ({"images": image() + b"\0"}, "another version"),
    "a name without end": ({"images": image()[:72] + b"a" * 99}, "a name to end"),
    "unknown model": ({"cameras": struct.pack("<QIiQQ3d", 1, 1, 99, 8, 8, 1, 4, 4)}, "99"),
    "huge camera": (
        {"cameras": struct.pack("<QIiQQ3d", 1, 1, 0, 2**40, 2**40, 1, 4, 4)},
        "pixels",
    ),
    "focal length": ({"cameras": struct.pack("<QIiQQ3d", 1, 1, 0, 8, 8, -1, 4, 4)}, "focal"),
    "a camera that is not there": ({"images": image(camera=9), **LONE}, "camera of the map"),
    "a pose of NaN": (
        {"images": image()[:12] + struct.pack("<d", np.nan) + image()[20:], **LONE},
        "quaternion",
    ),
    "a pose of 0": ({"images": image()[:12] + b"\0" * 32 + image()[44:], **LONE}, "quaternion"),
    "keypoints of NaN": ({"images": image(xy=XY * np.nan), **LONE}, "finite keypoints"),
    "a point of NaN": ({"points3D": point((1, 0), (2, 0), xyz=(0, np.nan, 0))}, "finite"),
    "a track to no image": ({"points3D": point((1, 0), (7, 0))}, "not there"),
    "a track to no keypoint": ({"points3D": point((1, 0), (2, 9))}, "agree"),
    "a track to another keypoint": ({"points3D": point((1, 0), (2, 1))}, "agree"),
    "a track that is too short": ({"points3D": point((1, 0))}, "agree"),
    "a track that repeats": ({"points3D": point((1, 0), (2, 0), (2, 0))}, "agree"),
    "keypoints of no point": (LONE, "not there"),
    "one image twice": (
        {"images": struct.pack("<Q", 2) + image()[8:] + image(number=2)[8:], **LONE},
        "different names",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile(case: str, tmp_path: Path) -> None:
    changes, message = HOSTILE[case]
    folder = write_little(tmp_path / "m", **changes)
    with pytest.raises(InvertDescError, match=message) as caught:
        read_model(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["cameras", "images", "points3D"])
def test_cut_off_anywhere(part: str, tmp_path: Path) -> None:
    folder = write_little(tmp_path / "m")
    read_model(folder)
    whole = (folder / f"{part}.bin").read_bytes()
    for length in range(len(whole)):
        (folder / f"{part}.bin").write_bytes(whole[:length])
        with pytest.raises(InvertDescError):
            read_model(folder)


@pytest.mark.parametrize("part", ["cameras", "images", "points3D"])
def test_flipped_bytes_raise_nothing_else(part: str, tmp_path: Path) -> None:
    folder = write_little(tmp_path / "m")
    whole = (folder / f"{part}.bin").read_bytes()
    for place in range(len(whole)):
        for value in (0, 0x7F, 0xFF):
            changed = whole[:place] + bytes([value]) + whole[place + 1 :]
            (folder / f"{part}.bin").write_bytes(changed)
            with suppress(InvertDescError):
                read_model(folder)


def test_text_that_is_none(tmp_path: Path) -> None:
    good = {
        "cameras": "7 PINHOLE 64 48 50 51 32 24\n",
        "images": "3 1 0 0 0 0 0 4 7 a.jpg\n10 20 5\n",
        "points3D": "5 0.5 0.25 1 255 0 9 0.3 3 0\n",
    }
    bad = {
        "cameras": ["7 PINHOLE 64 48 50 51 32\n", "x PINHOLE 64 48 1 1 1 1\n", "7 PINHOLE 64\n"],
        "images": ["3 1 0 0 0 0 0 4 7 a.jpg\n10 20\n", "3 1 0 0 nan 0 0 4 7 a\n\n", "3 1 0\n\n"],
        "points3D": ["5 0 0 1 256 0 9 0.3 3 0\n", "5 0 0 1 1 0 9 0.3 3\n", "5 0 0 1 1 0 9 1 3 0"],
    }
    for part, texts in bad.items():
        for text in texts:
            for name, fine in good.items():
                (tmp_path / f"{name}.txt").write_text(text if name == part else fine)
            with pytest.raises(InvertDescError):
                read_model(tmp_path)
    for name, fine in good.items():
        (tmp_path / f"{name}.txt").write_text(fine)
    assert len(read_model(tmp_path).xyz) == 1


@pytest.fixture
def project(world: Scattered, tmp_path: Path) -> Path:
    """A folder as COLMAP leaves it: `database.db` beside `sparse/0`."""
    world.write(tmp_path / "it")
    shutil.rmtree(tmp_path / "it" / "features")
    images = {name: world.features(number) for number, name in enumerate(world.names)}
    write_colmap(tmp_path / "it", images)
    return tmp_path / "it"


@pytest.mark.parametrize("inside", ["", "sparse", "sparse/0"])
def test_the_database_is_found(project: Path, world: Scattered, inside: str) -> None:
    assert is_map(project / inside)
    with open_map(project / inside) as found:
        assert found.store is not None
        assert found.store.path.name == "database.db"
        view = found.view(PLAIN, world.poses[1])
        assert len(view) > 10


def test_a_map_without_features(project: Path) -> None:
    (project / "database.db").unlink()
    found = open_map(project)
    assert found.store is None
    with pytest.raises(InputError, match="features of its images"):
        found.view(PLAIN, ring(1)[0])


def test_features_of_others(project: Path, boxes_map: Path) -> None:
    for name in ("000", "001", "002", "003"):
        assert (boxes_map / "features" / f"{name}.npz").is_file()
    other = project.parent / "other"
    other.mkdir()
    shutil.copy(boxes_map / "features" / "000.npz", other / "elsewhere.npz")
    with pytest.raises(InputError, match="others"):
        open_map(project, features=other)


def test_names_lead_nowhere(tmp_path: Path, boxes_map: Path) -> None:
    shutil.copy(boxes_map / "features" / "000.npz", tmp_path / "secret.npz")
    (tmp_path / "features").mkdir()
    shutil.copy(boxes_map / "features" / "000.npz", tmp_path / "features" / "1.jpg.npz")
    seen = np.array([1, 2**64 - 1], np.uint64)
    (pose,) = ring(1)
    names = ("../secret", "1.jpg")
    images = [image_bytes(n, pose, 1, name, XY, seen) for n, name in enumerate(names, 1)]
    folder = write_little(tmp_path / "m", images=struct.pack("<Q", 2) + b"".join(images))
    with open_map(folder, features=tmp_path / "features") as found:
        assert found.store is not None
        loaded: list[str] = []
        load = found.store.load
        found.store.load = lambda name: loaded.append(name) or load(name)  # type: ignore[method-assign,func-returns-value]
        assert len(found.view(PLAIN, pose)) == 0
        assert "../secret" not in loaded


def test_no_map(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / "a\0b", Path()):
        assert not is_map(path) or path == Path()
        with pytest.raises(FileError):
            open_map(path)
    (tmp_path / "images.bin").touch()
    with pytest.raises(FileError, match=r"no cameras\.bin"):
        open_map(tmp_path)
