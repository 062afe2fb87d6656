import mmap
import sys

import pytest
import torch
from torch import Tensor

from invertdesc.errors import InputError
from invertdesc.ops import fill_cells

OWNERS = torch.tensor([[[1, -1, 0], [-1, -1, 3]], [[-1, 2, -1], [-1, -1, -1]]], dtype=torch.int32)


def fill_one_by_one(rows: Tensor, owners: Tensor, cell: int, geometry: Tensor | None) -> Tensor:
    """What every implementation is compared with."""
    count, height, width = owners.shape
    channels = rows.shape[1] + (0 if geometry is None else 5)
    out = torch.zeros(count, channels, height, width)
    for b in range(count):
        for y in range(height):
            for x in range(width):
                k = int(owners[b, y, x])
                if k >= 0:
                    out[b, : rows.shape[1], y, x] = rows[k]
                    if geometry is not None:
                        px, py, *rest = geometry[k].tolist()
                        apart = (
                            (px - ((x + 0.5) * cell - 0.5)) / cell,
                            (py - ((y + 0.5) * cell - 0.5)) / cell,
                        )
                        out[b, rows.shape[1] :, y, x] = torch.tensor([*apart, *rest])
    return out


@pytest.mark.parametrize("told", [False, True])
def test_it_is_the_loop(told: bool) -> None:
    rows = torch.randn(5, 7)
    geometry = torch.randn(5, 5) * 4 if told else None
    made = fill_cells(rows, OWNERS, cell_size=3, geometry=geometry)
    torch.testing.assert_close(made, fill_one_by_one(rows, OWNERS, 3, geometry))
    assert made.is_contiguous(memory_format=torch.channels_last)


def test_bits_become_signs_lowest_first() -> None:
    raw = torch.randint(0, 256, (5, 3), dtype=torch.uint8)
    signs = torch.tensor(
        [[(int(byte) >> n & 1) * 2.0 - 1 for byte in row for n in range(8)] for row in raw]
    )
    made = fill_cells(raw, OWNERS, cell_size=2, bits=21, dtype=torch.bfloat16)
    assert made.dtype == torch.bfloat16
    assert torch.equal(made.float(), fill_one_by_one(signs[:, :21], OWNERS, 2, None))


@pytest.mark.parametrize("rows", [torch.zeros(2, 3, dtype=torch.uint8), torch.zeros(2, 3)])
def test_bits_that_do_not_fit_are_told(rows: Tensor) -> None:
    bits = 25 if rows.dtype == torch.uint8 else 3
    with pytest.raises(InputError, match="rows of packed bytes"):
        fill_cells(rows, OWNERS, cell_size=2, bits=bits)


def test_gradients_are_those_of_finite_differences() -> None:
    rows = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    geometry = torch.randn(5, 5, dtype=torch.float64, requires_grad=True)

    def fill(rows: Tensor, geometry: Tensor) -> Tensor:
        return fill_cells(rows, OWNERS, cell_size=2, geometry=geometry, dtype=torch.float64)

    assert torch.autograd.gradcheck(fill, (rows, geometry))


# PyTorch 2.14 hides this warning of its own opcheck, but not where warnings are errors.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("told", [False, True])
def test_the_op_keeps_its_promises(told: bool) -> None:
    rows = torch.randn(5, 3, requires_grad=True)
    geometry = torch.randn(5, 5, requires_grad=True) if told else None
    op = torch.ops.invertdesc.fill_cells.default
    torch.library.opcheck(op, (rows, OWNERS, geometry, 2, 3, torch.float32))


def test_no_keypoints_give_zeros() -> None:
    made = fill_cells(torch.zeros(0, 4), torch.full((2, 3, 3), -1).int(), cell_size=2)
    assert made.shape == (2, 4, 3, 3)
    assert not made.any()


@pytest.mark.skipif(sys.platform != "linux", reason="counts page faults as Linux does")
def test_what_is_returned_is_in_memory() -> None:
    """Zeros that the system has yet to make would move the cost to whoever reads them."""
    import resource

    owners = torch.full((8, 128, 128), -1, dtype=torch.int32)
    made = fill_cells(torch.zeros(1, 128), owners, cell_size=2, dtype=torch.bfloat16)
    flat = made.permute(0, 2, 3, 1).view(torch.int16).flatten()[:: mmap.PAGESIZE // 2]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert not flat.any()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < len(flat) / 100


def test_gradients_reach_keypoints_through_any_layout() -> None:
    rows = torch.randn(5, 3, requires_grad=True)
    weights = torch.randn(2, 3, 2, 3)
    for given in (weights, weights.contiguous(memory_format=torch.channels_last)):
        made = fill_cells(rows, OWNERS, cell_size=2)
        (gradient,) = torch.autograd.grad(made, rows, given)
        expected = torch.zeros(5, 3)
        for image, row, column in (OWNERS >= 0).nonzero().tolist():
            expected[OWNERS[image, row, column].item()] = weights[image, :, row, column]
        assert torch.equal(gradient, expected)
