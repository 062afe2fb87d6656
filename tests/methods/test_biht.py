import pytest
import torch
from skimage import data

from invertdesc import (
    FeatureBatch,
    create_descriptor,
    create_method,
    extract,
    list_descriptors,
    reconstruct,
)
from invertdesc.errors import FileError, InputError, MissingFieldError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.methods.biht import Biht, hard_thresholding, weighted_haar
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.pattern import Pattern, box_means

# Shares of right bits measured by tools/measure_patterns.py, less 0.02.
RIGHT = {"brief": 0.96, "brisk": 0.95, "freak": 0.91, "orb": 0.91}
TILE = 32


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return to_image(data.astronaut()[20:212, 130:322])


@pytest.fixture(scope="module")
def brief_like() -> Pattern:
    """512 pairs of 9 x 9 boxes anywhere in a patch of 32 x 32 pixels, as in the paper's setting."""
    draw = torch.Generator().manual_seed(42)
    centres = torch.randint(4, TILE - 4, (512, 2, 2), generator=draw)
    boxes = torch.cat([(centres + 0.5) / TILE - 0.5, torch.full((512, 2, 1), 9 / TILE)], 2)
    return Pattern(boxes, Frame(float(TILE), scaled=False, rotated=False))


@pytest.fixture(scope="module")
def tiles() -> torch.Tensor:
    """(N, 1024) patches of 32 x 32 pixels of photographs."""
    photos = (data.astronaut()[:256, 96:352], data.coffee()[100:356, 150:406])
    grays = torch.stack([to_gray(to_image(one)) for one in photos])
    return grays.unfold(1, TILE, TILE).unfold(2, TILE, TILE).reshape(-1, TILE * TILE)


def test_box_means_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0.0, 0.5], [0.25, -0.25, 0.25], [0.5, 0.0, 1.0]])
    middle, cell, cut = box_means(boxes, 4).view(3, 4, 4)
    assert middle.tolist() == [[0] * 4, *[[0, 0.25, 0.25, 0]] * 2, [0] * 4]
    assert cell[:2, 2:].tolist() == [[0.25, 0.25], [0.25, 0.25]]
    assert float(cell.sum()) == 1
    assert cut.tolist() == [[0, 0, 0.125, 0.125]] * 4  # of what lies in the frame


@pytest.mark.parametrize("name", RIGHT)
def test_patterns_predict_the_bits_of_photographs(name: str, photo: torch.Tensor) -> None:
    adapter, pattern = create_descriptor(name), Pattern.shipped(name)
    assert pattern is not None
    features = adapter.extract(photo)
    told = pattern.differences(to_gray(photo), FeatureBatch.collate([features])) > 0
    right = told == (adapter.encode(features.descriptors) > 0)
    assert len(features) > 20
    assert float(right.float().mean()) > RIGHT[name]


def test_patterns_are_written_and_read(brief_like: Pattern, tmp_path) -> None:
    path = tmp_path / "pattern.safetensors"
    brief_like.save(path, card={"from": "a test"})
    read = Pattern.load(path)
    assert read.frame == brief_like.frame
    torch.testing.assert_close(read.boxes, brief_like.boxes, atol=1e-3, rtol=0)
    path.write_bytes(b"none")
    with pytest.raises(FileError, match="pattern that invertdesc wrote"):
        Pattern.load(path)
    with pytest.raises(FileError, match="found none"):
        Pattern.load(tmp_path / "missing")
    Pattern(torch.full((3, 2, 3), torch.nan), brief_like.frame).save(path)
    with pytest.raises(FileError, match="finite"):
        Pattern.load(path)


def test_wavelets_are_orthogonal_and_fall_with_their_size() -> None:
    wavelets = weighted_haar(8)
    gram = wavelets @ wavelets.T
    torch.testing.assert_close(gram, gram.diag().diag(), atol=1e-6, rtol=0)
    assert float(gram[0, 0]) == pytest.approx(1)  # the mean
    assert float(gram.diag().min()) == pytest.approx(1 / 16)  # 2 cells of 8: a quarter, squared


def test_hard_thresholding_finds_a_sparse_vector_from_signs() -> None:
    draw = torch.Generator().manual_seed(0)
    true = torch.zeros(4, 64)
    for row in true:
        row[torch.randperm(64, generator=draw)[:5]] = torch.randn(5, generator=draw)
    matrix = torch.nn.functional.normalize(torch.randn(600, 64, generator=draw), dim=1)
    found = hard_thresholding(matrix, torch.sign(true @ matrix.T), keep=5, steps=60)
    assert (found.count_nonzero(1) <= 5).all()
    assert (torch.cosine_similarity(found, true) > 0.99).all()


@pytest.mark.parametrize("grid", [16, 32])
def test_patches_come_back_from_512_comparisons(
    grid: int, tiles: torch.Tensor, brief_like: Pattern
) -> None:
    bits = torch.where(tiles @ brief_like.matrix(TILE).T > 0, 1.0, -1.0)
    patches = Biht(grid=grid).patches(brief_like, bits)[:, None]
    made = torch.nn.functional.interpolate(patches, size=TILE, mode="bilinear").flatten(1)
    both = (part - part.mean(1, keepdim=True) for part in (made, tiles))
    assert float(torch.cosine_similarity(*both).mean()) > 0.72  # 0.65 was to be shown


@pytest.mark.parametrize("name", RIGHT)
def test_pictures_come_back_from_bits(name: str, photo: torch.Tensor) -> None:
    features = extract(photo, descriptor=name)
    picture = reconstruct(features, method=Biht(stride=2))
    assert float(ncc(picture[0], to_gray(photo))) > 0.6
    assert torch.equal(picture[0], picture[2])


def test_what_it_cannot_do_is_told(photo: torch.Tensor, brief_like: Pattern) -> None:
    for name in set(list_descriptors()) - set(RIGHT) - {"hardnet", "hynet", "sosnet"}:
        with pytest.raises(InputError, match=rf"brief, brisk, freak, orb.*got '{name}'.*'poisson'"):
            create_method("biht", descriptor=name)
    with pytest.raises(InputError, match=r"got 'sift'"):
        reconstruct(extract(photo, descriptor="sift"), method="biht")
    lacking = extract(photo, descriptor="orb").without("scales")
    with pytest.raises(MissingFieldError, match="scales"):
        create_method("biht")(FeatureBatch.collate([lacking]))
    with pytest.raises(InputError, match=r"\(N, 512\), got \(2, 256\)"):
        Biht().patches(brief_like, torch.ones(2, 256))
    for name, bad in {"keep": 0.0, "steps": 0, "grid": 12}.items():
        with pytest.raises(InputError, match=rf"Expected {name} .*[,;] got {bad}\."):
            Biht(**{name: bad})
