import re
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from invertdesc import FeatureBatch, LocalFeatures, Provenance
from invertdesc.errors import InputError, InvertDescError, MissingFieldError

ROWS = ("keypoints", "descriptors", "scales", "orientations", "scores")


def make(count: int = 4, **changes: Any) -> LocalFeatures:
    """Features of a 48 x 64 image with `count` keypoints along a diagonal, every field given."""
    steps = torch.arange(count, dtype=torch.float32)
    fields: dict[str, Any] = {
        "keypoints": torch.stack([5 * steps, 3 * steps], 1),
        "descriptors": steps[:, None] + torch.arange(8, dtype=torch.float32),
        "image_size": (48, 64),
        "descriptor": "sift",
        "scales": 1 + steps,
        "orientations": -steps,
        "scores": 10 - steps,
        "provenance": Provenance("luma", "made by hand", {"count": count}),
    }
    return LocalFeatures(**{**fields, **changes})


def assert_same(one: LocalFeatures, other: LocalFeatures) -> None:
    for name in ROWS:
        a, b = getattr(one, name), getattr(other, name)
        if a is None or b is None:
            assert a is b, name
        else:
            assert a.dtype == b.dtype
            assert torch.equal(a, b), name
    assert one.image_size == other.image_size
    assert one.descriptor == other.descriptor
    assert one.provenance == other.provenance


def test_fields_are_kept_as_given() -> None:
    keypoints = torch.tensor([[3.0, 4.0]])
    features = make(1, keypoints=keypoints)
    assert features.keypoints is keypoints
    assert features.image_size == (48, 64)
    assert features.provenance.parameters == {"count": 1}


def test_optional_fields_may_be_missing() -> None:
    features = make(scales=None, orientations=None, scores=None)
    assert len(features) == 4


def test_uint8_descriptors_are_accepted() -> None:
    packed = torch.zeros(4, 32, dtype=torch.uint8)
    assert make(descriptors=packed).descriptors.dtype == torch.uint8


def test_no_keypoints_are_accepted() -> None:
    features = make(0)
    assert len(features) == 0
    assert features.descriptors.shape == (0, 8)


def test_borders_of_the_picture_are_inside_it() -> None:
    corners = torch.tensor([[-0.5, -0.5], [63.5, 47.5]])
    assert len(make(2, keypoints=corners)) == 2


@pytest.mark.parametrize(
    "point", [(-0.51, 0.0), (0.0, -0.51), (63.51, 0.0), (0.0, 47.51), (0.0, 60.0)]
)
def test_keypoint_outside_the_picture_is_named(point: tuple[float, float]) -> None:
    keypoints = torch.tensor([[1.0, 1.0], point])
    expected = f"inside the 64 x 48 image, got 1 outside, the first at ({point[0]:g}, {point[1]:g})"
    with pytest.raises(InputError, match=re.escape(expected)):
        make(2, keypoints=keypoints)


