"""What every registered descriptor has to keep to, whoever wrote it."""

import inspect
import math
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from invertdesc import (
    FeatureBatch,
    LocalFeatures,
    create_descriptor,
    extract,
    list_descriptors,
    reconstruct,
)
from invertdesc.descriptors import Descriptor, descriptors
from invertdesc.descriptors._builtin import BUILTIN
from invertdesc.descriptors._unread import StoredDescriptor
from invertdesc.descriptors.base import JointUnfolding
from invertdesc.descriptors.describing import Describing, can_describe, describe_gray
from invertdesc.errors import FileError, MissingDependencyError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.unfolding.unfolding import Unfolding

NAMES = list_descriptors()
WEIGHTS = {
    "aliked-n16": "aliked-n16.pth",
    "aliked-n16rot": "aliked-n16rot.pth",
    "aliked-n32": "aliked-n32.pth",
    "aliked-t16": "aliked-t16.pth",
    "disk": "disk-depth-save.pth",
    "tfeat": "tfeat-liberty.params",
    "xfeat": "xfeat.pt",
}
ROWS = ("keypoints", "descriptors", "scales", "orientations", "scores")
every_name = pytest.mark.parametrize("name", NAMES)


@lru_cache
def picture() -> Tensor:
    """(3, 256, 256)."""
    return to_image(data.astronaut()[::2, ::2])


def learned_weights(name: str) -> Path:
    """Return a file of the folder that INVERTDESC_TEST_WEIGHTS names."""
    folder = os.environ.get("INVERTDESC_TEST_WEIGHTS")
    file = WEIGHTS.get(name)
    if not folder or not file or not (Path(folder) / file).exists():
        pytest.skip(f"{name!r} takes learned weights, which tests do not download")
    return Path(folder) / file


@lru_cache
def made(name: str) -> Descriptor:
    options = {}
    if "weights" in inspect.signature(descriptors.get(name)).parameters:
        options["weights"] = learned_weights(name)
    if isinstance(create_descriptor(name), StoredDescriptor):
        pytest.skip(f"{name!r} is read from files alone")
    try:
        adapter = create_descriptor(name, **options)
        adapter.extract(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)))
    except (MissingDependencyError, FileError) as error:
        pytest.skip(f"{name!r} cannot run here: {error}")
    return adapter


@lru_cache
def extracted(name: str) -> LocalFeatures:
    return made(name).extract(picture())


@lru_cache
def given() -> LocalFeatures:
    """Keypoints of SIFT that every window fits round, of a scale that no descriptor bounds."""
    found = extract(picture(), descriptor="sift")
    assert found.scales is not None
    found = found[(found.scales > 2.6) & (found.scales < 4.1)].inside((40, 40, 216, 216))
    near = (found.keypoints[:, None] - found.keypoints).norm(dim=2) < 2
    return found[~near.tril(-1).any(1)]  # one orientation for each


def describing(name: str) -> Describing:
    adapter = made(name)
    if not can_describe(adapter) and name not in BUILTIN:
        pytest.skip(f"{name!r} is somebody's who does not say how to describe at given keypoints")
    assert can_describe(adapter)
    return adapter


def reads_colour(adapter: Descriptor) -> bool:
    """Return whether an adapter's network sees a whole colour picture."""
    return bool(getattr(adapter, "colour", False))


def unfolding_of(adapter: Descriptor) -> Unfolding:
    if isinstance(adapter, JointUnfolding):
        pytest.skip(f"{adapter.name!r} unfolds all of its vectors together")
    try:
        return adapter.unfolding
    except FileError as error:
        pytest.skip(f"{adapter.name!r} ships no unfolding: {error}")


def turned(points: Tensor) -> Tensor:
    """Where points of a 256 x 256 image are after a quarter turn clockwise on the screen."""
    x, y = points.unbind(1)
    return torch.stack([255 - y, x], 1)


def mutual(one: Tensor, other: Tensor, within: float) -> tuple[Tensor, Tensor]:
    """Return the indices of points that are each other's nearest."""
    distance = (one[:, None] - other).norm(dim=2)
    nearest = distance.argmin(1)
    back = distance.argmin(0)[nearest] == torch.arange(len(one))
    kept = (back & (distance.min(1).values < within)).nonzero().flatten()
    return kept, nearest[kept]


