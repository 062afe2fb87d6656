from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from skimage.feature import hog
from torch.nn import functional as F

import invertdesc
from invertdesc import FeatureBatch, FieldRasterizer, LocalFeatures, create_descriptor, extract
from invertdesc.descriptors._hog_signs import SignNet, _rebin, read_cells, signed_gradients
from invertdesc.errors import (
    InputError,
    MissingDependencyError,
    MissingFieldError,
    NoKeypointsWarning,
)
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image, to_uint8

# `poisson` shows the field as it is.
reconstruct = partial(invertdesc.reconstruct, method="poisson")

NAMES = ("hog", "hog-opencv")


def gray_bytes(image: torch.Tensor) -> np.ndarray:
    return to_uint8(to_gray(image))


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_rows_are_the_blocks_of_scikit_image(cells: int, astronaut: torch.Tensor) -> None:
    image = astronaut[:, :100, :75]  # no multiples of 8
    found = extract(image, descriptor=create_descriptor("hog", cells_per_block=cells))
    blocks = hog(
        gray_bytes(image) / 255, cells_per_block=(cells, cells), feature_vector=False
    )  # (by, bx, cy, cx, bin)
    rows, columns = blocks.shape[:2]
    assert (rows, columns) == (12 - cells + 1, 9 - cells + 1)
    expected = torch.from_numpy(blocks).float().reshape(rows * columns, -1)
    torch.testing.assert_close(found.descriptors, expected)
    # The second block of the second row starts 8 pixels in, both ways.
    middle = 8 + (8 * cells - 1) / 2
    assert found.keypoints[columns + 1].tolist() == [middle, middle]
    assert found.scales.unique().tolist() == [8.0]
    assert found.orientations is None
    assert found.scores is None