def test_swapped_image_size_is_suspected() -> None:
    with pytest.raises(InputError, match=r"Is image_size given as \(H, W\)\?"):
        make(2, keypoints=torch.tensor([[60.0, 1.0], [1.0, 1.0]]), image_size=(64, 48))


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_non_finite_values_are_counted(name: str, value: float) -> None:
    good: Tensor = getattr(make(), name)
    bad = good.clone()
    bad[1:3] = value
    message = f"Expected finite {name}, got NaN or infinity in 2 of 4 rows"
    with pytest.raises(InputError, match=message):
        make(**{name: bad})


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_scales_must_be_above_zero(scale: float) -> None:
    with pytest.raises(InputError, match="Expected scales above 0"):
        make(2, scales=torch.tensor([1.0, scale]))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("keypoints", (4, 3), "keypoints of shape (N, 2), got (4, 3)"),
        ("keypoints", (8,), "keypoints of shape (N, 2), got (8,)"),
        ("keypoints", (), "keypoints of shape (N, 2), got ()"),
        ("keypoints", (4, 2, 1), "keypoints of shape (N, 2), got (4, 2, 1)"),
        ("descriptors", (3, 8), "descriptors of shape (N, D) with N = 4 keypoints, got (3, 8)"),
        ("descriptors", (4,), "descriptors of shape (N, D) with N = 4 keypoints, got (4,)"),
        ("descriptors", (4, 2, 4), "descriptors of shape (N, D) with N = 4 keypoints, got (4, 2"),
        ("scales", (5,), "scales of shape (N,) with N = 4 keypoints, got (5,)"),
        ("scales", (4, 1), "scales of shape (N,) with N = 4 keypoints, got (4, 1)"),
        ("orientations", (), "orientations of shape (N,) with N = 4 keypoints, got ()"),
        ("scores", (0,), "scores of shape (N,) with N = 4 keypoints, got (0,)"),
    ],
)
def test_wrong_shape_is_named(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"Expected {message}")):
        make(**{name: torch.ones(shape)})


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("keypoints", torch.float64),
        ("keypoints", torch.int64),
        ("descriptors", torch.float16),
        ("descriptors", torch.int32),
        ("descriptors", torch.bool),
        ("scales", torch.uint8),
        ("orientations", torch.float64),
        ("scores", torch.complex64),
    ],
)
def test_wrong_dtype_is_named(name: str, dtype: torch.dtype) -> None:
    value: Tensor = getattr(make(), name)
    with pytest.raises(InputError, match=rf"Expected {name} of dtype torch\.float32.*got {dtype}"):
        make(**{name: value.to(dtype)})


@pytest.mark.parametrize("name", ROWS)
def test_arrays_are_not_taken_for_tensors(name: str) -> None:
    array = getattr(make(), name).numpy()
    with pytest.raises(InputError, match=f"Expected {name} .*got ndarray.*from_numpy"):
        make(**{name: array})


@pytest.mark.parametrize("name", ["keypoints", "descriptors"])
def test_required_fields_may_not_be_none(name: str) -> None:
    with pytest.raises(InputError, match=f"Expected {name} as a torch tensor, got NoneType"):
        make(**{name: None})


@pytest.mark.parametrize("name", ROWS[1:])
def test_field_on_another_device_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"Expected {name} on cpu like the keypoints, got meta"):
        make(**{name: getattr(make(), name).to("meta")})


@pytest.mark.parametrize(
    "size",
    [None, 48, "48", "ab", (), (48,), (48, 64, 3), (None, 64), ("48", "64"), (48.0, 64), {}],
)
def test_image_size_of_another_kind_is_refused(size: Any) -> None:
    message = f"Expected image_size (H, W) in whole pixels, got {size!r}."
    with pytest.raises(InputError, match=re.escape(message)):
        make(0, image_size=size)


@pytest.mark.parametrize("size", [(0, 64), (48, 0), (-48, 64), (-1, -1)])
def test_image_size_below_one_pixel_is_refused(size: tuple[int, int]) -> None:
    message = f"of at least 1 pixel each, got {size!r}"
    with pytest.raises(InputError, match=re.escape(message)):
        make(0, image_size=size)


@pytest.mark.parametrize(
    "size", [[48, 64], torch.Size([48, 64]), np.array([48, 64]), torch.tensor([48, 64])]
)
def test_image_size_becomes_a_tuple_of_int(size: Any) -> None:
    height, width = make(image_size=size).image_size
    assert (type(height), type(width)) == (int, int)
    assert (height, width) == (48, 64)


def test_errors_are_value_errors_of_one_family() -> None:
    with pytest.raises(InputError) as caught:
        make(image_size=None)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, InvertDescError)


def test_features_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        make().descriptor = "orb"


def test_features_take_no_positional_arguments() -> None:
    with pytest.raises(TypeError, match="positional"):
        LocalFeatures(torch.zeros(0, 2), torch.zeros(0, 8), (4, 4), "sift")


def test_repr_of_a_batch_is_short() -> None:
    batch = FeatureBatch.collate([make(), make()])
    assert repr(batch) == "FeatureBatch(2 images of 64 x 48, 8 x 'sift' of 8 float32)"


