"""Networks in tiles give the picture of one run, whatever the size."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from invertdesc import FeatureBatch, LocalFeatures, create_method
from invertdesc.methods.networks.coarse import Coarse, CoarseConfig
from invertdesc.methods.networks.prepared import prepare
from invertdesc.methods.networks.refiner import Refined, Refiner, RefinerConfig
from invertdesc.methods.networks.tiles import run_in_tiles, tiles_of
from invertdesc.methods.networks.upconv import Upconv, UpconvConfig

TILES = "invertdesc.methods.networks.tiles.PIXELS"


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def with_weights(network: nn.Module) -> nn.Module:
    """Give all weights and statistics values that let every layer have effect."""
    draw = torch.Generator().manual_seed(0)
    for name, values in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith("running_var"):
            values.fill_(0.7)
        elif values.is_floating_point():
            wide = values[0].numel() if values.ndim > 1 else 12
            nn.init.normal_(values, 0, (1.5 / wide) ** 0.5, generator=draw)
    return network.eval()


def some_features(size: tuple[int, int], count: int) -> LocalFeatures:
    draw = torch.Generator().manual_seed(0)
    return LocalFeatures(
        keypoints=torch.rand(count, 2, generator=draw) * torch.tensor([size[1] - 1, size[0] - 1]),
        descriptors=(torch.rand(count, 128, generator=draw) ** 3 * 255).round(),
        image_size=size,
        scales=2 + 2 * torch.rand(count, generator=draw),
        orientations=torch.rand(count, generator=draw) * 6,
        descriptor="sift",
    )


@pytest.mark.parametrize("size", [(1, 1), (3, 90), (90, 3), (40, 41), (64, 200)])
@pytest.mark.parametrize(("reach", "step"), [(0, 1), (1, 1), (8, 4)])
def test_tiles_cover_each_sample_from_where_it_is_right(
    size: tuple[int, int], reach: int, step: int
) -> None:
    height, width = size
    covered = torch.zeros(size, dtype=torch.bool)
    for rows, columns, top, left in tiles_of(size, reach, step, 900):
        assert (rows.stop - rows.start) * (columns.stop - columns.start) <= 900
        assert rows.start % step == columns.start % step == 0
        assert top == 0 or top - rows.start >= reach
        assert left == 0 or left - columns.start >= reach
        covered[top : rows.stop, left : columns.stop] = True
        # What a later tile does not overwrite is far enough from the end of this one.
        wrong = rows.stop - reach if rows.stop < height else height
        covered[max(top, wrong) : rows.stop, left : columns.stop] = False
        wrong = columns.stop - reach if columns.stop < width else width
        covered[top : rows.stop, max(left, wrong) : columns.stop] = False
    assert covered.all()


def test_a_tile_that_is_too_small_is_made_larger() -> None:
    blur = nn.AvgPool2d(5, 1, 2, count_include_pad=False)
    picture = torch.rand(1, 2, 11, 30)
    made = run_in_tiles(
        lambda rows, columns: blur(picture[..., rows, columns]), (11, 30), reach=2, most=1
    )
    torch.testing.assert_close(made, blur(picture), rtol=0, atol=0)


def padded_maps(network: Coarse | Upconv, size: tuple[int, int]) -> list[Tensor]:
    config = network.config
    cells = config.cells if isinstance(network, Coarse) else (config.cell,)
    draw = torch.Generator().manual_seed(1)
    return [
        torch.randn(1, config.inputs, *(-(-side // cell) for side in size), generator=draw)
        for cell in cells
    ]


@pytest.mark.parametrize("size", [(400, 330), (130, 700)])
@pytest.mark.parametrize(
    "network",
    [
        Coarse(CoarseConfig(inputs=5, width=3)),
        Coarse(CoarseConfig(inputs=5, width=3, cells=(1, 8, 16, 32))),
        Upconv(UpconvConfig(inputs=6, width=3)),
        Upconv(UpconvConfig(inputs=6, width=3, norm=False)),
    ],
    ids=["coarse", "many cells", "upconv", "upconv without norm"],
)
@pytest.mark.parametrize("folded", [False, True])
def test_cell_networks_in_tiles_are_those_of_one_run(
    network: Coarse | Upconv, size: tuple[int, int], folded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = with_weights(network)  # type: ignore[assignment]
    maps = padded_maps(network, size)
    ready = prepare(network) if folded else network
    whole = ready(*maps)
    assert whole.std() > 0.01
    monkeypatch.setattr(TILES, 128 * 128)
    sizes = []

    def reading(one: Tensor):
        def read(rows: slice, columns: slice) -> Tensor:
            sizes.append(one[..., rows, columns].shape[-2:])
            return one[..., rows, columns]

        return read

    made = ready.in_tiles([reading(one) for one in maps], size)
    assert len(sizes) > 8 * len(maps)
    assert max(map(math.prod, sizes)) <= 128 * 128
    torch.testing.assert_close(made, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(300, 333), (121, 500)])
def test_refiner_in_tiles_is_that_of_one_run(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = with_weights(Refiner(RefinerConfig(width=3, blocks=2)))
    picture = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2))
    whole = network(picture)
    runs = []
    run = network._run
    monkeypatch.setattr("invertdesc.methods.networks.refiner.PIXELS", 120 * 120)
    monkeypatch.setattr(network, "_run", lambda tile: runs.append(tile.shape) or run(tile))
    made = network(picture)
    assert (whole - picture).abs().mean() > 0.05
    assert len(runs) > 2
    assert max(map(math.prod, (shape[2:] for shape in runs))) <= 120 * 120
    torch.testing.assert_close(made, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_refiner_reaches_no_further_than_it_says(blocks: int) -> None:
    network = with_weights(Refiner(RefinerConfig(width=3, blocks=blocks)))
    side = 2 * network.reach + 24
    picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(3)) * 0.2 + 0.4
    changed = picture.clone()
    changed[..., side // 2, side // 2] += 0.1
    far = (network(picture) - network(changed)).abs().sum((0, 1)).nonzero() - side // 2
    assert 0 < far.abs().max() <= network.reach


@pytest.mark.parametrize("method", ["coarse", "upconv", "coarse+cgan", "unfold+cgan"])
def test_a_large_picture_has_no_seams(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create_method(method, descriptor="sift")
    batch = FeatureBatch.collate([some_features((300, 410), 700)])
    whole = made(batch)
    for place in ("tiles", "refiner"):
        monkeypatch.setattr(f"invertdesc.methods.networks.{place}.PIXELS", 200 * 200)
    monkeypatch.setattr("invertdesc.methods.cell_method.PIXELS", 200 * 200)
    numbers = []

    def counted(*args):
        found = list(tiles_of(*args))
        numbers.append(len(found))
        return found

    monkeypatch.setattr(f"{TILES.removesuffix('.PIXELS')}.tiles_of", counted)
    in_tiles = made(batch)
    assert in_tiles.shape == (1, 3, 300, 410)
    assert max(numbers) > 1
    torch.testing.assert_close(in_tiles, whole, rtol=0, atol=0.1 / 255)


def test_small_pictures_of_a_large_batch_are_those_of_one_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = create_method("upconv", descriptor="sift")
    batch = FeatureBatch.collate([some_features((100, 90), count) for count in (50, 0, 80)])
    whole = made(batch)
    monkeypatch.setattr("invertdesc.methods.cell_method.PIXELS", 20_000)
    shapes = []
    inputs = made.inputs
    monkeypatch.setattr(made, "inputs", lambda part: shapes.append(len(part)) or inputs(part))
    torch.testing.assert_close(made(batch), whole, rtol=0, atol=1e-5)
    assert shapes == [2, 1]


def test_refined_runs_both_networks_in_tiles() -> None:
    network = with_weights(Refined(Coarse(CoarseConfig(inputs=4, width=2)), RefinerConfig(2, 1)))
    maps = padded_maps(network.base, (64, 128))
    reads = [lambda rows, columns, one=one: one[..., rows, columns] for one in maps]
    refined, _ = network(*maps)
    torch.testing.assert_close(network.in_tiles(reads, (64, 128)), refined, rtol=0, atol=1e-5)
