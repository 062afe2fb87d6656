import math

import pytest
import torch

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor
from invertdesc.errors import InputError, MissingFieldError
from invertdesc.ops import place_keypoints
from invertdesc.rasterizers.cells import GEOMETRY, CellRasterizer


def made(points: list, size: tuple[int, int] = (8, 12), **fields) -> LocalFeatures:
    """Keypoint i has the vector 2 e_i, which encode scales to e_i."""
    return LocalFeatures(
        keypoints=torch.tensor(points, dtype=torch.float32).view(-1, 2),
        descriptors=2 * torch.eye(128)[: len(points)],
        image_size=size,
        descriptor="sift",
        **{name: torch.tensor(value) for name, value in fields.items()},
    )


def random_batch() -> FeatureBatch:
    draw = torch.Generator().manual_seed(0)
    images = []
    for count in (80, 0, 25):
        images.append(
            LocalFeatures(
                keypoints=torch.rand(count, 2, generator=draw) * torch.tensor([44.0, 29.0]),
                descriptors=torch.rand(count, 128, generator=draw),
                image_size=(30, 45),
                descriptor="sift",
                scales=torch.rand(count, generator=draw) + 0.5,
                orientations=torch.rand(count, generator=draw) * 6,
                scores=torch.rand(count, generator=draw),
            )
        )
    return FeatureBatch.collate(images)


def test_each_vector_is_in_its_cell():
    features = made([[0, 0], [9, 5], [10, 6]])  # the third moves above
    maps = CellRasterizer(4)(FeatureBatch.collate([features, made([[5, 5]])]))
    assert maps.owners.tolist() == [[[0, -1, 2], [-1, -1, 1]], [[-1, -1, -1], [-1, 3, -1]]]
    assert (maps.moved.tolist(), maps.dropped.tolist()) == ([1, 0], [0, 0])
    expected = torch.zeros(2, 128, 2, 3)
    expected[0, 0, 0, 0] = expected[0, 1, 1, 2] = expected[0, 2, 0, 2] = 1
    expected[1, 0, 1, 1] = 1
    assert torch.equal(maps.values, expected)


def test_scores_decide_who_stays():
    batch = FeatureBatch.collate([made([[1, 1], [2, 2]], (4, 8), scores=[0.5, 0.75])])
    assert CellRasterizer(4)(batch).owners.tolist() == [[[1, 0]]]


def test_the_radius_decides_who_is_dropped():
    batch = FeatureBatch.collate([made([[1, 1]] * 4, (4, 16))])
    found = [CellRasterizer(4, radius=radius)(batch) for radius in (0, 1, 2, 3)]
    assert [int(maps.dropped) for maps in found] == [3, 2, 1, 0]
    assert [int(maps.moved) for maps in found] == [0, 1, 2, 3]
    assert found[3].owners.tolist() == [[[0, 1, 2, 3]]]


@pytest.mark.parametrize("geometry", [False, True])
@pytest.mark.parametrize(("cell_size", "radius"), [(1, 0), (4, 1), (7, 2), (50, 1)])
def test_values_are_the_owners_vectors(cell_size, radius, geometry):
    batch = random_batch()
    maps = CellRasterizer(cell_size, radius=radius, geometry=geometry)(batch)
    placed = place_keypoints(
        batch.keypoints,
        batch.offsets,
        batch.image_size,
        cell_size=cell_size,
        radius=radius,
        scores=batch.scores,
    )
    assert all(torch.equal(a, b) for a, b in zip(maps[1:], placed, strict=True))
    vectors = create_descriptor("sift").encode(batch.descriptors)
    taken = maps.owners >= 0
    rows = maps.values.permute(0, 2, 3, 1)
    assert torch.equal(rows[taken][:, :128], vectors[maps.owners[taken].long()])
    assert not rows[~taken].any()
    assert rows.shape[-1] == 128 + geometry * len(GEOMETRY)


