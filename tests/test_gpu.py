"""What must be the same on a CUDA device; `pytest -m gpu` runs it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from skimage.data import astronaut as astronaut_picture

from invertdesc import (
    CellRasterizer,
    FeatureBatch,
    FieldRasterizer,
    LocalFeatures,
    create_descriptor,
    create_method,
    list_descriptors,
    list_methods,
    reconstruct,
)
from invertdesc.errors import InvertDescError
from invertdesc.image import to_image, write_image
from invertdesc.methods import methods
from invertdesc.methods.database import Collector
from invertdesc.ops import fill_cells, paint_pieces, place_at_sizes
from invertdesc.training.adjust import adjusted_recipe
from invertdesc.training.data import FeatureData
from invertdesc.training.loop import make_method, train
from invertdesc.training.sampling import Sampler

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
    torch.testing.assert_close(here.values, there.values.cpu(), atol=1e-5, rtol=1e-5)  # sines


def test_kernels_place_a_thousand_cases_as_the_cpu_does(crowded_case) -> None:
    for seed in range(1_000):
        points, offsets, scores, size, cells, radius = crowded_case(seed)
        options = {"cell_sizes": cells, "radius": radius}
        here = place_at_sizes(points, offsets, size, scores=scores, **options)
        scores = None if scores is None else scores.cuda()
        there = place_at_sizes(points.cuda(), offsets.cuda(), size, scores=scores, **options)
        for one, other in zip(here, there, strict=True):
            assert all(torch.equal(a, b.cpu()) for a, b in zip(one, other, strict=True)), seed


def test_the_smallest_scores_are_told_apart_and_the_zeros_tie() -> None:
    scores = torch.tensor([-1e-45, -0.0, 0.0, 1e-45, 3e38, -3e38, float("-inf"), 1e-38])
    points, offsets = torch.full((len(scores), 2), 5.0), torch.tensor([0, len(scores)])
    given = (part.cuda() for part in (points, offsets))
    (placed,) = place_at_sizes(*given, (12, 12), cell_sizes=(4,), scores=scores.cuda())
    assert placed.owners[0].tolist() == [[0, 7, 5], [3, 4, 1], [6, 2, -1]]


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
    assert torch.equal(there.cpu(), here)


def test_a_map_of_more_than_2_to_the_31_values_is_filled_to_its_end() -> None:
    rows = torch.randn(3, 128).cuda().bfloat16()
    owners = torch.full((258, 256, 256), -1, dtype=torch.int32, device="cuda")
    owners[0, 0, 0], owners[130, 7, 9], owners[-1, -1, -1] = 0, 1, 2
    made = fill_cells(rows, owners, cell_size=1, dtype=torch.bfloat16)
    assert made.numel() > 2**31
    assert torch.equal(made[0, :, 0, 0], rows[0])
    assert torch.equal(made[130, :, 7, 9], rows[1])
    assert torch.equal(made[-1, :, -1, -1], rows[2])
    assert int((made != 0).sum()) == int((rows != 0).sum())


def test_gradients_are_those_of_the_cpu() -> None:
    owners = torch.tensor([[[1, -1, 0]], [[-1, 2, -1]]], dtype=torch.int32)
    found = []
    for device in ("cpu", "cuda"):
        draw = torch.Generator().manual_seed(0)
        rows, geometry = (
            torch.randn(4, n, dtype=torch.float64, generator=draw).to(device).requires_grad_()
            for n in (3, 5)
        )
        given = owners.to(device)
        made = fill_cells(rows, given, cell_size=3, geometry=geometry, dtype=torch.float64)
        found.append([made, *torch.autograd.grad((made**3).sum(), (rows, geometry))])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(there.cpu(), here)


def test_nothing_waits_for_the_device(batch: FeatureBatch) -> None:
    given = batch.to("cuda")
    rows = torch.randn(len(given.keypoints), 16, device="cuda", requires_grad=True)
    pieces = torch.randn(len(rows), 3, 4, 4, device="cuda")
    sides, turns = torch.rand(2, len(rows), device="cuda") * 20 + 1

    def run() -> None:
        (placed,) = place_at_sizes(given.keypoints, given.offsets, (256, 256), cell_sizes=(4,))
        fill_cells(rows, placed.owners, cell_size=4).sum().backward()
        paint_pieces(pieces, given.keypoints, sides, turns, given.offsets, (64, 64))

    run()  # compiles, and copies its tables
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_work_is_done_where_the_tensors_are(batch: FeatureBatch) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("there is one device")
    maps = CellRasterizer(4)(batch.to("cuda:1"))
    assert maps.values.device == torch.device("cuda:1")
    assert torch.equal(maps.values.cpu(), CellRasterizer(4)(batch).values)


@pytest.mark.parametrize("seed", range(20))
def test_painting_is_the_same_on_every_run_and_nearly_the_cpus(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    total, grid = 400, (1, 3, 8, 4)[seed % 4]
    given = [
        torch.randn(total, 3, grid, grid, generator=draw),
        torch.rand(total, 2, generator=draw) * 140 - 10,
        torch.rand(total, generator=draw) ** 3 * 80 + 0.5,
        torch.randn(total, generator=draw) * 2,
        torch.tensor([0, 150, 150, total]),
    ]
    here = paint_pieces(*given, (110, 120))
    there, again = (paint_pieces(*(one.cuda() for one in given), (110, 120)) for _ in range(2))
    assert torch.equal(there, again)
    assert float((here != there.cpu()).float().mean()) < 1e-5


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_fields_agree_and_repeat_to_the_bit(batch: FeatureBatch, stride: int) -> None:
    rasterizer = FieldRasterizer(stride=stride)
    here, there, again = (
        torch.cat(rasterizer(one), 1) for one in (batch, batch.to("cuda"), batch.to("cuda"))
    )
    assert torch.equal(there, again)
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
def test_pictures_agree(
    name: str, astronaut_features: LocalFeatures, database: Callable[[str], Path]
) -> None:
    # Small pictures, since some methods take seconds for each on the CPU.
    parts = [astronaut_features.crop((x, 0, x + 112, 112)) for x in (40, 120)]
    batch = FeatureBatch.collate([*parts, parts[0][:0]])
    collected = isinstance(methods.get(name), Collector)
    try:
        method = create_method(name, **({"database": database(name)} if collected else {}))
        here = method(batch)
    except InvertDescError as error:  # it needs a file, or another descriptor
        pytest.skip(str(error))
    there = method.to("cuda")(batch.to("cuda"))
    assert there.device.type == "cuda"
    assert float((here - there.cpu()).abs().mean()) < 1e-3


def test_reconstruct_takes_a_device(astronaut: torch.Tensor) -> None:
    assert reconstruct(astronaut, device="cuda").device.type == "cuda"


@pytest.mark.parametrize("method", ["unfold", "coarse"])
def test_training_gathers_its_batches_on_the_device(method: str, tmp_path: Path) -> None:
    for number in range(10):
        part = astronaut_picture()[:64, 8 * number : 8 * number + 64]
        write_image(to_image(part), tmp_path / f"{number}.png")
    config = adjusted_recipe(
        method, width=4, losses="l2", changes={"crop": 64, "steps": 3, "batch": 4, "drop": 0.5}
    )
    paths, cache = sorted(tmp_path.glob("*.png")), tmp_path / "cache"
    made, _ = make_method(config, None)
    data = FeatureData(paths, ["sift"], crop=64, cache=cache, mirrored=True, workers=0)
    batches = []
    for device in ("cpu", "cuda"):
        data.move(torch.device(device))
        sampler = Sampler(config, data, made, torch.device(device))
        batches.append(sampler.batch())
        assert batches[-1][1].device.type == data.device.type == device
    (inputs, truth), (moved, other) = batches
    torch.testing.assert_close(other.cpu(), truth)
    for here, there in zip(inputs, moved, strict=True):
        assert float((here - there.cpu()).abs().mean()) < 1e-3
    weights = train(
        paths, tmp_path / "run", config, device="cuda", cache=cache, workers=0, held_out=2
    )
    assert create_method(method, descriptor="sift", weights=weights) is not None
