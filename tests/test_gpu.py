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
