"""What a map of boxes shows from elsewhere, against where its points are known to be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scene import DISTORTED, PLAIN, Scattered, Scene, ring, scattered

from invertdesc import InputError
from invertdesc.maps import Camera, Map, Pose, ViewOptions, open_map

FROM_POINTS = ViewOptions(neighbours=0)


@pytest.fixture(scope="module")
def world(boxes: Scene) -> Scattered:
    return scattered(boxes, 6000)


@pytest.fixture(scope="module")
def opened(boxes_map: Path) -> Map:
    return open_map(boxes_map, features=boxes_map / "features")


def rows_of(found: torch.Tensor, world: Scattered) -> np.ndarray:
    """Tell points by their descriptors."""
    known = {row.tobytes(): number for number, row in enumerate(world.descriptors.astype("f4"))}
    return np.array([known[row.tobytes()] for row in found.numpy()])


@pytest.mark.parametrize("camera", [PLAIN, DISTORTED], ids=["plain", "distorted"])
@pytest.mark.parametrize("turn", [-33.0, 2.0, 47.0])
def test_frames_are_where_the_patches_are(
    opened: Map, world: Scattered, camera: Camera, turn: float
) -> None:
    (pose,) = ring(1, turn)
    view = opened.view(camera, pose, options=FROM_POINTS)
    rows = rows_of(view.descriptors, world)
    assert len(rows) > 300
    xy, scales, turns = world.patches(camera, pose, rows)
    assert view.scales is not None
    assert view.orientations is not None
    assert np.abs(view.keypoints.numpy() - xy).max() < 0.5
    grown = view.scales.numpy() / scales
    off = np.degrees(np.abs(np.angle(np.exp(1j * (view.orientations.numpy() - turns)))))
    assert (np.abs(grown - 1) < 0.03).mean() > 0.95
    assert (off < 3).mean() > 0.95


@pytest.mark.parametrize("turn", [-33.0, 2.0, 47.0])
def test_hidden_points_are_left_out(
    opened: Map, boxes: Scene, world: Scattered, turn: float
) -> None:
    (pose,) = ring(1, turn)
    view = opened.view(PLAIN, pose, options=FROM_POINTS)
    kept = np.zeros(len(world.xyz), bool)
    kept[rows_of(view.descriptors, world)] = True
    inside, free = PLAIN.sees(pose.apply(world.xyz)), boxes.sees(pose, world.xyz)
    hidden, shown = inside & ~free, inside & free
    assert hidden.sum() > 200
    assert (~kept[hidden]).mean() > 0.95
    assert kept[shown].mean() > 0.9


def test_what_one_image_saw_can_be_left_out(opened: Map, world: Scattered) -> None:
    image = opened.image("005")
    own = opened.view(image.camera, image.pose, options=FROM_POINTS)
    other = opened.view(image.camera, image.pose, leave_out=["005"], options=FROM_POINTS)
    seen = np.zeros((len(world.xyz), 11), bool)
    for number, rows in enumerate(world.seen):
        seen[rows, number] = True
    alone = seen[:, 5] & (seen.sum(1) == 2)  # with one more image, which alone makes no point
    assert alone[rows_of(own.descriptors, world)].any()
    assert not alone[rows_of(other.descriptors, world)].any()
    stored = world.features(5)
    assert own.orientations is not None
    assert stored.orientations is not None
    where = {row.numpy().tobytes(): n for n, row in enumerate(stored.descriptors)}
    shared = 0
    for row, turn in zip(own.descriptors, own.orientations, strict=True):
        if row.numpy().tobytes() not in where:
            continue
        shared += 1
        known = stored.orientations[where[row.numpy().tobytes()]]
        assert float(turn) == pytest.approx(float(known), abs=1e-4)
    assert shared > 1000


def test_more_observations_and_fewer_features(opened: Map, world: Scattered) -> None:
    (pose,) = ring(1, 2.0)
    one = opened.view(PLAIN, pose, options=FROM_POINTS)
    two = opened.view(PLAIN, pose, options=ViewOptions(neighbours=0, observations=2))
    assert 1.3 * len(one) < len(two) <= 2 * len(one)
    few = opened.view(PLAIN, pose, options=ViewOptions(neighbours=0, most=400))
    assert len(few) <= 400
    assert {*rows_of(few.descriptors, world)} <= {*rows_of(one.descriptors, world)}
    corner = (few.keypoints < torch.tensor([160.0, 120.0])).all(1).sum()
    assert corner > 40  # of the quarter: thinned out evenly


def test_guessed_points_lie_on_the_boxes(boxes: Scene, tmp_path: Path) -> None:
    """Keypoints of one image that no other saw come along, by the planes around them."""
    world = scattered(boxes, 4000, views=6)
    world.write(tmp_path)
    (pose,) = ring(1, 17.0)
    with open_map(tmp_path, features=tmp_path / "features") as found:
        view = found.view(PLAIN, pose, leave_out=["002"])  # many were seen by it and one other
        bare = found.view(PLAIN, pose, leave_out=["002"], options=FROM_POINTS)
    fresh = np.setdiff1d(rows_of(view.descriptors, world), rows_of(bare.descriptors, world))
    assert len(fresh) > 100
    rows = rows_of(view.descriptors, world)
    xy, _, _ = world.patches(PLAIN, pose, rows)
    far = np.linalg.norm(view.keypoints.numpy() - xy, axis=1)[np.isin(rows, fresh)]
    assert np.quantile(far, 0.75) < 0.5


def test_nothing_to_see(opened: Map) -> None:
    away = Pose.look_at((0, -1, -9), (0, -1, -20))
    assert len(opened.view(PLAIN, away)) == 0
    with pytest.raises(InputError, match="name of an image"):
        opened.view(PLAIN, away, leave_out=["other"])


@pytest.mark.parametrize("option", [{"observations": 0}, {"widest": 120.0}, {"most": 0}])
def test_options_out_of_range(option: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        ViewOptions(**option)  # type: ignore[arg-type]


def test_without_frames(boxes_map: Path, world: Scattered, tmp_path: Path) -> None:
    from invertdesc import LocalFeatures

    for file in (boxes_map / "features").iterdir():
        LocalFeatures.load(file).without("scales", "orientations").save(tmp_path / file.name)
    with open_map(boxes_map, features=tmp_path) as found:
        view = found.view(PLAIN, world.poses[3])
    assert view.scales is None
    assert view.orientations is None