def test_repr_tells_counts_and_what_is_missing() -> None:
    assert repr(make()) == "LocalFeatures(4 x 'sift' of 8 float32, image 64 x 48)"
    packed = torch.zeros(4, 32, dtype=torch.uint8)
    assert repr(make(descriptors=packed, scales=None, scores=None)) == (
        "LocalFeatures(4 x 'sift' of 32 uint8, image 64 x 48, without scales, scores)"
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, 2), [0, 2]),
        ([3, 0, 0], [3, 0, 0]),
        (torch.tensor([2, 1]), [2, 1]),
        (torch.tensor([True, False, False, True]), [0, 3]),
        ([], []),
    ],
)
def test_indexing_picks_rows_of_every_field(rows: Any, expected: list[int]) -> None:
    features = make()
    picked = features[rows]
    for name in ROWS:
        assert torch.equal(getattr(picked, name), getattr(features, name)[expected]), name
    assert picked.image_size == features.image_size
    assert picked.provenance == features.provenance


def test_indexing_leaves_missing_fields_missing() -> None:
    picked = make(scales=None)[1:]
    assert picked.scales is None
    assert picked.scores is not None


def test_indexing_with_one_number_is_refused() -> None:
    with pytest.raises(InputError, match=r"Expected a slice, mask or index list, got 2\. Use \[2:"):
        make()[2]


def test_a_mask_keeps_what_it_marks() -> None:
    mask = torch.tensor([False, True, False, True])
    assert make()[mask].scales.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("mask", [torch.tensor([True, False]), torch.ones(4, 1, dtype=torch.bool)])
def test_masks_of_another_shape_are_refused(mask: Tensor) -> None:
    message = f"a mask of shape (4,) or indices below 4, got shape {tuple(mask.shape)}."
    with pytest.raises(InputError, match=re.escape(message)):
        make()[mask]


def test_box_holds_whole_pixels_but_not_its_upper_ones() -> None:
    features = make(3)  # at (0, 0), (5, 3) and (10, 6)
    assert features.inside((0, 0, 10, 6)).keypoints.tolist() == [[0, 0], [5, 3]]
    assert features.inside((0, 0, 10, 7)).keypoints.tolist() == [[0, 0], [5, 3]]
    assert features.inside((0, 0, 11, 6)).keypoints.tolist() == [[0, 0], [5, 3]]
    assert features.inside((0, 0, 11, 7)).keypoints.tolist() == [[0, 0], [5, 3], [10, 6]]
    assert features.inside((5, 3, 5, 3)).keypoints.tolist() == []


def test_box_of_pixels_reaches_half_a_pixel_beyond_their_centres() -> None:
    points = torch.tensor([[4.4, 9.0], [4.5, 9.0], [9.4, 9.0], [9.5, 9.0], [7.0, 7.4], [7.0, 7.5]])
    features = replace(make(6), keypoints=points)
    box = (5, 8, 10, 12)
    assert features.inside(box).keypoints.tolist() == points[[1, 2, 5]].tolist()
    assert features.outside(box).keypoints.tolist() == points[[0, 3, 4]].tolist()
    corner = torch.tensor([5.0, 8.0])
    assert torch.equal(features.crop(box).keypoints, points[[1, 2, 5]] - corner)


@pytest.mark.parametrize("box", [(0, 0, 6, 40), (4, 2, 60, 10), (-9, -9, 99, 99), (7, 7, 7, 7)])
def test_inside_and_outside_are_a_partition(box: tuple[float, float, float, float]) -> None:
    features = make(9)
    inside, outside = features.inside(box), features.outside(box)
    x, y = features.keypoints.unbind(1)
    held = ((box[0] <= x) & (x < box[2]) & (box[1] <= y) & (y < box[3])).tolist()
    assert inside.keypoints.tolist() == features.keypoints[held].tolist()
    assert sorted(inside.keypoints.tolist() + outside.keypoints.tolist()) == sorted(
        features.keypoints.tolist()
    )


