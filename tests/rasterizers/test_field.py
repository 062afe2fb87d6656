import math

import pytest
import torch
from torch import Tensor

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor
from invertdesc.errors import InputError, MissingFieldError
from invertdesc.rasterizers import field
from invertdesc.rasterizers.field import FieldRasterizer
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding

SIZE = (70, 90)
UNFOLDINGS = {
    "fitted": create_descriptor("sift").unfolding,
    "known": create_descriptor("sift").known_unfolding,
}


@pytest.fixture(params=list(UNFOLDINGS))
def unfolding(request) -> Unfolding:
    return UNFOLDINGS[request.param]


def random_features(seed: int = 0, count: int = 30, size: tuple[int, int] = SIZE) -> LocalFeatures:
    """Vectors that could be SIFT's, all of the supports inside; places in 1/64 pixels are exact."""
    draw = torch.Generator().manual_seed(seed)
    scales = torch.rand(count, generator=draw) + 0.4
    reach = 12 * scales * math.sqrt(0.5) + 8  # half a diagonal, and room to move
    span = torch.tensor([size[1] - 1, size[0] - 1])
    places = reach[:, None] + torch.rand(count, 2, generator=draw) * (span - 2 * reach[:, None])
    return LocalFeatures(
        keypoints=(places * 64).round() / 64,
        descriptors=torch.rand(count, 128, generator=draw) ** 3 * 255,
        image_size=size,
        descriptor="sift",
        scales=scales,
        orientations=torch.rand(count, generator=draw) * 2 * math.pi,
    )


def changed(features: LocalFeatures, **fields) -> LocalFeatures:
    names = ("keypoints", "descriptors", "image_size", "descriptor", "scales", "orientations")
    return LocalFeatures(**{**{name: getattr(features, name) for name in names}, **fields})


def rasterize(features: LocalFeatures, unfolding: Unfolding | None = None, **options) -> Tensor:
    field = FieldRasterizer(unfolding=unfolding, **options)(FeatureBatch.collate([features]))
    return torch.cat(field, 1)[0]  # picture, coverage, gx, gy


