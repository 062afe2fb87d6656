from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from skimage import data
from sklearn.linear_model import Lasso
from torch.nn import functional as F

from invertdesc import FeatureBatch, create_descriptor, create_method, extract
from invertdesc.errors import InputError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.methods._lasso import positive_lasso, residual
from invertdesc.methods._merge import Windows
from invertdesc.methods._pairs import gather_pairs
from invertdesc.methods.database import Collection, collect_database
from invertdesc.methods.paired_dictionary import PairedDictionary


def problem(rows: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Atoms (30, 20), more than enough, and vectors made of a few of them, with noise."""
    draw = torch.Generator().manual_seed(1)
    atoms = F.normalize(torch.randn(30, 20, generator=draw) + 0.5, dim=1)
    codes = torch.rand(rows, 30, generator=draw) * (torch.rand(rows, 30, generator=draw) < 0.15)
    return atoms, codes @ atoms + 0.05 * torch.randn(rows, 20, generator=draw)


def test_codes_meet_the_optimality_conditions() -> None:
    atoms, vectors = problem()
    codes = positive_lasso(atoms, vectors, 0.1)
    slopes = (codes @ atoms - vectors) @ atoms.T + 0.1
    assert (codes >= 0).all()
    assert (slopes[codes > 0].abs() < 1.1e-4).all()
    assert (slopes[codes == 0] > -1.1e-4).all()
    assert 0.02 < float((codes > 0).float().mean()) < 0.5
    torch.testing.assert_close(
        residual(codes, slopes).max(), torch.tensor(0.0), atol=1.1e-4, rtol=0
    )


def test_codes_are_those_of_scikit_learn() -> None:
    atoms, vectors = problem(5)
    solver = Lasso(0.1 / 20, positive=True, fit_intercept=False, tol=1e-10, max_iter=100_000)
    for vector, code in zip(vectors, positive_lasso(atoms, vectors, 0.1), strict=True):
        wanted = solver.fit(atoms.T.double().numpy(), vector.double().numpy()).coef_
        torch.testing.assert_close(code.double(), torch.from_numpy(wanted), atol=2e-3, rtol=0)


def test_codes_do_not_depend_on_those_beside_them() -> None:
    atoms, vectors = problem()
    alone = torch.cat([positive_lasso(atoms, row[None], 0.1) for row in vectors])
    torch.testing.assert_close(positive_lasso(atoms, vectors, 0.1), alone, atol=1e-5, rtol=0)
    assert positive_lasso(atoms, vectors[:0], 0.1).shape == (0, 30)


def test_a_residual_is_what_a_step_could_gain() -> None:
    codes = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 2.0]])
    slopes = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, -0.5]])
    assert residual(codes, slopes).tolist() == [0.0, 3.0, 0.5]


def test_too_few_steps_stop() -> None:
    atoms, vectors = problem(3)
    short = positive_lasso(atoms, vectors, 0.1, most=1)
    slopes = (short @ atoms - vectors) @ atoms.T + 0.1
    assert float(residual(short, slopes).max()) > 0.01


def test_hog_shows_the_picture(pictures_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "hog.safetensors"
    images = sorted(pictures_folder.iterdir())
    line = collect_database(
        "paired-dictionary", images, path, descriptor="hog", most=150, blocks=3, atoms=64
    )
    assert line == "an inverse of 'hog', fitted to 900 patches of 6 pictures."
    image = to_image(data.astronaut()[40:168, 90:250])
    method = create_method("paired-dictionary", descriptor="hog", database=path)
    picture = method(FeatureBatch.collate([extract(image, descriptor="hog")]))
    assert float(ncc(picture[:, 0], to_gray(image)[None])) > 0.15
    atoms = method.database.tensors
    assert atoms["vectors"].shape == (64, 729)
    assert atoms["patches"].shape == (64, 400)


def test_codes_carry_over_to_patches(
    pictures_folder: Path, database: Callable[[str], Path]
) -> None:
    """Patches that were learned from are given back by the codes of their vectors alone."""
    method = PairedDictionary("sift", database=database("paired-dictionary"))
    windows = Windows(create_descriptor("sift"))
    images = sorted(pictures_folder.iterdir())
    pairs = gather_pairs(
        Collection("paired-dictionary", images, Path("none"), windows.adapter), windows, 50
    )
    found = method.infer(pairs.vectors)
    right = F.cosine_similarity(found, pairs.patches, dim=1).mean()
    wrong = F.cosine_similarity(found.roll(1, 0), pairs.patches, dim=1).mean()
    assert float(right) > 0.5
    assert float(right) > float(wrong) + 0.3


def test_what_it_cannot_work_with_is_told(
    pictures_folder: Path, tmp_path: Path, database: Callable[[str], Path]
) -> None:
    images = sorted(pictures_folder.iterdir())[:1]
    with pytest.raises(InputError, match="at least 512 patches, one for each atom, got 20"):
        collect_database("paired-dictionary", images, tmp_path / "x", descriptor="hog", most=20)
    with pytest.raises(InputError, match="penalty > 0 and < 1, got 0"):
        collect_database("paired-dictionary", images, tmp_path / "x", descriptor="hog", penalty=0.0)
    with pytest.raises(InputError, match="penalty > 0 and < 1, got 2"):
        PairedDictionary("sift", database=database("paired-dictionary"), penalty=2)
    assert not list(tmp_path.iterdir())
