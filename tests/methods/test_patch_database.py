import json
import math
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve
from skimage import data
from torch import Tensor

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor, extract, reconstruct
from invertdesc.errors import (
    BadImageWarning,
    FileError,
    InputError,
    MissingDependencyError,
    MissingFieldError,
)
from invertdesc.evaluation.metrics import ncc, psnr
from invertdesc.image import to_gray, to_image, write_image
from invertdesc.methods.database import FORMAT, Database, Origin, collect_database
from invertdesc.methods.patch_database import PatchDatabase, _paint, _stitch
from invertdesc.unfolding.frame import Frame

NAME = "patch-database"


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return to_image(data.astronaut()[:320:2, :400:2])


@pytest.fixture(scope="module")
def own(photo: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of that very photo."""
    folder = tmp_path_factory.mktemp("own")
    write_image(photo, folder / "photo.png")
    collect_database(NAME, [folder / "photo.png"], folder / "own.safetensors", descriptor="sift")
    return folder / "own.safetensors"


def one_keypoint(
    x: float, y: float, *, scale: float = 1.0, turn: float = 0.0, vector: Tensor | None = None
) -> LocalFeatures:
    return LocalFeatures(
        keypoints=torch.tensor([[float(x), float(y)]]),
        descriptors=torch.ones(1, 128) if vector is None else vector[None],
        image_size=(40, 48),
        descriptor="sift",
        scales=torch.tensor([float(scale)]),
        orientations=torch.tensor([turn]),
    )


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("zoom", [1, 2])
def test_a_picture_comes_back_from_its_own_patches(
    photo: Tensor, own: Path, turned: int, zoom: int
) -> None:
    """Turned and enlarged too, as its patches are then."""
    seen = photo.rot90(turned, (1, 2)).repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)
    picture = reconstruct(seen, method=PatchDatabase(database=own))
    assert picture.shape == seen.shape
    assert float(ncc(to_gray(picture), to_gray(seen))) > 0.9
    assert float(psnr(picture, seen)) > 18  # in colour, brightness and contrast included


def test_other_pictures_do_and_their_shuffled_patches_do_not(
    astronaut: Tensor, database: Callable[[str], Path]
) -> None:
    method = PatchDatabase(database=database(NAME))
    features = extract(astronaut)
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    shuffled = replace(features, descriptors=features.descriptors[order])
    gray = to_gray(astronaut)
    found, lost = (
        float(ncc(to_gray(reconstruct(one, method=method)), gray)) for one in (features, shuffled)
    )
    assert found > 0.6
    assert found > lost + 0.2


@pytest.mark.parametrize(
    ("turn", "expected"),
    [(0.0, (1.0, 0.0)), (math.pi / 2, (0.0, 1.0)), (math.pi, (-1.0, 0.0)), (0.5, (0.878, 0.479))],
)
def test_a_patch_turns_and_scales_with_its_keypoint(
    turn: float, expected: tuple[float, float]
) -> None:
    """A ramp from 0 to 1 to the frame's right, over 16 and 32 pixels."""
    ramp = (torch.arange(8) / 8).double().expand(1, 3, 8, 8)
    for side in (16.0, 32.0):
        batch = FeatureBatch.collate([one_keypoint(24, 20, scale=side, turn=turn)])
        gradients, _, painted = _paint(ramp, batch, Frame(support=1.0))
        inside = gradients[:, :, painted]
        wanted = torch.tensor(expected)[None, :, None].expand_as(inside) / side
        torch.testing.assert_close(inside, wanted, atol=1e-4, rtol=0)
        reach = min(side / 2 * (abs(math.cos(turn)) + abs(math.sin(turn))), 20)
        rows = painted.any(1).nonzero()
        assert int(rows[0]) == pytest.approx(20 - reach, abs=1)
        assert not gradients[:, :, ~painted].any()


def test_colours_lie_where_the_patch_has_them() -> None:
    """The upper left quarter of a patch is red; turned by 90 degrees, the upper right."""
    patch = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    patch[:, 0, :4, :4] = 1
    batch = FeatureBatch.collate([one_keypoint(24, 20, scale=16, turn=math.pi / 2)])
    _, colours, _ = _paint(patch, batch, Frame(support=1.0))
    assert torch.equal(colours[:, 16, 28], torch.tensor([1.0, 0, 0]))
    for y, x in ((16, 20), (24, 20), (24, 28)):
        assert not colours[:, y, x].any()


def test_small_patches_lie_on_large_ones() -> None:
    """Whatever their order, and whole beside them."""
    batch = FeatureBatch.collate(
        [
            LocalFeatures(
                keypoints=torch.tensor([[24.0, 20.0], [24.0, 20.0]]),
                descriptors=torch.ones(2, 128),
                image_size=(40, 48),
                descriptor="sift",
                scales=scales,
                orientations=torch.zeros(2),
            )
            for scales in (torch.tensor([36.0, 12.0]), torch.tensor([12.0, 36.0]))
        ]
    )
    for number, (large, small) in enumerate(((0, 1), (1, 0))):
        patches = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
        patches[large, 2], patches[small, 0] = 1, 1
        one = FeatureBatch.collate([batch[number]])
        _, colours, painted = _paint(patches, one, Frame(support=1.0))
        assert colours[0, 20, 24] > 0.98
        assert torch.equal(colours[:, 20, 34], torch.tensor([0.0, 0, 1]))
        assert not painted[:, :5].any()


def least_squares(gradients: Tensor, colours: Tensor, painted: Tensor, screening: float) -> Tensor:
    """Solve one channel, (2, H, W) and (H, W), by sparse elimination."""
    height, width = painted.shape
    numbers = np.arange(height * width).reshape(height, width)
    gx, gy = ((part[..., 1:] + part[..., :-1]) / 2 for part in (gradients[0], gradients[1].T))
    pairs = [(numbers[:, :-1], numbers[:, 1:], gx), (numbers.T[:, :-1], numbers.T[:, 1:], gy)]
    start = np.concatenate([one.ravel() for one, _, _ in pairs])
    end = np.concatenate([other.ravel() for _, other, _ in pairs])
    wanted = np.concatenate([g.numpy().ravel() for *_, g in pairs])
    rows, ones = np.arange(len(start)), np.ones(len(start))
    steps = coo_array(
        (np.r_[-ones, ones], (np.r_[rows, rows], np.r_[start, end])), (len(start), numbers.size)
    ).tocsr()
    pull = screening * painted.numpy().ravel()
    diagonal = coo_array((pull, (numbers.ravel(), numbers.ravel()))).tocsr()
    right = steps.T @ wanted + pull * colours.numpy().ravel()
    solved = spsolve((steps.T @ steps + diagonal).tocsc(), right)
    return torch.from_numpy(solved.reshape(height, width))


def test_the_merged_picture_is_the_least_squares_solution() -> None:
    """With a hole, a border and two islands that nothing was painted on."""
    draw = torch.Generator().manual_seed(0)
    gradients = torch.randn(3, 2, 24, 30, generator=draw, dtype=torch.float64) * 0.1
    colours = torch.rand(3, 24, 30, generator=draw, dtype=torch.float64)
    painted = torch.ones(24, 30, dtype=torch.bool)
    painted[6:16, 8:22] = painted[:, 27:] = False
    painted[9:11, 12:15] = True
    gradients, colours = gradients * painted, colours * painted
    found = _stitch(gradients, colours, painted, 1e-2)
    for channel in range(3):
        wanted = least_squares(gradients[channel], colours[channel], painted, 1e-2)
        torch.testing.assert_close(found[channel], wanted, atol=2e-3, rtol=0)


def test_a_whole_picture_is_kept() -> None:
    picture = to_image(data.astronaut()[:40, :56]).double()
    steps = torch.stack([torch.gradient(picture, dim=axis)[0] for axis in (2, 1)], 1)
    everywhere = torch.ones(40, 56, dtype=torch.bool)
    found = _stitch(steps, picture, everywhere, 1e-4)
    assert float((found - picture).abs().mean()) < 0.02
    brighter = _stitch(steps, picture + 0.1, everywhere, 1e-4)
    torch.testing.assert_close(brighter, found + 0.1)


@pytest.mark.parametrize("probes", [None, 10_000])
@pytest.mark.parametrize("descriptor", ["sift", "rootsift", "orb"])
def test_the_best_match_is_found(
    astronaut: Tensor, pictures_folder: Path, tmp_path: Path, descriptor: str, probes: int | None
) -> None:
    """As by comparing with every vector: of numbers by distance, of bits by those that differ."""
    path, adapter = tmp_path / "some.safetensors", create_descriptor(descriptor)
    collected = "sift" if descriptor == "rootsift" else descriptor  # which encodes to the same
    collect_database(NAME, sorted(pictures_folder.iterdir()), path, descriptor=collected, most=300)
    method = PatchDatabase(adapter, database=path, probes=probes)
    raw = extract(astronaut, descriptor=adapter).descriptors
    found = method._nearest(adapter, raw)
    if descriptor == "orb":
        known, given = (adapter.encode(some) for some in (method.vectors, raw))
    else:
        known, given = method.vectors.float(), adapter.encode(raw)
    distances = torch.cdist(given.double(), known.double())
    reached = distances.gather(1, found[:, None])[:, 0]
    torch.testing.assert_close(reached, distances.min(1).values, atol=1e-5, rtol=0)
    assert len(found.unique()) > 50


def test_what_a_database_holds(pictures_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "some.safetensors"
    images = [*sorted(pictures_folder.iterdir())[:2], tmp_path / "broken.png"]
    images[2].write_bytes(b"no picture")
    with pytest.warns(BadImageWarning, match=r"broken\.png"):
        line = collect_database(NAME, images, path, descriptor="sift", most=40, side=12)
    assert line == "80 patches of 2 pictures, for 'sift'."
    assert [p.name for p in path.parent.iterdir()] == ["some.safetensors"]
    with safe_open(path, "pt") as file:
        vectors, patches = file.get_tensor("vectors"), file.get_tensor("patches")
        header = json.loads(file.metadata()[FORMAT])
    assert vectors.dtype == torch.float16
    assert patches.shape == (80, 3, 12, 12)
    assert header["method"] == NAME
    assert header["images"] == 2
    assert header["options"] == {"most": 40, "side": 12}
    assert header["parameters"]["contrast_threshold"] == 0.04
    features = extract(images[1])
    strongest = features[features.scores.argsort(descending=True, stable=True)[:40]]
    encoded = create_descriptor("sift").encode(strongest.descriptors)
    torch.testing.assert_close(vectors[40:].float(), encoded, atol=1e-3, rtol=0)


def test_without_scores_keypoints_are_taken_from_everywhere(
    pictures_folder: Path, tmp_path: Path
) -> None:
    path, images = tmp_path / "hog.safetensors", sorted(pictures_folder.iterdir())[:1]
    collect_database(NAME, images, path, descriptor="hog", most=7)
    vectors = Database.load(path, NAME).tensors["vectors"]
    blocks = create_descriptor("hog").encode(extract(images[0], descriptor="hog").descriptors)
    chosen = [len(blocks) - 1 if n == 6 else n * (len(blocks) - 1) // 6 for n in range(7)]
    torch.testing.assert_close(vectors.float(), blocks[chosen], atol=1e-3, rtol=0)


def test_nothing_to_collect_leaves_nothing(tmp_path: Path) -> None:
    write_image(torch.full((3, 40, 40), 0.5), tmp_path / "flat.png")
    given: dict[str, Any] = {"descriptor": "sift"}
    with pytest.raises(InputError, match="found none in 1"):
        collect_database(NAME, [tmp_path / "flat.png"], tmp_path / "out.safetensors", **given)
    with pytest.raises(InputError, match="got none"):
        collect_database(NAME, [], tmp_path / "out.safetensors", **given)
    with pytest.raises(InputError, match="most >= 1"):
        collect_database(NAME, [], tmp_path / "out.safetensors", **given, most=0)
    with pytest.raises(InputError, match=r"among most, side; got 'words'"):
        collect_database(NAME, [], tmp_path / "out.safetensors", **given, words=3)
    with pytest.raises(InputError, match=r"patch-database.*got 'poisson'"):
        collect_database("poisson", [], tmp_path / "out.safetensors", **given)
    assert [p.name for p in tmp_path.iterdir()] == ["flat.png"]
    with pytest.raises(FileError, match="Cannot write"):
        collect_database(NAME, [tmp_path / "flat.png"], tmp_path / "flat.png" / "x", **given)


def origin(**changes: Any) -> Origin:
    return replace(Origin.of(NAME, create_descriptor("sift"), 1), **changes)


def tensors(**changes: Tensor) -> dict[str, Tensor]:
    vectors, patches = torch.rand(5, 128).half(), torch.zeros(5, 3, 4, 4, dtype=torch.uint8)
    return {"vectors": vectors, "patches": patches} | changes


def test_none_and_others_are_refused(own: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Collect one with collect_database"):
        PatchDatabase("orb")
    with pytest.raises(InputError, match=r"collected with 'orb', got one collected with 'sift'"):
        PatchDatabase("orb", database=own)
    orb = extract(data.astronaut()[::4, ::4], descriptor="orb")
    with pytest.raises(InputError, match=r"collected with 'orb', got one collected with 'sift'"):
        PatchDatabase(database=own)(FeatureBatch.collate([orb]))
    other = tmp_path / "other.safetensors"
    Database(origin(method="ridge"), tensors()).save(other)
    with pytest.raises(FileError, match="it is one for 'ridge'"):
        PatchDatabase(database=other)
    with pytest.raises(InputError, match="got one for 'ridge'"):
        PatchDatabase(database=Database(origin(method="ridge"), tensors()))
    framed = Database(origin(frame=Frame(support=6.0)), tensors())
    with pytest.raises(InputError, match=r"support=12\.0.*support=6\.0"):
        PatchDatabase("sift", database=framed)
    with pytest.raises(InputError, match="probes >= 1"):
        PatchDatabase(database=own, probes=0)


def test_vectors_of_another_kind_are_refused(photo: Tensor, own: Path) -> None:
    method = PatchDatabase(database=own)
    luma = extract(photo, descriptor=create_descriptor("sift", gray="luma"))
    with pytest.raises(InputError, match=r"'gamma' gray.*got 'luma'"):
        method(FeatureBatch.collate([luma]))
    short = PatchDatabase(database=Database(origin(), tensors(vectors=torch.rand(5, 64).half())))
    features = FeatureBatch.collate([one_keypoint(20, 20)])
    with pytest.raises(InputError, match=r"of length 64, got .* of 128"):
        short(features)
    with pytest.raises(MissingFieldError, match="scales"):
        method(FeatureBatch.collate([one_keypoint(20, 20).without("scales")]))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"vectors": torch.zeros(4, 128).half()}, r"vectors .* \(4, 128\)"),
        ({"vectors": torch.full((5, 128), torch.nan).half()}, "vectors"),
        ({"vectors": torch.zeros(5, 128)}, r"torch\.float32"),
        ({"patches": torch.zeros(5, 3, 4, 5, dtype=torch.uint8)}, r"\(5, 3, 4, 5\)"),
        ({"patches": torch.zeros(5, 3, 4, 4)}, r"torch\.float32"),
        ({"vectors": torch.zeros(0, 128).half(), "patches": torch.zeros(0, 3, 4, 4).byte()}, "0"),
    ],
)
def test_strange_tensors_are_refused(changes: dict[str, Tensor], told: str) -> None:
    with pytest.raises(FileError, match=told):
        PatchDatabase(database=Database(origin(), tensors(**changes)))


