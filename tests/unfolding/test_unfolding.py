import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from invertdesc import FeatureBatch, LocalFeatures
from invertdesc.errors import FileError, InputError
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding

FRAME = Frame(support=12.0)


@pytest.fixture
def histograms() -> Unfolding:
    return Unfolding.from_histograms(cells=4, bins=8, frame=FRAME)


@pytest.fixture
def dense() -> Unfolding:
    """A map without structure, as a fit gives it."""
    draw = torch.Generator().manual_seed(0)
    return Unfolding(
        matrix=torch.randn(10, 2 * 9, generator=draw),
        bias=torch.randn(2 * 9, generator=draw),
        mean=torch.randn(10, generator=draw),
        frame=Frame(support=31.5, scaled=False),
        falloff=0.5,
    )


def one_hot(cells: int, bins: int, row: int, column: int, b: int) -> torch.Tensor:
    vector = torch.zeros(1, cells * cells * bins)
    vector[0, (row * cells + column) * bins + b] = 2.0
    return vector


@pytest.mark.parametrize(
    ("b", "right", "down"),
    [
        (0, 2.0, 0.0),
        (1, math.sqrt(2), -math.sqrt(2)),  # counter-clockwise on the screen: up
        (2, 0.0, -2.0),
        (3, -math.sqrt(2), -math.sqrt(2)),
        (4, -2.0, 0.0),
        (6, 0.0, 2.0),
    ],
)
def test_a_bin_is_a_direction_at_its_cell(histograms, b, right, down):
    gradients = histograms(one_hot(4, 8, 1, 3, b))[0]
    expected = torch.zeros(2, 4, 4)
    expected[:, 1, 3] = torch.tensor([right, down])
    torch.testing.assert_close(gradients, expected)


def test_cells_and_bins_may_be_of_any_number():
    unfolding = Unfolding.from_histograms(cells=3, bins=6, frame=FRAME)
    gradients = unfolding(one_hot(3, 6, 2, 0, 1))[0]
    assert gradients.shape == (2, 3, 3)
    assert gradients[:, 2, 0].tolist() == pytest.approx([1.0, -math.sqrt(3)])
    assert int((gradients.abs() > 1e-6).sum()) == 2


def test_opposite_directions_cancel(histograms):
    vector = one_hot(4, 8, 0, 0, 1) + one_hot(4, 8, 0, 0, 5)
    torch.testing.assert_close(histograms(vector), torch.zeros(1, 2, 4, 4))


def test_the_window_is_undone():
    """Each cell is divided by the Gaussian at its middle, 0.5 and 1.5 cells off the centre."""
    unfolding = Unfolding.from_histograms(cells=4, bins=8, frame=FRAME, window=2.0)
    vectors = torch.zeros(1, 128)
    vectors[:, ::8] = 1.0  # bin 0 of all cells
    right, down = unfolding(vectors)[0]
    near, far = math.exp(0.25 / 8), math.exp(2.25 / 8)
    line = torch.tensor([far, near, near, far])
    torch.testing.assert_close(right, line[:, None] * line)
    assert down.abs().max() == 0