def likeness(
    adapter: Descriptor, one: LocalFeatures, points: Tensor, other: LocalFeatures
) -> float:
    """Median correlation of vectors at the same points."""
    left, right = mutual(points, other.keypoints, 0.01)
    assert len(left) > 10
    a, b = adapter.encode(one.descriptors)[left], adapter.encode(other.descriptors)[right]
    mean = torch.cat([a, b]).mean(0)
    return float(F.cosine_similarity(a - mean, b - mean).median())


@every_name
def test_features_are_of_the_descriptor(name: str) -> None:
    adapter, features = made(name), extracted(name)
    assert features.descriptor == adapter.name == name
    assert features.image_size == (256, 256)
    assert len(features) > 100
    assert features.descriptors.dtype in (torch.float32, torch.uint8)
    assert features.provenance.gray in ("gamma", "luma")
    assert features.provenance.producer
    for field in adapter.frame.needs:
        assert getattr(features, field) is not None, field


@every_name
def test_the_same_image_gives_the_same_features(name: str) -> None:
    one, other = (made(name).extract(picture()[:, :128, 64:192]) for _ in range(2))
    assert len(one) > 10
    assert torch.equal(one.keypoints, other.keypoints)
    assert torch.equal(one.descriptors, other.descriptors)


@every_name
def test_encode_gives_finite_floats(name: str) -> None:
    adapter, features = made(name), extracted(name)
    encoded = adapter.encode(features.descriptors)
    assert encoded.shape == (len(features), adapter.dim)
    assert encoded.dtype == torch.float32
    assert encoded.isfinite().all()
    assert adapter.encode(features.descriptors[:0]).shape == (0, adapter.dim)
    assert adapter.encode(torch.zeros_like(features.descriptors[:2])).isfinite().all()


@every_name
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 16), (17, 40)])
def test_tiny_images_do_no_harm(name: str, size: tuple[int, int]) -> None:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    features = made(name).extract(image)
    assert features.image_size == size
    assert features.descriptors.dtype == extracted(name).descriptors.dtype
    assert features.descriptors.shape[1] == extracted(name).descriptors.shape[1]


@every_name
def test_a_gray_image_is_a_colour_image_of_equal_channels(name: str) -> None:
    gray = to_gray(picture()[:, :128, 64:192], "luma").expand(3, -1, -1)
    assert len(made(name).extract(gray)) > 10


@every_name
def test_turning_the_image_turns_orientations(name: str) -> None:
    if reads_colour(made(name)):
        pytest.skip(f"{name!r} finds other keypoints in a turned picture")
    before = extracted(name)
    after = made(name).extract(picture().rot90(-1, (1, 2)))
    left, right = mutual(turned(before.keypoints), after.keypoints, 1.0)
    assert len(left) > 0.3 * len(before)
    if before.orientations is None or after.orientations is None:
        return
    turn = after.orientations[right] - before.orientations[left]
    turn = torch.atan2(turn.sin(), turn.cos())
    quarter = math.pi / 2 if made(name).frame.rotated else 0.0
    assert turn.median().item() == pytest.approx(quarter, abs=0.02)


@every_name
def test_describing_what_was_found_gives_it_again(name: str) -> None:
    adapter, found = describing(name), extracted(name)
    if reads_colour(adapter):
        again = adapter.describe(picture(), found)
    else:
        again = describe_gray(adapter, to_gray(picture(), adapter.gray), found)
    assert torch.equal(again.rows, torch.arange(len(found)))
    assert again.features.descriptors.dtype == found.descriptors.dtype
    assert torch.equal(again.features.keypoints, found.keypoints)
    one, other = (adapter.encode(part.descriptors) for part in (found, again.features))
    alike = F.cosine_similarity(one, other)
    if name == "kaze":  # OpenCV takes other derivatives where it has not found keypoints itself
        assert alike.median() > 0.9
    else:
        assert (alike > 0.999).float().mean() > 0.97


