"""The rasterizers go through torch.compile in one graph, and the ops keep what they promise it."""

import pytest
import torch

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor, extract
from invertdesc.rasterizers.cells import CellPyramid
from invertdesc.rasterizers.field import FieldRasterizer

OPS = torch.ops.invertdesc


@pytest.fixture(scope="module")
def batch(astronaut_features: LocalFeatures) -> FeatureBatch:
    return FeatureBatch.collate([astronaut_features, astronaut_features[:50]])


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch.compiler.reset()


@pytest.mark.parametrize("scored", [False, True])
def test_placing_keeps_its_promises(batch: FeatureBatch, scored: bool) -> None:
    scores = batch.scores if scored else None
    torch.library.opcheck(
        OPS.place_keypoints.default,
        (batch.keypoints, batch.offsets, scores, list(batch.image_size), [2, 4], 1),
    )


def test_painting_keeps_its_promises() -> None:
    draw = torch.Generator().manual_seed(0)
    pieces = torch.randn(5, 2, 3, 3, generator=draw)
    centers = torch.rand(5, 2, generator=draw) * 20
    sides, turns = torch.rand(2, 5, generator=draw) * 6 + 1
    torch.library.opcheck(
        OPS.paint_pieces.default, (pieces, centers, sides, turns, torch.tensor([0, 2, 5]), [20, 22])
    )


@pytest.mark.parametrize("name", ["sift", "orb"])
def test_cells_compile_into_one_graph(name: str, astronaut: torch.Tensor) -> None:
    adapter = create_descriptor(name)
    batch = FeatureBatch.collate([extract(astronaut, descriptor=adapter)])
    plain = CellPyramid((2, 4), geometry=True, descriptor=adapter)
    compiled = torch.compile(plain, fullgraph=True, backend="aot_eager")
    for one, other in zip(plain(batch), compiled(batch), strict=True):
        for here, there in zip(one, other, strict=True):
            torch.testing.assert_close(here, there)


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
def test_fields_compile_into_one_graph(batch: FeatureBatch) -> None:
    adapter = create_descriptor("sift")
    assert adapter.unfolding is not None  # read from its file before, not in the graph
    plain = FieldRasterizer(adapter, stride=2)
    compiled = torch.compile(plain, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(batch), plain(batch), atol=1e-4, rtol=1e-4)
