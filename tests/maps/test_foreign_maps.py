"""Maps of OpenSfM and kapture: the same scene as COLMAP's, and files that do not fit."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_maps import names_of, write_kapture_map, write_opensfm_map
from scene import PLAIN, Scattered, Scene, ring, scattered

from invertdesc import InvertDescError
from invertdesc.maps import ViewOptions, inspect_map, is_map, open_map

WRITERS: dict[str, Callable[..., Path]] = {
    "opensfm": write_opensfm_map,
    "kapture": write_kapture_map,
}


@pytest.fixture(scope="module")
def world(boxes: Scene) -> Scattered:
    return scattered(boxes, 800, views=5)


@pytest.fixture(scope="module")
def whole(world: Scattered, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("foreign")
    return {kind: write(top / kind, world) for kind, write in WRITERS.items()}


@pytest.fixture
def copy(whole: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    def make(kind: str) -> Path:
        return Path(shutil.copytree(whole[kind], tmp_path / kind))

    return make


def check_same(folder: Path, world: Scattered) -> None:
    with open_map(folder) as found:
        model = found.model
        assert [image.name for image in model.images] == names_of(world)
        assert np.abs(model.xyz - world.xyz).max() < 1e-9
        assert (model.colors == world.colors).all()
        assert np.diff(model.starts).tolist() == [
            sum(row in set(rows) for rows in world.seen) for row in range(len(world.xyz))
        ]
        for number, image in enumerate(model.images):
            pose = world.poses[number]
            assert np.abs(image.pose.rotation - pose.rotation).max() < 1e-6
            assert np.abs(image.pose.translation - pose.translation).max() < 1e-6
            assert (image.points == world.seen[number]).all()
            here = image.camera.project(image.pose.apply(model.xyz[image.points]))
            assert np.abs(here - image.keypoints).max() < 0.01
            assert (
                np.abs(
                    here - world.cameras[number].project(pose.apply(world.xyz)[world.seen[number]])
                ).max()
                < 0.01
            )
        (pose,) = ring(1, 17.0)
        view = found.view(PLAIN, pose, options=ViewOptions(neighbours=0))
        assert len(view) > 100
        assert view.scales is not None


@pytest.mark.parametrize("kind", WRITERS)
def test_the_scene_comes_back(kind: str, whole: dict[str, Path], world: Scattered) -> None:
    check_same(whole[kind], world)


def test_views_agree_with_those_of_colmap(
    whole: dict[str, Path], world: Scattered, tmp_path: Path
) -> None:
    world.write(tmp_path)
    (pose,) = ring(1, 17.0)
    options = ViewOptions(neighbours=0)
    views = []
    for folder, features in (
        (tmp_path, tmp_path / "features"),
        (whole["opensfm"], None),
        (whole["kapture"], None),
    ):
        with open_map(folder, features=features) as found:
            view = found.view(PLAIN, pose, options=options)
        order = np.lexsort(view.keypoints.numpy().round(1).T)
        views.append([getattr(view, name).numpy()[order] for name in ("keypoints", "scales")])
    for keypoints, scales in views[1:]:
        assert keypoints.shape == views[0][0].shape
        assert np.abs(keypoints - views[0][0]).max() < 0.2
        assert np.abs(np.sort(scales) / np.sort(views[0][1]) - 1).max() < 0.01


@pytest.mark.parametrize("version", [0, 1])
def test_versions_of_tracks(version: int, world: Scattered, tmp_path: Path) -> None:
    check_same(write_opensfm_map(tmp_path, world, version=version), world)


@pytest.mark.parametrize("options", [{"version": "1.0"}, {"rig": True}])
def test_forms_of_kapture(options: dict[str, Any], world: Scattered, tmp_path: Path) -> None:
    folder = write_kapture_map(tmp_path / "it", world, **options)
    if "version" in options:  # without folders of types
        for part in ("keypoints", "descriptors"):
            place = folder / "reconstruction" / part
            for file in (place / "SIFT").iterdir():
                shutil.move(file, place / file.name)
            (place / "SIFT").rmdir()
        (folder / "reconstruction" / "descriptors" / "descriptors.txt").write_text(
            "SIFT, uint8, 128\n"
        )
    check_same(folder, world)


@pytest.mark.parametrize("kind", WRITERS)
def test_inspect(kind: str, whole: dict[str, Path], world: Scattered) -> None:
    found = inspect_map(whole[kind])
    assert (found.images, found.points, found.missing) == (5, len(world.xyz), ())
    assert kind in found.kind.lower()
    assert kind in str(found).lower()
    assert found.with_features == 5


def test_opensfm_without_features(copy: Callable[[str], Path], world: Scattered) -> None:
    folder = copy("opensfm")
    shutil.rmtree(folder / "features")
    found = open_map(folder)
    assert found.store is None
    assert [len(image.keypoints) for image in found.images] == [len(rows) for rows in world.seen]
    assert "2 reconstructions" in inspect_map(found).notes[0]


def test_opensfm_inside_a_project(copy: Callable[[str], Path]) -> None:
    folder = copy("opensfm")
    assert is_map(folder.parent)
    assert is_map(folder, within=False)
    assert not is_map(folder.parent, within=False)
    assert len(open_map(folder.parent).images) == 5


def test_queries_of_kapture_are_left_out(copy: Callable[[str], Path]) -> None:
    folder = copy("kapture")
    poses = folder / "sensors" / "trajectories.txt"
    poses.write_text("\n".join(poses.read_text().split("\n")[:-2]) + "\n")
    assert [image.name for image in open_map(folder).images] == [
        "000.jpg",
        "001.jpg",
        "002.jpg",
        "003.jpg",
    ]


def test_projections_of_opensfm(copy: Callable[[str], Path]) -> None:
    """Where a ray lands, by the formulas of OpenSfM's documentation."""
    folder = copy("opensfm")
    x, y, r2 = 0.3, -0.2, 0.13
    theta = np.arctan(np.sqrt(r2))
    bent = theta / np.sqrt(r2)
    cases: dict[str, tuple[dict[str, float], float, float]] = {
        "perspective": (
            {"focal": 0.9, "k1": 0.1, "k2": 0.2},
            0.9 * x * (1 + 0.1 * r2 + 0.2 * r2**2),
            0.9 * y * (1 + 0.1 * r2 + 0.2 * r2**2),
        ),
        "simple_radial": (
            {"focal_x": 0.9, "focal_y": 0.8, "c_x": 0.01, "c_y": 0.02, "k1": 0.1},
            0.9 * x * (1 + 0.1 * r2) + 0.01,
            0.8 * y * (1 + 0.1 * r2) + 0.02,
        ),
        "fisheye": (
            {"focal": 0.9, "k1": 0.1, "k2": 0.2},
            0.9 * x * bent * (1 + 0.1 * theta**2 + 0.2 * theta**4),
            0.9 * y * bent * (1 + 0.1 * theta**2 + 0.2 * theta**4),
        ),
        "fisheye_opencv": (
            {"focal_x": 0.9, "focal_y": 0.8, "k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4},
            0.9
            * x
            * bent
            * (1 + 0.1 * theta**2 + 0.2 * theta**4 + 0.3 * theta**6 + 0.4 * theta**8),
            0.8
            * y
            * bent
            * (1 + 0.1 * theta**2 + 0.2 * theta**4 + 0.3 * theta**6 + 0.4 * theta**8),
        ),
    }
    for kind, (params, u, v) in cases.items():
        change_json(
            folder,
            lambda scene, kind=kind, params=params: scene["cameras"].update(
                {"camera 0": {"projection_type": kind, "width": 320, "height": 240, **params}}
            ),
        )
        (pixel,) = open_map(folder).image("000.jpg").camera.project(np.array([[x, y, 1.0]]))
        assert pixel == pytest.approx([u * 320 + 159.5, v * 320 + 119.5], abs=1e-6)


def change_json(folder: Path, change: Callable[[Any], object]) -> None:
    file = folder / "reconstruction.json"
    scenes = json.loads(file.read_text())
    change(scenes[1])
    file.write_text(json.dumps(scenes))


def shot(name: str, **values: object) -> Callable[[Any], object]:
    return lambda scene: scene["shots"][name].update(values)


def camera(**values: object) -> Callable[[Any], object]:
    return lambda scene: scene["cameras"]["camera 0"].update(values)


OPENSFM: dict[str, tuple[Callable[[Any], object], str]] = {
    "unknown camera": (shot("000.jpg", camera="other"), "a camera of the map"),
    "no camera": (shot("000.jpg", camera=["x"]), "a camera of the map"),
    "unknown model": (camera(projection_type="spherical"), "of a type among"),
    "model that is none": (camera(projection_type={}), "of a type among"),
    "no focal length": (lambda scene: scene["cameras"]["camera 0"].pop("focal"), "focal"),
    "huge camera": (camera(width=10**400), "pixels"),
    "a width that is none": (camera(width=3.5), "width"),
    "a width that is true": (camera(width=True), "width"),
    "a huge number": (camera(focal=10**400), "focal"),
    "a pose of NaN": (shot("000.jpg", rotation=[float("nan"), 0, 0]), "quaternion"),
    "a huge rotation": (shot("000.jpg", rotation=[1e300, 0, 0]), "quaternion"),
    "a huge translation": (shot("000.jpg", translation=[10**400, 0, 0]), "below 1e12"),
    "words": (shot("000.jpg", rotation=["a", 0, 0]), "3 numbers"),
    "too few": (shot("000.jpg", rotation=[0, 0]), "3 numbers"),
    "a point of NaN": (
        lambda scene: scene["points"]["10"].update(coordinates=[0, float("nan"), 0]),
        "finite",
    ),
    "a color": (lambda scene: scene["points"]["10"].update(color=[0, 999, 0]), "colours"),
    "no shots": (lambda scene: scene.update(shots={}), "with images"),
    "shots in a list": (lambda scene: scene.update(shots=[1]), "shots by their names"),
    "a shot that is none": (lambda scene: scene["shots"].update(a=1), "shots by their names"),
}


@pytest.mark.parametrize("case", OPENSFM)
def test_hostile_opensfm(case: str, copy: Callable[[str], Path]) -> None:
    folder = copy("opensfm")
    change, message = OPENSFM[case]
    if case == "no shots":
        (folder / "reconstruction.json").write_text('[{"cameras": {}, "shots": {}, "points": {}}]')
    else:
        change_json(folder, change)
    with pytest.raises(InvertDescError, match=message) as caught:
        open_map(folder)
    assert "\n" not in str(caught.value)


TRACKS: dict[str, tuple[Callable[[str], str], str]] = {
    "cut off": (lambda text: text[:-3], "cut off"),
    "a feature that is none": (lambda text: text + "000.jpg\t0\tx\t0\t0\t0\t0\t0\n", "numbers"),
    "a feature below 0": (lambda text: text + "000.jpg\t0\t-1\t0\t0\t0\t0\t0\n", "features"),
    "a feature of NaN": (lambda text: text + "000.jpg\t0\tnan\t0\t0\t0\t0\t0\n", "features"),
    "few words": (lambda text: text + "000.jpg\t0\n", "track"),
    "one keypoint in two tracks": (lambda text: text + text.split("\n")[1] + "\n", "in several"),
    "a position of NaN": (lambda text: text + "000.jpg\t1\t9999\tnan\t0\t0\t0\t0\n", "finite"),
}


@pytest.mark.parametrize("case", TRACKS)
def test_hostile_tracks(case: str, copy: Callable[[str], Path]) -> None:
    folder = copy("opensfm")
    change, message = TRACKS[case]
    file = folder / "tracks.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(InvertDescError, match=message) as caught:
        open_map(folder)
    assert "\n" not in str(caught.value)


KAPTURE: dict[str, tuple[str, Callable[[str], str], str]] = {
    "cut off": ("reconstruction/observations.txt", lambda text: text[:-2], "cut off"),
    "a point that is not there": (
        "reconstruction/observations.txt",
        lambda text: text + "99999, SIFT, 000.jpg, 1\n",
        "that are there",
    ),
    "a keypoint that is not there": (
        "reconstruction/observations.txt",
        lambda text: text + "1, SIFT, 000.jpg, 99999\n",
        "different keypoints",
    ),
    "a keypoint of two points": (
        "reconstruction/observations.txt",
        lambda text: text + "1, SIFT, 000.jpg, 0\n",
        "different keypoints",
    ),
    "a keypoint that is no number": (
        "reconstruction/observations.txt",
        lambda text: text + "1, SIFT, 000.jpg, x\n",
        "numbers",
    ),
    "observations of others": (
        "reconstruction/observations.txt",
        lambda text: text.replace("SIFT", "r2d2"),
        "r2d2",
    ),
    "points of four": ("reconstruction/points3d.txt", lambda text: text + "1, 2, 3, 4\n", "3 or 6"),
    "a point of NaN": (
        "reconstruction/points3d.txt",
        lambda text: text + "nan, 0, 0, 0, 0, 0\n",
        "finite",
    ),
    "a color": (
        "reconstruction/points3d.txt",
        lambda text: text + "0, 0, 0, 0, 0, -1\n",
        "colours",
    ),
    "a pose of NaN": (
        "sensors/trajectories.txt",
        lambda text: text + "77, cam0, nan, 0, 0, 0, 0, 0, 0\n",
        "quaternion",
    ),
    "a short pose": ("sensors/trajectories.txt", lambda text: text + "77, cam0, 1\n", "qw"),
    "no poses": ("sensors/trajectories.txt", lambda text: "", "with images"),
    "unknown model": (
        "sensors/sensors.txt",
        lambda text: text + "c, , camera, HOLOGRAM, 8, 8, 1, 4, 4\n",
        "HOLOGRAM",
    ),
    "huge camera": (
        "sensors/sensors.txt",
        lambda text: text + "c, , camera, SIMPLE_PINHOLE, 2e9, 2e9, 1, 4, 4\n",
        "pixels",
    ),
    "a short record": ("sensors/records_camera.txt", lambda text: text + "1, cam0\n", "timestamp"),
}


@pytest.mark.parametrize("case", KAPTURE)
def test_hostile_kapture(case: str, copy: Callable[[str], Path]) -> None:
    folder = copy("kapture")
    name, change, message = KAPTURE[case]
    file = folder / name
    file.write_text(change(file.read_text()))
    with pytest.raises(InvertDescError, match=message) as caught:
        open_map(folder)
    assert "\n" not in str(caught.value)


def test_rigs_that_hold_each_other_end(copy: Callable[[str], Path]) -> None:
    folder = copy("kapture")
    turns = ", 1, 0, 0, 0, 0, 0, 0\n"
    (folder / "sensors" / "rigs.txt").write_text(f"cam0, r{turns}r, s{turns}s, r{turns}")
    assert len(open_map(folder).images) == 5


@pytest.mark.parametrize("kind", WRITERS)
def test_names_lead_nowhere(kind: str, copy: Callable[[str], Path]) -> None:
    """A name with ../ is no reason to read a file outside of the folder."""
    folder = copy(kind)
    outside = "../../secret.jpg"
    if kind == "opensfm":
        secret = folder.parent / "secret.jpg.features.npz"
        change_json(
            folder, lambda scene: scene["shots"].update({outside: scene["shots"]["000.jpg"]})
        )
    else:
        secret = folder / "reconstruction" / "secret.jpg.kpt"
        records = folder / "sensors" / "records_camera.txt"
        records.write_text(records.read_text() + f"0, cam0, {outside}\n")
    own = next(folder.glob(f"**/000.jpg{secret.name.removeprefix('secret.jpg')}"))
    shutil.copy(own, secret)
    with open_map(folder) as found:
        assert len(found.image(outside).keypoints) == 0
        assert found.view(PLAIN, ring(1)[0]).keypoints.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("opensfm", "reconstruction.json"),
        ("opensfm", "tracks.csv"),
        ("kapture", "sensors/sensors.txt"),
        ("kapture", "sensors/trajectories.txt"),
        ("kapture", "reconstruction/points3d.txt"),
        ("kapture", "reconstruction/observations.txt"),
    ],
)
def test_flipped_and_cut_bytes_raise_nothing_else(
    kind: str, name: str, copy: Callable[[str], Path]
) -> None:
    folder = copy(kind)
    file = folder / name
    data = file.read_bytes()
    draw = np.random.default_rng(0)
    for place in draw.integers(0, len(data), 12):
        for changed in (
            data[:place],
            data[:place] + bytes(draw.integers(0, 256, 1, np.uint8)) + data[place + 1 :],
        ):
            file.write_bytes(changed)
            with suppress(InvertDescError):
                open_map(folder)
