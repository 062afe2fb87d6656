"""What must be the same on a CUDA device; `pytest -m gpu` runs it."""

import pytest
import torch

from invertdesc import (
    CellRasterizer,
    FeatureBatch,
    FieldRasterizer,
    create_descriptor,
    create_method,
    list_descriptors,
    list_methods,
    reconstruct,
)
from invertdesc.errors import InvertDescError
from invertdesc.ops import fill_cells, place_at_sizes

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def batch(astronaut_features) -> FeatureBatch:
    halves = [astronaut_features.inside((0, 0, 128, 256)), astronaut_features]
    return FeatureBatch.collate([*halves, astronaut_features[:0]])


@pytest.mark.parametrize("cell_size", [1, 2, 4, 7])
def test_cells_are_the_same_to_the_bit(batch: FeatureBatch, cell_size: int) -> None:
    rasterizer = CellRasterizer(cell_size, radius=2, geometry=True)
    here, there = rasterizer(batch), rasterizer(batch.to("cuda"))
    for name in ("owners", "moved", "dropped"):
        assert torch.equal(getattr(here, name), getattr(there, name).cpu())
    torch.testing.assert_close(here.values, there.values.cpu(), atol=1e-5, rtol=1e-5)


def test_kernels_place_ten_thousand_cases_as_the_cpu_does(crowded_case) -> None:
    for seed in range(10_000):
        points, offsets, scores, size, cells, radius = crowded_case(seed)
        options = {"cell_sizes": cells, "radius": radius}
        here = place_at_sizes(points, offsets, size, scores=scores, **options)
        scores = None if scores is None else scores.cuda()
        there = place_at_sizes(points.cuda(), offsets.cuda(), size, scores=scores, **options)
        for one, other in zip(here, there, strict=True):
            assert all(torch.equal(a, b.cpu()) for a, b in zip(one, other, strict=True)), seed


@pytest.mark.parametrize(("images", "each", "size"), [(256, 300, 256), (1, 1_000_000, 1024)])
def test_large_batches_place_as_on_the_cpu_and_repeat(images: int, each: int, size: int) -> None:
    draw = torch.Generator().manual_seed(0)
    points = torch.rand(images * each, 2, generator=draw) * size - 0.5
    scores = torch.rand(images * each, generator=draw)
    offsets = torch.arange(images + 1) * each
    given = (points, offsets, scores)
    here, *twice = (
        place_at_sizes(p, o, (size, size), cell_sizes=(2, 4), radius=1, scores=s)
        for p, o, s in (given, *([[part.cuda() for part in given]] * 2))
    )
    for there in twice:
        for one, other in zip(here, there, strict=True):
            assert all(torch.equal(a, b.cpu()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("packed", [False, True])
def test_kernels_fill_as_the_cpu_does(crowded_case, dtype: torch.dtype, packed: bool) -> None:
    points, offsets, scores, size, _, radius = crowded_case(11)
    (placed,) = place_at_sizes(points, offsets, size, cell_sizes=(3,), radius=radius, scores=scores)
    rows = torch.randn(len(points), 13)
    if packed:
        rows = torch.randint(0, 256, (len(points), 2), dtype=torch.uint8)
    geometry = torch.randn(len(points), 5)
    options = {"cell_size": 3, "bits": 13 if packed else None, "dtype": dtype}
    here = fill_cells(rows, placed.owners, geometry=geometry, **options)
    there = fill_cells(rows.cuda(), placed.owners.cuda(), geometry=geometry.cuda(), **options)
    assert there.stride() == here.stride()
    torch.testing.assert_close(there.cpu(), here, rtol=8e-3, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_fields_agree_and_repeat_to_the_bit(batch: FeatureBatch, stride: int) -> None:
    rasterizer = FieldRasterizer(stride=stride)
    here, there = rasterizer(batch), rasterizer(batch.to("cuda"))
    assert torch.equal(there, rasterizer(batch.to("cuda")))
    scale = here.abs().amax((0, 2, 3), keepdim=True)
    off = (here - there.cpu()).abs() / scale
    # A pixel whose centre lies on a cell's edge may fall to either side.
    assert float((off > 1e-3).float().mean()) < 1e-4


@pytest.mark.parametrize("name", list_descriptors())
def test_encoding_is_the_same(name: str, astronaut: torch.Tensor) -> None:
    adapter = create_descriptor(name)
    try:
        raw = adapter.extract(astronaut).descriptors
    except InvertDescError as error:
        pytest.skip(str(error))
    torch.testing.assert_close(adapter.encode(raw), adapter.encode(raw.to("cuda")).cpu())


@pytest.mark.parametrize("name", list_methods())
def test_pictures_agree(name: str, batch: FeatureBatch) -> None:
    method = create_method(name)
    here, there = method(batch), method(batch.to("cuda"))
    assert there.device.type == "cuda"
    assert float((here - there.cpu()).abs().mean()) < 1e-3


def test_reconstruct_takes_a_device(astronaut: torch.Tensor) -> None:
    assert reconstruct(astronaut, device="cuda").device.type == "cuda"
