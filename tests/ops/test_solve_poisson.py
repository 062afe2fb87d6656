import importlib
import math

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve
from torch import Tensor

from invertdesc.ops import solve_poisson

module = importlib.import_module("invertdesc.ops.solve_poisson")  # the op of that name hides it

SIZES = [(9, 9), (7, 12), (16, 5), (1, 6), (6, 1)]


def differences(n: int) -> sparse.spmatrix:
    """(n, n): row i is u[i + 1] - u[i], the last one 0."""
    steps = sparse.diags([-np.ones(n), np.ones(n - 1)], [0, 1]).tolil()
    steps[n - 1] = 0
    return steps.tocsr()


def solve_directly(field: Tensor, screening: float) -> Tensor:
    """Least squares by a sparse factorisation, the mean set to 0 afterwards."""
    height, width = field.shape[-2:]
    gx, gy = (part.double().numpy().copy() for part in field)
    gx[:, -1], gy[-1] = 0, 0  # no pixel beyond
    across = sparse.kron(sparse.eye(height), differences(width))
    down = sparse.kron(differences(height), sparse.eye(width))
    normal = across.T @ across + down.T @ down + max(screening, 1e-11) * sparse.eye(height * width)
    right = across.T @ gx.ravel() + down.T @ gy.ravel()
    picture = spsolve(normal.tocsc(), right).reshape(height, width)
    return torch.from_numpy(picture - picture.mean())


def forward_differences(picture: Tensor) -> Tensor:
    gx = torch.nn.functional.pad(picture.diff(dim=-1), (0, 1))
    gy = torch.nn.functional.pad(picture.diff(dim=-2), (0, 0, 0, 1))
    return torch.stack([gx, gy], -3)


@pytest.fixture(autouse=True, params=["matrices", "fourier transforms"])
def transforms(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer holds for both, which differ by the length of the sides."""
    if request.param == "fourier transforms":
        monkeypatch.setattr(module, "LONG_ON_CPU", 0)
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 40)


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("screening", [0.0, 1e-4, 0.3])
@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_a_sparse_direct_solution(draw, size, screening):
    field = torch.randn(2, *size, generator=draw, dtype=torch.float64)
    found = solve_poisson(field[None], screening)[0]
    torch.testing.assert_close(found, solve_directly(field, screening), rtol=0, atol=1e-7)


def test_float32_is_enough(draw):
    field = torch.randn(2, 60, 40, generator=draw)
    found = solve_poisson(field[None])[0]
    torch.testing.assert_close(found.double(), solve_directly(field, 1e-4), rtol=0, atol=2e-4)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_constant_field_gives_a_ramp(axis):
    field = torch.zeros(1, 2, 5, 8)
    field[:, axis] = 0.5
    steps = torch.arange(8.0 if axis == 0 else 5.0) / 2
    ramp = (steps - steps.mean()).expand(5, 8) if axis == 0 else (steps - 1)[:, None].expand(5, 8)
    torch.testing.assert_close(solve_poisson(field, 0.0)[0], ramp, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_is_recovered_from_its_differences(draw, size):
    picture = torch.rand(3, *size, generator=draw, dtype=torch.float64)
    found = solve_poisson(forward_differences(picture), 0.0)
    expected = picture - picture.mean((1, 2), keepdim=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_what_lies_beyond_the_last_column_and_row_is_not_read(draw):
    field = torch.randn(1, 2, 6, 7, generator=draw)
    changed = field.clone()
    changed[:, 0, :, -1] = 99
    changed[:, 1, -1] = 99
    assert torch.equal(solve_poisson(changed), solve_poisson(field))


@pytest.mark.parametrize("size", [(8, 8), (11, 30)])
def test_the_mean_is_0(draw, size):
    picture = solve_poisson(torch.randn(4, 2, *size, generator=draw))
    torch.testing.assert_close(picture.mean((1, 2)), torch.zeros(4), rtol=0, atol=1e-5)


def test_images_of_a_batch_are_independent(draw):
    field = torch.randn(3, 2, 12, 9, generator=draw)
    found = solve_poisson(field)
    for image in range(3):
        alone = solve_poisson(field[image : image + 1])[0]
        torch.testing.assert_close(alone, found[image], rtol=0, atol=1e-5)
    spoilt = field.clone()
    spoilt[1] = math.nan
    found = solve_poisson(spoilt)
    assert found[[0, 2]].isfinite().all()
    assert found[1].isnan().all()


def test_screening_forgets_what_is_smooth():
    """Of a cosine, 1 / (1 + screening / its eigenvalue) is left."""
    column = torch.cos(torch.pi * 2 * (torch.arange(64, dtype=torch.float64) + 0.5) / 64)
    wave = column.expand(10, 64)
    found = solve_poisson(forward_differences(wave)[None], 0.01)[0]
    eigenvalue = 2 - 2 * math.cos(math.pi * 2 / 64)
    torch.testing.assert_close(found, wave * eigenvalue / (eigenvalue + 0.01))


def test_gradients_flow_after_a_first_call_without():
    """The cosines once stayed the inference tensors that the first caller had made."""
    with torch.inference_mode():
        solve_poisson(torch.zeros(1, 2, 17, 19))
    field = torch.randn(1, 2, 17, 19, requires_grad=True)
    solve_poisson(field).square().sum().backward()
    assert field.grad is not None
    assert field.grad.isfinite().all()


def test_memory_does_not_grow_with_the_square_of_a_side():
    found = solve_poisson(torch.zeros(1, 2, 1, 10**6))  # a matrix would take 4 TB
    assert found.shape == (1, 1, 10**6)