@pytest.mark.parametrize("box", [(5, 0, 4, 9), (0, 5, 9, 4), (float("nan"), 0, 1, 1)])
def test_box_the_wrong_way_round_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match=r"Expected a box .* with x0 <= x1 and y0 <= y1"):
        make().inside(box)


def test_without_drops_the_named_fields_only() -> None:
    less = make().without("scales", "scores")
    assert less.scales is None
    assert less.scores is None
    assert_same(less, replace(make(), scales=None, scores=None))


@pytest.mark.parametrize("name", ["keypoints", "scale", ""])
def test_without_refuses_other_fields(name: str) -> None:
    message = f"names among scales, orientations, scores, colors; got {name!r}"
    with pytest.raises(InputError, match=message):
        make().without("scales", name)


def test_assume_fills_missing_fields_and_leaves_known_ones() -> None:
    filled = make(scales=None).assume(scales=2.5, orientations=1.0)
    assert filled.scales is not None
    assert filled.scales.tolist() == [2.5] * 4
    assert filled.scales.dtype == torch.float32
    assert torch.equal(filled.orientations, make().orientations)


def test_assume_zero_is_a_guess_too() -> None:
    filled = make(orientations=None).assume(orientations=0.0)
    assert filled.orientations is not None
    assert filled.orientations.tolist() == [0.0] * 4


def test_assume_is_checked() -> None:
    with pytest.raises(InputError, match="Expected scales above 0"):
        make(scales=None).assume(scales=0.0)


def test_to_keeps_everything() -> None:
    features = make(scores=None)
    moved = features.to("cpu")
    assert moved.device == torch.device("cpu")
    assert_same(moved, features)


def ragged() -> list[LocalFeatures]:
    return [make(3), make(0), make(5), make(1), make(0)]


def test_collate_packs_without_padding() -> None:
    batch = FeatureBatch.collate(ragged())
    assert len(batch) == 5
    assert batch.offsets.tolist() == [0, 3, 3, 8, 9, 9]
    assert batch.offsets.dtype == torch.int64
    assert batch.images.tolist() == [0, 0, 0, 2, 2, 2, 2, 2, 3]
    assert batch.keypoints.shape == (9, 2)
    assert batch.descriptors.shape == (9, 8)


@pytest.mark.parametrize("missing", [(), ("scales",), ("scales", "orientations", "scores")])
def test_batch_gives_back_what_was_collated(missing: tuple[str, ...]) -> None:
    features = [one.without(*missing) for one in ragged()]
    batch = FeatureBatch.collate(features)
    for one, back in zip(features, batch, strict=True):
        assert_same(one, back)
    assert_same(features[2], batch[-3])


def test_batch_of_empty_images_only() -> None:
    batch = FeatureBatch.collate([make(0), make(0)])
    assert batch.offsets.tolist() == [0, 0, 0]
    assert batch.images.tolist() == []
    assert len(batch[1]) == 0


@pytest.mark.parametrize("image", [5, -6])
def test_batch_index_out_of_range(image: int) -> None:
    batch = FeatureBatch.collate(ragged())
    with pytest.raises(IndexError, match=f"Expected an image among 5, got index {image}"):
        batch[image]


@pytest.mark.parametrize(
    ("change", "trait"),
    [
        (
            {"image_size": (48, 65)},
            r"image_size to batch, got \(48, 64\) for the first and \(48, 65",
        ),
        ({"descriptor": "orb"}, "descriptor to batch, got sift for the first and orb"),
        ({"descriptors": torch.zeros(4, 9)}, "vector"),
        ({"descriptors": torch.zeros(4, 8, dtype=torch.uint8)}, "vector"),
        ({"scales": None}, "scales to batch, got True for the first and False"),
        ({"orientations": None}, "orientations"),
        ({"scores": None}, "scores"),
    ],
)
def test_collate_names_what_differs(change: dict[str, Any], trait: str) -> None:
    with pytest.raises(InputError, match=f"Expected features alike in {trait}.* for number 2"):
        FeatureBatch.collate([make(), make(), make(**change)])