def test_the_call_is_the_formula_told(dense):
    vectors = torch.randn(5, 10, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([(v - dense.mean) @ dense.matrix + dense.bias for v in vectors])
    torch.testing.assert_close(dense(vectors), expected.view(5, 2, 3, 3))
    assert dense(vectors[:0]).shape == (0, 2, 3, 3)
    assert dense.grid == 3


def test_the_contrast_is_the_formula_told(dense):
    """A factor of exp((vector - mean) @ contrast) for each vector, at most e^3 up or down."""
    told = replace(dense, contrast=torch.full((10,), 0.5))
    vectors = dense.mean + torch.tensor([0.0, 0.2, -0.4, 9.0, -9.0])[:, None]
    sizes = torch.tensor([0.0, 1.0, -2.0, 3.0, -3.0]).exp().view(-1, 1, 1, 1)
    torch.testing.assert_close(told.sizes(vectors), sizes)
    torch.testing.assert_close(told(vectors), dense(vectors) * sizes)
    assert torch.equal(told.directions(vectors), dense(vectors))


@pytest.mark.parametrize("shape", [(5, 9), (10,), (1, 5, 10)])
def test_vectors_of_another_shape_are_refused(dense, shape):
    with pytest.raises(InputError, match=r"Expected vectors of shape \(N, 10\), got"):
        dense(torch.zeros(shape))


def test_gradients_flow_to_the_vectors(dense):
    vectors = torch.zeros(2, 10, requires_grad=True)
    dense(vectors).sum().backward()
    torch.testing.assert_close(vectors.grad, dense.matrix.sum(1).expand(2, -1))


def test_draws_are_the_smoothed_histogram_on_average(histograms):
    """A bin keeps 3/4 and gives 1/8 to each neighbour: what sharing between two bins costs."""
    draw = torch.Generator().manual_seed(0)
    vector = torch.rand(1, 128, generator=draw)
    cells = vector.view(16, 8)
    smooth = 0.75 * cells + 0.125 * (cells.roll(1, 1) + cells.roll(-1, 1))
    mean = histograms.sample(vector.expand(20_000, -1), draw).mean(0)
    torch.testing.assert_close(mean, histograms(smooth.view(1, 128))[0], rtol=0, atol=0.08)


def test_a_draw_is_one_direction_a_cell_with_all_its_mass():
    bins = replace(
        Unfolding.from_histograms(cells=2, bins=8, frame=FRAME),
        matrix=torch.eye(32),  # shows the drawn histograms as they are
        bias=torch.zeros(32),
    )
    draw = torch.Generator().manual_seed(0)
    vectors = torch.rand(50, 32, generator=draw)
    drawn = bins.sample(vectors, draw).reshape(50, 4, 8)
    torch.testing.assert_close(drawn.sum(2), vectors.view(50, 4, 8).sum(2))
    main = drawn.argmax(2, keepdim=True)
    around = torch.cat([drawn.gather(2, (main + step) % 8) for step in (-1, 0, 1)], 2)
    torch.testing.assert_close(around.sum(2), drawn.sum(2))  # nothing but the bin and a neighbour
    assert (around.min(2).values == 0).all()


def test_empty_histograms_stay_empty(histograms):
    vectors = torch.zeros(3, 128)
    vectors[0, 8:16] = 1
    drawn = histograms.sample(vectors, torch.Generator().manual_seed(0))
    assert drawn[0, :, 0, 1].norm() > 0.5
    assert int(drawn.abs().sum((1, 2, 3)).gt(0).sum()) == 1
    assert histograms.sample(vectors[:0], torch.Generator()).shape == (0, 2, 4, 4)


def test_the_same_seed_draws_the_same(histograms):
    vectors = torch.rand(4, 128, generator=torch.Generator().manual_seed(0))
    first, again, other = (
        histograms.sample(vectors, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_only_histograms_can_be_drawn_from(dense):
    with pytest.raises(InputError, match="orientation histograms"):
        dense.sample(torch.zeros(1, 10), torch.Generator())


def test_a_map_survives_its_file(dense, tmp_path):
    path = tmp_path / "new" / "map.safetensors"
    dense.save(path, card={"patches": 5})
    back = Unfolding.load(path)
    torch.testing.assert_close(back.matrix, dense.matrix, rtol=2**-11, atol=1e-7)  # float16
    assert torch.equal(back.bias, dense.bias)
    assert torch.equal(back.mean, dense.mean)
    assert (back.frame, back.falloff, back.bins) == (dense.frame, 0.5, None)
    assert back.matrix.dtype == torch.float32
    assert back.contrast is None


def test_a_contrast_survives_its_file(dense, tmp_path):
    told = replace(dense, contrast=torch.linspace(-1, 1, 10))
    told.save(tmp_path / "map.safetensors")
    assert torch.equal(Unfolding.load(tmp_path / "map.safetensors").contrast, told.contrast)


def test_histograms_survive_their_file(histograms, tmp_path):
    histograms.save(tmp_path / "map.safetensors")
    back = Unfolding.load(tmp_path / "map.safetensors")
    assert (back.frame, back.falloff, back.bins) == (FRAME, histograms.falloff, 8)
    vectors = torch.rand(4, 128, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(back(vectors), histograms(vectors), rtol=0, atol=2e-3)


def test_a_place_that_cannot_be_written(dense, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="Cannot write"):
        dense.save(tmp_path / "file" / "map.safetensors")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileError, match="found none at"):
        Unfolding.load(tmp_path / "none.safetensors")
    with pytest.raises(FileError, match="found none at"):
        Unfolding.load(tmp_path)


def corrupt(path, how: str) -> None:
    """Spoil a good file."""
    whole = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "noise":
        path.write_bytes(bytes(range(256)) * 4)
    elif how == "cut in the header":
        path.write_bytes(whole[:40])
    elif how == "cut in the tensors":
        path.write_bytes(whole[:-40])
    elif how == "foreign":
        save_file(load_file(path), path)
    else:
        tensors = load_file(path)
        meta = {"frame": {"support": 12.0}, "falloff": 0.8, "bins": None}
        header = {"format": "invertdesc-unfolding", "unfolding": json.dumps(meta)}
        if how == "no map":
            del tensors["matrix"]
        elif how == "another format":
            header["format"] = "something else"
        elif how == "no header":
            del header["unfolding"]
        elif how == "no JSON":
            header["unfolding"] = "{"
        elif how == "no falloff":
            header["unfolding"] = json.dumps({"frame": {"support": 12.0}})
        elif how == "a frame of another kind":
            header["unfolding"] = json.dumps({**meta, "frame": {"radius": 3}})
        save_file(tensors, path, header)


@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "noise",
        "cut in the header",
        "cut in the tensors",
        "foreign",
        "another format",
        "no map",
        "no header",
        "no JSON",
        "no falloff",
        "a frame of another kind",
    ],
)
def test_a_corrupt_or_foreign_file(dense, tmp_path, how):
    path = tmp_path / "map.safetensors"
    dense.save(path)
    corrupt(path, how)
    with pytest.raises(FileError, match="an unfolding that invertdesc wrote"):
        Unfolding.load(path)


def test_the_map_for_sift_ships():
    unfolding = Unfolding.shipped("sift")
    assert unfolding.matrix.shape == (128, 2 * unfolding.grid**2)
    assert unfolding.bias.shape == (2 * unfolding.grid**2,)
    assert unfolding.frame == FRAME
    assert all(p.isfinite().all() for p in (unfolding.matrix, unfolding.bias, unfolding.mean))


def test_no_map_ships_for_an_unknown_name():
    with pytest.raises(FileError, match="found none"):
        Unfolding.shipped("no such descriptor")


@pytest.mark.parametrize(
    ("frame", "needs"),
    [
        (Frame(3.0), ("scales", "orientations")),
        (Frame(3.0, scaled=False), ("orientations",)),
        (Frame(3.0, rotated=False), ("scales",)),
        (Frame(3.0, scaled=False, rotated=False), ()),
    ],
)
def test_a_frame_says_what_fixes_it(frame, needs):
    features = LocalFeatures(
        keypoints=torch.ones(2, 2),
        descriptors=torch.zeros(2, 4),
        image_size=(8, 8),
        descriptor="sift",
        scales=torch.tensor([2.0, 5.0]),
        orientations=torch.tensor([0.5, 1.0]),
    )
    batch = FeatureBatch.collate([features])
    assert frame.needs == needs
    assert frame.sides(batch).tolist() == ([6.0, 15.0] if "scales" in needs else [3.0, 3.0])
    assert frame.turns(batch).tolist() == ([0.5, 1.0] if "orientations" in needs else [0.0, 0.0])
    plain = FeatureBatch.collate([features.without(*{"scales", "orientations"} - set(needs))])
    assert torch.equal(frame.sides(plain), frame.sides(batch))
    assert torch.equal(frame.turns(plain), frame.turns(batch))