def test_an_opencv_without_hog_is_named(
    astronaut: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(cv2, "HOGDescriptor")  # as in OpenCV 5 without extra modules
    with pytest.raises(MissingDependencyError, match=r"HOGDescriptor.*opencv-contrib-python"):
        extract(astronaut, descriptor="hog-opencv")


def test_flat_vector_of_scikit_image(astronaut: torch.Tensor) -> None:
    vector = torch.from_numpy(hog(gray_bytes(astronaut) / 255))
    found = create_descriptor("hog").from_vector(vector, (256, 256))
    assert torch.equal(found.descriptors, extract(astronaut, descriptor="hog").descriptors)
    with pytest.raises(InputError, match=r"30 x 30 blocks of 81 numbers.*got 5 numbers"):
        create_descriptor("hog").from_vector(vector[:5], (256, 256))


@pytest.mark.parametrize("gamma", [False, True])
def test_rows_are_the_blocks_of_opencv(gamma: bool, astronaut: torch.Tensor) -> None:
    image = astronaut[:, :100, :75]
    adapter = create_descriptor("hog-opencv", gamma_correction=gamma)
    found = adapter.extract(image)
    tool = cv2.HOGDescriptor(
        (72, 96), (16, 16), (8, 8), (8, 8), 9, 1, -1.0, 0, 0.2, gamma, 64, False
    )
    numbers = tool.compute(np.ascontiguousarray(gray_bytes(image)[:96, :72]))
    # Window by window, OpenCV writes columns of blocks, and columns of cells in them.
    ours = found.descriptors.view(11, 8, 2, 2, 9)
    theirs = torch.from_numpy(numbers).view(8, 11, 2, 2, 9)
    for by, bx, cy, cx in ((0, 0, 0, 1), (3, 5, 1, 0), (10, 7, 1, 1)):
        assert torch.equal(ours[by, bx, cy, cx], theirs[bx, by, cx, cy])
    again = adapter.from_vector(torch.from_numpy(numbers), (100, 75))
    assert torch.equal(again.descriptors, found.descriptors)


def test_opencv_alike_in_place_and_bin(astronaut: torch.Tensor) -> None:
    """The two libraries pool otherwise, but the same cell and bin stand at the same place."""
    ours = create_descriptor("hog", cells_per_block=2).extract(astronaut)
    theirs = create_descriptor("hog-opencv", gamma_correction=False).extract(astronaut)
    alike = F.cosine_similarity(ours.descriptors, theirs.descriptors).mean()
    blocks = theirs.descriptors.view(-1, 2, 2, 9)
    for mixed in (blocks.transpose(1, 2), blocks.flip(3), blocks.roll(1, 3), blocks.flip(1)):
        assert F.cosine_similarity(ours.descriptors, mixed.flatten(1)).mean() < alike - 0.05


def test_all_twelve_arguments(monkeypatch: pytest.MonkeyPatch, astronaut: torch.Tensor) -> None:
    calls = []
    real = cv2.HOGDescriptor

    def record(*arguments: object) -> object:
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(cv2, "HOGDescriptor", record)
    create_descriptor("hog-opencv").extract(astronaut)
    assert len(calls[0]) == 12


def test_norms_are_undone() -> None:
    cells = torch.rand(1, 6, 7, 9, generator=torch.Generator().manual_seed(0)) + 0.1
    cells *= torch.tensor([1.0, 30.0]).repeat(4)[:7].view(1, 1, 7, 1)
    blocks = cells.unfold(1, 2, 1).unfold(2, 2, 1).permute(0, 1, 2, 4, 5, 3)
    blocks = blocks / blocks.square().sum((3, 4, 5), keepdim=True).sqrt()
    found = read_cells(blocks, torch.ones(1, 5, 6), lean=0.0, drift=0.0)
    torch.testing.assert_close(found / found.mean(), cells / cells.mean(), rtol=1e-3, atol=1e-4)
    clipped = blocks.clamp(max=0.2)
    clipped = clipped / clipped.square().sum((3, 4, 5), keepdim=True).sqrt()
    found = read_cells(clipped, torch.ones(1, 5, 6), lean=0.0, drift=0.0)
    pair = torch.stack([found.sum(-1).flatten(), cells.sum(-1).flatten()]).log()
    assert torch.corrcoef(pair)[0, 1] > 0.9


def test_signed_bins_are_directions() -> None:
    """18 bins of 20 degrees: bin 0 around 10 degrees, bin 9 against it."""
    cells = torch.zeros(1, 2, 2, 18)
    cells[:, 0, 0, 0] = cells[:, 1, 1, 9] = 1.0
    field = signed_gradients(cells)
    assert field.shape == (1, 2, 4, 4)
    torch.testing.assert_close(field[..., :2, :2], -field[..., 2:, 2:])
    angle = torch.atan2(field[0, 1, 0, 0], field[0, 0, 0, 0])
    torch.testing.assert_close(angle.rad2deg(), torch.tensor(10.0))


def test_signed_hog_needs_no_guess(astronaut: torch.Tensor) -> None:
    adapter = create_descriptor("hog-opencv", signed=True, orientations=18, cells_per_block=3)
    picture = reconstruct(adapter.extract(astronaut), descriptor=adapter)
    assert ncc(picture[0], to_gray(astronaut)) > 0.7


def test_rebin() -> None:
    torch.testing.assert_close(_rebin(9), torch.eye(9))
    assert torch.equal(_rebin(18)[:2, 0], torch.ones(2))
    torch.testing.assert_close(_rebin(6)[0], F.pad(torch.tensor([2 / 3, 1 / 3]), (0, 7)))
    torch.testing.assert_close(_rebin(7).sum(1), torch.ones(7))


def test_network_takes_any_grid() -> None:
    torch.manual_seed(0)
    network = SignNet()
    for rows, columns in ((1, 1), (3, 13), (16, 8)):
        cells = torch.rand(2, rows, columns, 9)
        field = network(cells)
        assert field.shape == (2, 2, 2 * rows, 2 * columns)
        torch.testing.assert_close(network(cells * 100), field)  # contrast does not matter
    assert network(torch.zeros(1, 4, 4, 9)).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("picture", ["astronaut", "camera"])
def test_inverts(name: str, picture: str) -> None:
    step = 1 if picture == "astronaut" else 2  # her face alone
    image = to_image(getattr(data, picture)()[::step, ::step][:256, :256])
    found = reconstruct(image, descriptor=name)
    assert ncc(found[0], to_gray(image)) > 0.3


def test_other_options_are_read_too(astronaut: torch.Tensor) -> None:
    for options in (
        {"cells_per_block": 1},
        {"cells_per_block": 2, "orientations": 12},
        {"pixels_per_cell": 16, "block_norm": "L1"},
    ):
        adapter = create_descriptor("hog", **options)
        picture = reconstruct(adapter.extract(astronaut), descriptor=adapter)
        assert picture.std() > 0.1
        assert picture.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_pieces_fit_together(name: str, astronaut: torch.Tensor) -> None:
    """Where blocks overlap, they say the same; the order of rows and the batch do not matter."""
    adapter = create_descriptor(name)
    features = adapter.extract(astronaut)
    cells, columns = adapter.cells_per_block, adapter._blocks((256, 256))[1]
    pieces = adapter.pieces(FeatureBatch.collate([features]))
    assert pieces.shape == (len(features), 2, 4 * cells, 4 * cells)
    torch.testing.assert_close(pieces[0, :, :, 4:], pieces[1, :, :, :-4])
    torch.testing.assert_close(pieces[0, :, 4:], pieces[columns, :, :-4])

    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    other = adapter.extract(astronaut.flip(2))
    both = adapter.pieces(FeatureBatch.collate([other, features[order]]))
    torch.testing.assert_close(both[len(features) :], pieces[order], rtol=1e-3, atol=1e-4)


def test_missing_blocks(astronaut: torch.Tensor) -> None:
    features = extract(astronaut, descriptor="hog")
    field = FieldRasterizer()(FeatureBatch.collate([features.outside((64, 64, 128, 128))]))
    assert all(part.isfinite().all() for part in field)
    assert not field.coverage[0, 0, 90:100, 90:100].any()
    left = features.inside((0, 0, 128, 256))
    picture = reconstruct(left)
    assert ncc(picture[0, :, :120], to_gray(astronaut)[:, :120]) > 0.2


def test_needs_one_scale(astronaut: torch.Tensor) -> None:
    features = extract(astronaut, descriptor="hog")
    with pytest.raises(MissingFieldError, match="scales"):
        reconstruct(features.without("scales"))
    guessed = features.without("scales").assume(scales=8.0)
    assert torch.equal(reconstruct(guessed), reconstruct(features))
    with pytest.raises(InputError, match="Expected one scale"):
        reconstruct(replace(features, scales=torch.rand(len(features)) + 1))
    with pytest.raises(InputError, match="cells_per_block >= 1"):
        create_descriptor("hog", cells_per_block=0)


@pytest.mark.parametrize("name", NAMES)
def test_tiny_and_flat_pictures(name: str) -> None:
    adapter = create_descriptor(name)
    assert len(adapter.extract(torch.rand(3, 15, 300))) == 0
    flat = adapter.extract(torch.full((3, 40, 48), 0.3))
    assert isinstance(flat, LocalFeatures)
    with pytest.warns(NoKeypointsWarning, match="picture is flat"):
        assert reconstruct(flat).isfinite().all()
    empty = FeatureBatch.collate([adapter.extract(torch.rand(3, 15, 300))])
    assert adapter.pieces(empty).shape[0] == 0


def test_linear_map_of_one_block_knows_little() -> None:
    """Why there are `pieces`: signs are not in a block."""
    image = to_image(data.camera()[::2, ::2])
    adapter = create_descriptor("hog")
    batch = FeatureBatch.collate([adapter.extract(image)])
    alone = FieldRasterizer(unfolding=adapter.unfolding)(batch).picture[0, 0]
    together = FieldRasterizer()(batch).picture[0, 0]
    assert ncc(together, to_gray(image)) > ncc(alone, to_gray(image)) + 0.1


@pytest.mark.parametrize("name", NAMES)
def test_mirrored_picture(name: str, astronaut: torch.Tensor) -> None:
    adapter = create_descriptor(name, gray="luma")
    here, there = (
        reconstruct(adapter.extract(image), descriptor=adapter)
        for image in (astronaut, astronaut.flip(2))
    )
    alike = ncc(here[0], there[0].flip(1))  # OpenCV's Gaussian is not quite in the middle
    assert alike > (0.97 if name == "hog" else 0.6)
