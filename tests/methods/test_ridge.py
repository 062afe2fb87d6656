from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from skimage import data
from sklearn.linear_model import Ridge as Regression
from torch import Tensor

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor, create_method, extract
from invertdesc.errors import FileError, InputError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.methods._merge import Windows
from invertdesc.methods._pairs import CONTRAST_FLOOR, gather_pairs, penalty_of, to_unit
from invertdesc.methods.database import Collection, Database, collect_database
from invertdesc.methods.poisson import TONES
from invertdesc.methods.ridge import Ridge
from invertdesc.unfolding.sample import sample_frames


@pytest.fixture(scope="module")
def hog_file(pictures_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ridge") / "hog.safetensors"
    images = sorted(pictures_folder.iterdir())
    line = collect_database("ridge", images, path, descriptor="hog", most=200, blocks=3)
    assert line == "an inverse of 'hog', fitted to 1200 patches of 6 pictures."
    return path


@pytest.fixture(scope="module")
def seen() -> Tensor:
    return to_image(data.astronaut()[40:168, 90:250])


def likeness(features: LocalFeatures, image: Tensor, **options: object) -> float:
    picture = create_method("ridge", **options)(FeatureBatch.collate([features]))
    return float(ncc(picture[:, 0], to_gray(image)[None]))


def test_a_window_is_a_block_and_those_around_it() -> None:
    adapter = create_descriptor("hog", cells_per_block=1, orientations=2)
    raw = torch.arange(1.0, 25.0).view(12, 2)
    whole = adapter.from_vector(raw, (24, 32))
    windows = Windows(adapter, 3)
    found = windows.vectors(FeatureBatch.collate([whole])).view(3, 4, 2, 3, 3)
    blocks = adapter.encode(raw).view(3, 4, 2)
    torch.testing.assert_close(found[1, 2], blocks[0:3, 1:4].permute(2, 0, 1))
    assert not found[0, 0, :, 0].any()  # above the picture
    torch.testing.assert_close(found[0, 0, :, 1, 1], blocks[0, 0])
    assert (windows.frame.support, windows.grid) == (3.0, 12)

    some = FeatureBatch.collate([whole[[6, 5]]])  # row 1, columns 2 and 1
    rows = windows.vectors(some).view(2, 2, 3, 3)
    torch.testing.assert_close(rows[0, :, 1, :2], blocks[1, 1:3].T)
    assert rows[0].count_nonzero() == 4


def test_patches_are_sampled_in_the_keypoints_frame() -> None:
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    middle, side = torch.tensor([[30.0, 20.0]]), torch.tensor([16.0])
    upright = sample_frames(x, middle, side, torch.zeros(1), 4, least_blur=0.5)[0, 0]
    torch.testing.assert_close(upright, torch.tensor([24.0, 28, 32, 36]).expand(4, 4))
    quarter = torch.tensor([torch.pi / 2])
    turned = sample_frames(y, middle, side, quarter, 4, least_blur=0.5)[0, 0]
    # The frame's right is then the picture's down.
    torch.testing.assert_close(turned, torch.tensor([14.0, 18, 22, 26]).expand(4, 4))


def test_it_is_scikit_learns_regression(pictures_folder: Path, hog_file: Path) -> None:
    windows = Windows(create_descriptor("hog"), 3)
    images = sorted(pictures_folder.iterdir())
    pairs = gather_pairs(Collection("ridge", images, Path("none"), windows.adapter), windows, 200)
    assert pairs.vectors.shape == (1200, 9 * 81)
    assert pairs.patches.shape == (1200, 20 * 20)
    assert float(pairs.patches.mean(1).abs().max()) < 1e-6
    model = Regression(alpha=penalty_of(pairs.vectors, 0.02))
    model.fit(pairs.vectors.numpy(), to_unit(pairs.patches, CONTRAST_FLOOR).numpy())
    wanted = torch.from_numpy(model.predict(pairs.vectors[:9].numpy()))
    found = Ridge("hog", database=hog_file).infer(pairs.vectors[:9])
    torch.testing.assert_close(found, wanted, atol=2e-4, rtol=0)


@pytest.mark.parametrize("merge", ["poisson", "average"])
def test_hog_shows_the_picture(hog_file: Path, seen: Tensor, merge: str) -> None:
    features = extract(seen, descriptor="hog")
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    shuffled = LocalFeatures(
        keypoints=features.keypoints,
        descriptors=features.descriptors[order],
        image_size=features.image_size,
        descriptor="hog",
        scales=features.scales,
    )
    options = {"database": hog_file, "merge": merge}
    right, wrong = (likeness(one, seen, **options) for one in (features, shuffled))
    assert right > wrong + 0.1
    assert right > (0.25 if merge == "poisson" else 0.15)


def test_sift_shows_the_picture(database: Callable[[str], Path], seen: Tensor) -> None:
    features = extract(seen, descriptor="sift")
    assert likeness(features, seen, database=database("ridge")) > 0.6


def test_flat_blocks_are_silent(hog_file: Path) -> None:
    picture = torch.full((3, 64, 64), 0.5)
    features = extract(picture, descriptor="hog")
    assert len(features) == 36
    found = create_method("ridge", database=hog_file)(FeatureBatch.collate([features]))
    mean, _ = TONES[features.provenance.gray_mode]
    torch.testing.assert_close(to_gray(found), torch.full((1, 64, 64), mean))


def test_what_it_cannot_work_with_is_told(
    hog_file: Path, pictures_folder: Path, tmp_path: Path, seen: Tensor
) -> None:
    with pytest.raises(InputError, match="collected with 'sift', got one collected with 'hog'"):
        create_method("ridge", descriptor="sift", database=hog_file)
    with pytest.raises(InputError, match=r"Collect one with collect_database.*database=FILE"):
        create_method("ridge", descriptor="hog")
    with pytest.raises(FileError, match="it is one for 'ridge'"):
        create_method("paired-dictionary", database=hog_file)
    with pytest.raises(InputError, match="merge among 'poisson', 'average'"):
        create_method("ridge", database=hog_file, merge="seamless")
    later = create_method("ridge", database=hog_file)
    with pytest.raises(InputError, match="collected with 'sift'"):
        later(FeatureBatch.collate([extract(seen, descriptor="sift")]))
    images = sorted(pictures_folder.iterdir())[:1]
    for option in ({"blocks": 2}, {"most": 0}, {"penalty": 0.0}):
        with pytest.raises(InputError, match="Expected"):
            collect_database("ridge", images, tmp_path / "x", descriptor="hog", **option)
    assert not list(tmp_path.iterdir())


def test_a_part_that_is_missing_is_told(hog_file: Path) -> None:
    whole = Database.load(hog_file, "ridge")
    less = Database(whole.origin, {k: v for k, v in whole.tensors.items() if k != "bias"})
    with pytest.raises(FileError, match="without bias"):
        create_method("ridge", database=less)