def test_collate_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one LocalFeatures to collate, got none"):
        FeatureBatch.collate([])


def test_batch_to_moves_every_tensor() -> None:
    moved = FeatureBatch.collate(ragged()).to("meta")
    assert moved.device == torch.device("meta")
    for name in (*ROWS, "offsets"):
        assert getattr(moved, name).device == torch.device("meta"), name
    assert moved.provenances == FeatureBatch.collate(ragged()).provenances


def test_require_is_silent_about_what_is_there() -> None:
    FeatureBatch.collate([make(scores=None)]).require(("scales", "orientations"), needed_by="x")


def test_require_names_the_missing_and_who_needs_them() -> None:
    batch = FeatureBatch.collate([make().without("scales", "orientations")])
    expected = (
        "Expected features with scales and orientations, which 'poisson' needs; got some without. "
        "Guess with features.assume(scales=..., orientations=...) or choose another method."
    )
    with pytest.raises(MissingFieldError) as caught:
        batch.require(("scales", "orientations", "scores"), needed_by="'poisson'")
    assert str(caught.value) == expected
    assert isinstance(caught.value, InputError)


def test_batch_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        FeatureBatch.collate([make()]).descriptor = "orb"


def test_gray_is_luma_where_nobody_told() -> None:
    assert Provenance().gray_mode == "luma"
    assert Provenance(gray="gamma").gray_mode == "gamma"


@pytest.mark.parametrize(
    "rows",
    [torch.ones(3, dtype=torch.bool), [9], torch.tensor([-9]), "ab", 1.5, (1, 2), (slice(None), 0)],
    ids=str,
)
def test_rows_that_there_are_not_are_named(rows: Any) -> None:
    with pytest.raises(InputError, match=r"^Expected a slice, a mask of shape \(4,\) or indices"):
        make()[rows]


@pytest.mark.parametrize("box", [(90, 60, 70), (9, 9, 0, 0), None, 5, (0, 0, "a", 3)])
@pytest.mark.parametrize("cut", ["inside", "outside", "crop"])
def test_boxes_that_are_none_are_named(cut: str, box: Any) -> None:
    with pytest.raises(InputError, match=r"^Expected a box \(x0, y0, x1, y1\) "):
        getattr(make(), cut)(box)


def test_a_misspelt_field_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"got 'orientation'\. Did you mean 'orientations'\?$"):
        make().without("orientation")


def test_features_are_of_one_image_and_no_list() -> None:
    with pytest.raises(InputError, match="got those of one image"):
        list(make())


def test_tensors_without_values_are_refused() -> None:
    with pytest.raises(InputError, match="on 'meta', which have none"):
        make().to("meta")


@pytest.mark.parametrize("name", [None, 5, b"sift"])
def test_the_name_of_a_descriptor_is_a_text(name: Any) -> None:
    with pytest.raises(InputError, match="Expected the name of a descriptor, got "):
        make(descriptor=name)


def test_a_batch_splits_into_what_it_was_packed_from() -> None:
    features = [make(count) for count in (3, 0, 2)]
    batch = FeatureBatch.collate(features)
    parts = batch.split()
    assert batch.rows == [slice(0, 3), slice(3, 3), slice(3, 5)]
    assert [part.offsets.tolist() for part in parts] == [[0, 3], [0, 0], [0, 2]]
    for part, one in zip(parts, features, strict=True):
        alone = FeatureBatch.collate([one])
        assert (part.image_size, part.descriptor) == (alone.image_size, alone.descriptor)
        assert part.provenances == alone.provenances
        for name in ("keypoints", "descriptors", "scales", "orientations", "scores"):
            ours, theirs = getattr(part, name), getattr(alone, name)
            assert (ours is None) == (theirs is None)
            assert ours is None or torch.equal(ours, theirs)
    assert parts[0].keypoints.data_ptr() == batch.keypoints.data_ptr()