def test_broken_files_are_refused(own: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    with pytest.raises(FileError, match="found none at"):
        PatchDatabase(database=path)
    with safe_open(own, "pt") as file:
        header = json.loads(file.metadata()[FORMAT])
    later = header | {"version": 2, "library": "invertdesc 99"}
    headless = {key: value for key, value in header.items() if key != "frame"}
    for meta, told in (
        (None, "not ours"),
        ({FORMAT: json.dumps(later)}, "invertdesc 99, later"),
        ({FORMAT: json.dumps(headless)}, "'frame'"),
        ({FORMAT: "["}, "Expecting"),
    ):
        save_file(tensors(), path, meta)
        with pytest.raises(FileError, match=told):
            PatchDatabase(database=path)
    path.write_bytes(own.read_bytes()[:-100])
    with pytest.raises(FileError, match="Expected a database"):
        PatchDatabase(database=path)


def test_faiss_is_asked_for_by_its_extra(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'invertdesc\[index\]'"):
        PatchDatabase(database=own)


def test_the_command_collects_and_reconstructs(
    pictures_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from invertdesc.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        return int(end.value.code or 0), *capsys.readouterr()

    path = tmp_path / "some.safetensors"
    given = ("index", "-m", NAME, "-d", "sift", "--data", pictures_folder, "-o", path)
    status, out, _ = run(*given, "--images", 3, "--most", 30, "-M", "side=8")
    assert (status, out) == (0, f"Wrote {path}: 90 patches of 3 pictures, for 'sift'.\n")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(
        next(pictures_folder.iterdir()).stat().st_mode
    )
    picture = tmp_path / "cat.png"
    database = ("-m", NAME, "-M", f"database={path}")
    assert run("reconstruct", pictures_folder / "cat.png", *database, "-o", picture)[0] == 0
    assert picture.is_file()
    status, _, err = run("index", "-m", "unfold", "--data", pictures_folder, "-o", path)
    assert status == 2
    assert "patch-database" in err
    status, _, err = run("reconstruct", pictures_folder / "cat.png", "-m", NAME)
    assert status == 2
    assert "database=FILE" in err