@every_name
def test_rows_tell_which_keypoints_were_described(name: str) -> None:
    adapter, found = describing(name), extracted(name)
    some = torch.arange(0, len(found), 3)
    beyond = found[some[:1]]
    corner = replace(beyond, keypoints=torch.tensor([[0.0, 0.0]]))
    mixed = [found[some[1:]], corner, found[some[:1]]]
    joined = FeatureBatch.collate(mixed)
    rows = {field: getattr(joined, field) for field in ROWS}
    given = replace(found, **rows)
    again = adapter.describe(picture(), given)
    assert len(again.rows) == len(again.features) >= len(some)
    assert torch.equal(again.features.keypoints, given.keypoints[again.rows])
    assert again.rows[-1] == len(some)
    assert (again.rows.diff() > 0).all()


@every_name
def test_given_keypoints_are_described_in_their_frames(name: str) -> None:
    """A vector follows its keypoint as the image is turned and enlarged, if its frame does."""
    adapter, image, points = made(name), picture(), given()
    if isinstance(adapter, JointUnfolding) or not can_describe(adapter):
        pytest.skip(f"{name!r} has a grid of its own")
    base = adapter.describe(image, points).features
    kept, _ = mutual(base.keypoints, points.keypoints, 0.01)
    assert len(kept) == len(base) > 0.5 * len(points)

    around = replace(
        points, keypoints=turned(points.keypoints), orientations=points.orientations + math.pi / 2
    )
    there = adapter.describe(image.rot90(-1, (1, 2)), around).features
    alike = likeness(adapter, base, turned(base.keypoints), there)
    assert alike > 0.75 if adapter.frame.rotated else alike < 0.5

    large = F.interpolate(image[None], scale_factor=2, mode="bilinear")[0].clamp(0, 1)
    doubled = replace(
        points,
        keypoints=2 * points.keypoints + 0.5,
        scales=2 * points.scales,
        image_size=(512, 512),
    )
    there = adapter.describe(large, doubled).features
    alike = likeness(adapter, base, 2 * base.keypoints + 0.5, there)
    assert alike > 0.6 if adapter.frame.scaled else alike < 0.75
    if adapter.frame.scaled:
        left, right = mutual(2 * base.keypoints + 0.5, there.keypoints, 0.01)
        ratio = (there.scales[right] / base.scales[left]).median()
        assert ratio.item() == pytest.approx(2, rel=0.15)  # ORB has steps of 1.2


@every_name
def test_features_survive_a_file(name: str, tmp_path: Path) -> None:
    features = extracted(name)
    features.save(tmp_path / "features.npz")
    loaded = LocalFeatures.load(tmp_path / "features.npz")
    for field in ROWS:
        one, other = getattr(features, field), getattr(loaded, field)
        assert (one is None) == (other is None)
        assert one is None or (one.dtype == other.dtype and torch.equal(one, other)), field
    assert loaded.descriptor == name
    assert loaded.provenance.parameters == features.provenance.parameters


@every_name
def test_vectors_stay_as_emitted_in_a_batch(name: str) -> None:
    features = extracted(name)
    batch = FeatureBatch.collate([features, features])
    assert batch.descriptors.dtype == features.descriptors.dtype
    assert torch.equal(batch[1].descriptors, features.descriptors)
    bits = features.descriptors.dtype == torch.uint8
    assert not bits or features.descriptors.shape[1] <= -(-made(name).dim // 8)


@every_name
def test_the_unfolding_fits_the_vectors(name: str) -> None:
    adapter, features = made(name), extracted(name)
    unfolding = unfolding_of(adapter)
    pieces = unfolding(adapter.encode(features.descriptors))
    assert pieces.shape == (len(features), 2, unfolding.grid, unfolding.grid)
    assert pieces.isfinite().all()
    assert unfolding.frame == adapter.frame


@every_name
def test_the_picture_comes_back(name: str) -> None:
    adapter, image = made(name), picture()
    if isinstance(adapter, JointUnfolding):
        # Unsigned histograms leave signs open, and a scene's large parts may come out inverted.
        image = to_image(data.astronaut()[:256, 100:356])
    else:
        unfolding_of(adapter)
    found = reconstruct(image, descriptor=adapter)
    assert found.shape == (3, 256, 256)
    assert float(ncc(found[0], to_gray(image, "luma"))) > 0.4