def close(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("step", [(5, -7), (-3, 4)])
def test_moved_keypoints_move_the_field(unfolding, step):
    features = random_features()
    moved = changed(features, keypoints=features.keypoints + torch.tensor(step))
    expected = rasterize(features, unfolding).roll(step[::-1], (1, 2))
    close(rasterize(moved, unfolding)[1:], expected[1:])


def test_turned_keypoints_turn_picture_and_field(unfolding):
    """A quarter clockwise on the screen: right becomes down, down becomes left."""
    features = random_features()
    x, y = features.keypoints.unbind(1)
    turned = changed(
        features,
        keypoints=torch.stack([SIZE[0] - 1 - y, x], 1),
        orientations=features.orientations + math.pi / 2,
        image_size=SIZE[::-1],
    )
    picture, coverage, gx, gy = rasterize(features, unfolding).rot90(-1, (1, 2))
    found = rasterize(turned, unfolding)
    close(found[1:], torch.stack([coverage, -gy, gx]))
    close(found[0], picture)


def test_mirrored_keypoints_mirror_picture_and_field():
    """The frame keeps its right, but down becomes up: rows swap and angles change sign."""
    features = random_features()
    x, y = features.keypoints.unbind(1)
    histograms = features.descriptors.view(-1, 4, 4, 8)
    bins = (-torch.arange(8)) % 8
    mirrored = changed(
        features,
        keypoints=torch.stack([SIZE[1] - 1 - x, y], 1),
        orientations=math.pi - features.orientations,
        descriptors=histograms.flip(1)[..., bins].flatten(1),
    )
    picture, coverage, gx, gy = rasterize(features, UNFOLDINGS["known"]).flip(2)
    found = rasterize(mirrored, UNFOLDINGS["known"])
    close(found[1:], torch.stack([coverage, -gx, gy]))
    close(found[0], picture)


@pytest.mark.parametrize(
    ("stride", "shape"), [(1, (13, 21)), (2, (7, 11)), (4, (4, 6)), (50, (1, 1))]
)
def test_the_map_covers_the_picture(stride, shape):
    features = LocalFeatures(
        keypoints=torch.tensor([[10.0, 6.0]]),
        descriptors=torch.ones(1, 128),
        image_size=(13, 21),
        descriptor="sift",
        scales=torch.ones(1),
        orientations=torch.zeros(1),
    )
    found = rasterize(features, stride=stride)
    assert found.shape == (4, *shape)
    assert found.dtype == torch.float32
    assert found.isfinite().all()


def test_a_stride_samples_the_same_field(unfolding):
    """Every third pixel, from the second on, is the middle of three."""
    features = random_features()
    found = rasterize(features, unfolding, stride=3)
    expected = rasterize(features, unfolding)[1:, 1::3, 1::3]
    close(found[1:, : expected.shape[1], : expected.shape[2]], expected)


def lone(scale: float, turn: float = 0.0, *, at: tuple[float, float] = (30.3, 40.2)):
    return LocalFeatures(
        keypoints=torch.tensor([at]),
        descriptors=torch.ones(1, 128),
        image_size=SIZE,
        descriptor="sift",
        scales=torch.tensor([scale]),
        orientations=torch.tensor([turn]),
    )


@pytest.mark.parametrize(("scale", "width"), [(1.5, 4.5), (0.6, 1.8), (0.2, 1.0)])
def test_coverage_is_1_by_the_cell_width(scale, width):
    """Four cells of 3 sigma each; none counts as finer than a pixel."""
    coverage = rasterize(lone(scale, 0.3), UNFOLDINGS["known"])[1]
    assert sorted(set(coverage.flatten().tolist())) == pytest.approx([0, 1 / width])
    area = float((coverage > 0).sum())
    assert area == pytest.approx((12 * scale) ** 2, rel=0.1, abs=3)


def test_a_lone_keypoint_by_hand():
    """Its own gradients, weakened by the cell's width to the falloff, turned into the picture."""
    pieces = torch.zeros(1, 2, 4, 4)
    pieces[:, 0] = 1.0  # towards the frame's right
    batch = FeatureBatch.collate([lone(1.5, math.pi / 6)])
    found = torch.cat(FieldRasterizer(unfolding=UNFOLDINGS["known"])(batch, pieces), 1)[0]
    size = 4.5 ** -UNFOLDINGS["known"].falloff
    assert found[2:, 40, 30].tolist() == pytest.approx([size * math.sqrt(0.75), size * 0.5])
    pieces = pieces.flip(1)  # towards its down
    found = torch.cat(FieldRasterizer(unfolding=UNFOLDINGS["known"])(batch, pieces), 1)[0]
    assert found[2:, 40, 30].tolist() == pytest.approx([-size * 0.5, size * math.sqrt(0.75)])


def test_fine_keypoints_outweigh_coarse_ones():
    """Mean with weight 1 / (cell width)^4."""
    fine, coarse = lone(0.5), lone(1.5)
    both = changed(
        fine,
        keypoints=torch.cat([fine.keypoints, coarse.keypoints]),
        descriptors=torch.ones(2, 128),
        scales=torch.tensor([0.5, 1.5]),
        orientations=torch.zeros(2),
    )
    pieces = torch.tensor([2.0, -1.0]).view(2, 1, 1, 1).expand(2, 2, 4, 4)
    batch = FeatureBatch.collate([both])
    found = torch.cat(FieldRasterizer(unfolding=UNFOLDINGS["known"])(batch, pieces), 1)[0]
    falloff = UNFOLDINGS["known"].falloff
    weights = 1.5**-4, 4.5**-4
    mean = (weights[0] * 1.5**-falloff * 2 - weights[1] * 4.5**-falloff) / sum(weights)
    assert found[2, 40, 30].item() == pytest.approx(mean, rel=1e-5)
    assert found[1, 40, 30].item() == pytest.approx(sum(weights) ** 0.25, rel=1e-5)
    assert found[2, 47, 37].item() == pytest.approx(-(4.5**-falloff), rel=1e-5)  # coarse alone


def test_the_picture_of_a_ramp_is_a_ramp():
    """The field of one large keypoint, all gradients to the right: brightness grows evenly."""
    pieces = torch.zeros(1, 2, 4, 4)
    pieces[:, 0] = 10.0
    batch = FeatureBatch.collate([lone(100.0)])
    rasterizer = FieldRasterizer(unfolding=UNFOLDINGS["known"], screening=0.0)
    picture, _, gradients = rasterizer(batch, pieces)
    picture, gx = picture[0, 0], gradients[0, 0]
    assert gx.min() == pytest.approx(gx.max())
    ramp = (torch.arange(90.0) - 44.5) * gx[0, 0]
    torch.testing.assert_close(picture, ramp.expand(70, -1), rtol=0, atol=1e-4)


def test_the_picture_is_not_half_a_pixel_off():
    """A field that grows to the middle column and falls again: so does the step, symmetrically."""
    size = (41, 41)
    features = changed(lone(0.3, at=(20.0, 20.0)), image_size=size)
    pieces = torch.ones(1, 2, 1, 1) * torch.tensor([1.0, 0.0]).view(2, 1, 1)
    flat = Unfolding.from_histograms(cells=1, bins=8, frame=Frame(15.0, scaled=False))
    rasterizer = FieldRasterizer(unfolding=flat)
    picture = rasterizer(FeatureBatch.collate([features]), pieces).picture[0, 0]
    torch.testing.assert_close(picture.flip(1), -picture, rtol=0, atol=1e-5)
    torch.testing.assert_close(picture.flip(0), picture, rtol=0, atol=1e-5)
    assert picture[20, 27] > 0.1


def rasterizing(batch: FeatureBatch, pieces: Tensor | None = None) -> Tensor:
    return torch.cat(FieldRasterizer()(batch, pieces), 1)


def test_empty_images_give_zeros():
    none = random_features()[:0]
    assert torch.equal(rasterize(none), torch.zeros(4, *SIZE))
    batch = FeatureBatch.collate([random_features(), none])
    found = torch.cat(FieldRasterizer()(batch), 1)
    assert torch.equal(found[1], torch.zeros(4, *SIZE))
    assert found[0].abs().amax((1, 2)).gt(0).all()


def given_pieces(count: int) -> Tensor:
    """Gradients to hand in, so that no matrix product rounds them by their place in the batch."""
    return torch.randn(count, 2, 4, 4, generator=torch.Generator().manual_seed(count))


def test_an_image_does_not_depend_on_its_batch():
    images = [random_features(seed, count) for seed, count in ((1, 20), (2, 1), (3, 40))]
    pieces = [given_pieces(len(features)) for features in images]
    found = rasterizing(FeatureBatch.collate(images))
    given = rasterizing(FeatureBatch.collate(images), torch.cat(pieces))
    for k, features in enumerate(images):
        alone = FeatureBatch.collate([features])
        close(found[k], rasterizing(alone)[0])
        assert torch.equal(given[k, 1:], rasterizing(alone, pieces[k])[0, 1:])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_keypoints_does_not_matter(seed):
    """Not to the bit from gradients on; before, a matrix product may round by the row."""
    features, pieces = random_features(seed, 60), given_pieces(60)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    one, other = (FeatureBatch.collate([f]) for f in (features, features[order]))
    close(rasterizing(other), rasterizing(one))
    assert torch.equal(rasterizing(other, pieces[order]), rasterizing(one, pieces))


@pytest.mark.parametrize("missing", [("scales",), ("orientations",), ("scales", "orientations")])
def test_what_the_frame_needs_is_asked_for(missing):
    features = random_features().without(*missing)
    with pytest.raises(MissingFieldError, match=f"{' and '.join(missing)}.*unfolding of 'sift'"):
        rasterize(features)


def test_an_unfolding_may_be_given():
    """One with a frame of its own: it then needs neither scales nor orientations."""
    own = Unfolding.from_histograms(cells=4, bins=8, frame=Frame(20.0, scaled=False, rotated=False))
    features = random_features()
    found = rasterize(features.without("scales", "orientations"), own)
    same = changed(
        features,
        scales=torch.full_like(features.scales, 20 / 12),
        orientations=torch.zeros_like(features.orientations),
    )
    plain = Unfolding.from_histograms(cells=4, bins=8, frame=Frame(12.0))
    close(found, rasterize(same, plain))
    assert not torch.allclose(found, rasterize(features))


def test_a_stride_below_1_is_refused():
    with pytest.raises(InputError, match="stride >= 1, got 0"):
        FieldRasterizer(stride=0)


@pytest.mark.parametrize("count", [16, 17, 30])
def test_keypoints_in_parts_give_the_same_field(
    unfolding: Unfolding, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    features = random_features(count=count)
    whole = rasterize(features, unfolding)
    monkeypatch.setattr("invertdesc.rasterizers.field._KEYPOINTS_AT_ONCE", 8)
    close(rasterize(features, unfolding), whole)


@pytest.mark.parametrize("stride", [1, 2])
def test_bands_of_rows_give_the_same_field(monkeypatch: pytest.MonkeyPatch, stride: int) -> None:
    features = [random_features(seed, 60) for seed in range(2)]
    batch = FeatureBatch.collate(features)
    whole = FieldRasterizer(stride=stride)(batch)
    painted = []
    paint = field.paint_pieces
    monkeypatch.setattr(field, "_SAMPLES_AT_ONCE", 2 * 90 * 8)
    monkeypatch.setattr(
        field, "paint_pieces", lambda *given: painted.append(len(given[0])) or paint(*given)
    )
    in_bands = FieldRasterizer(stride=stride)(batch)
    assert len(painted) > 2
    assert max(painted) < 120  # no band gets all pieces
    for one, other in zip(in_bands, whole, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