def test_geometry_by_hand():
    """The middle of cell (row 1, column 2) is the pixel corner (9.5, 5.5)."""
    features = made([[9, 6.5]], scales=[math.e], orientations=[math.pi / 6], scores=[1.0])
    maps = CellRasterizer(4, geometry=True)(FeatureBatch.collate([features]))
    found = maps.values[0, 128:, 1, 2].tolist()
    assert found == pytest.approx([-0.125, 0.25, 0.5, math.sqrt(0.75), 1.0])


def test_geometry_of_a_moved_keypoint_counts_from_the_cell_it_owns():
    features = made([[9, 5], [9, 5]], scales=[1.0, 2.0], orientations=[0.0, math.pi])
    maps = CellRasterizer(4, geometry=True)(FeatureBatch.collate([features]))
    assert maps.owners[0, 0, 2] == 1  # middle (9.5, 1.5)
    found = maps.values[0, 128:, 0, 2].tolist()
    assert found == pytest.approx([-0.125, 0.875, 0.0, -1.0, math.log(2)], abs=1e-6)


def test_geometry_in_the_second_image_of_a_batch():
    one = made([[9, 6.5]], scales=[1.0], orientations=[0.0])
    maps = CellRasterizer(4, geometry=True)(FeatureBatch.collate([one, one]))
    assert torch.equal(maps.values[0], maps.values[1])


@pytest.mark.parametrize("missing", ["scales", "orientations"])
def test_geometry_needs_scales_and_orientations(missing):
    batch = FeatureBatch.collate(
        [made([[1, 1]], scales=[1.0], orientations=[0.0]).without(missing)]
    )
    with pytest.raises(MissingFieldError, match=f"{missing}.*CellRasterizer"):
        CellRasterizer(4, geometry=True)(batch)
    assert CellRasterizer(4)(batch).values.sum() == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_maps_come_in_the_dtype_asked_for(dtype):
    batch = random_batch()
    found = CellRasterizer(4, geometry=True, dtype=dtype)(batch).values
    assert found.dtype == dtype
    expected = CellRasterizer(4, geometry=True)(batch).values.to(dtype)
    assert torch.equal(found, expected)


def test_a_cell_is_one_run_in_memory():
    values = CellRasterizer(4)(random_batch()).values
    assert values.shape == (3, 128, 8, 12)
    assert values.is_contiguous(memory_format=torch.channels_last)
    assert values.stride(1) == 1


def test_empty_cells_are_zeros_whatever_was_in_memory():
    batch = random_batch()
    found = CellRasterizer(4, geometry=True)(batch)
    torch.use_deterministic_algorithms(True)  # fills what torch.empty returns with NaN
    try:
        assert torch.empty(1).isnan()
        again = CellRasterizer(4, geometry=True)(batch)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(again, found, strict=True))
    assert not again.values.permute(0, 2, 3, 1)[again.owners < 0].any()


def test_no_keypoints_give_empty_maps():
    maps = CellRasterizer(4)(FeatureBatch.collate([made([]), made([])]))
    assert torch.equal(maps.values, torch.zeros(2, 128, 2, 3))
    assert (maps.owners == -1).all()
    assert (maps.moved.tolist(), maps.dropped.tolist()) == ([0, 0], [0, 0])


def test_gradients_flow_to_the_vectors():
    batch = FeatureBatch.collate([made([[1, 1], [1, 1], [1, 1]], (4, 8))])
    batch.descriptors.requires_grad_()
    CellRasterizer(4)(batch).values[..., 1].square().sum().backward()
    CellRasterizer(4)(batch).values.sum().backward()
    moved = batch.descriptors.grad.abs().sum(1)
    assert (moved[:2] > 0).all()
    assert moved[2] == 0  # dropped


@pytest.mark.parametrize(
    "options",
    [{"cell_size": 0}, {"cell_size": 4, "radius": -1}, {"cell_size": 4, "dtype": torch.int}],
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(InputError, match="cell_size >= 1, radius >= 0 and a float dtype"):
        CellRasterizer(**options)
