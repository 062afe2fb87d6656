"""ALIKED, DISK and XFeat with random weights, and what attackers need of them."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from invertdesc import DownloadWarning, FeatureBatch, LocalFeatures, create_descriptor, reconstruct
from invertdesc.descriptors import Descriptor
from invertdesc.errors import FileError, InputError, MissingDependencyError
from invertdesc.features.provenance import Provenance

WHOLE = ("aliked-n16", "aliked-n16rot", "aliked-n32", "aliked-t16", "disk", "xfeat")
SHIPPED = (*WHOLE, "tfeat")
STORED = {"superpoint": 256, "dedode": 256, "r2d2": 128}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


def with_random_weights(name: str, folder: Path, **options: object) -> Descriptor:
    import kornia.feature

    path = folder / f"{name}.pth"
    if not path.exists():
        torch.manual_seed(0)
        if name.startswith("aliked"):
            state = kornia.feature.ALIKED(name).state_dict()
            del state["dkd.hw_grid"]  # the authors' files lack it
        elif name == "disk":
            state = {"extractor": kornia.feature.DISK().state_dict()}
        else:
            state = kornia.feature.XFeat().net.state_dict()
        torch.save(state, path)
    if name == "xfeat":  # a random heat map has no high peaks
        options = {"threshold": 0.015} | options
    return create_descriptor(name, weights=path, **options)


def stored(name: str, count: int = 60) -> LocalFeatures:
    """Features as a database has them: neither scales nor orientations, but for TFeat."""
    draw = torch.Generator().manual_seed(1)
    turning = create_descriptor(name).frame.rotated
    return LocalFeatures(
        keypoints=torch.rand(count, 2, generator=draw) * 90,
        descriptors=torch.randn(count, create_descriptor(name).dim, generator=draw),
        image_size=(96, 96),
        descriptor=name,
        scales=torch.full((count,), 2.0) if turning else None,
        orientations=torch.zeros(count) if turning else None,
    )


@pytest.mark.parametrize("name", ["aliked-t16", "disk", "xfeat"])
@pytest.mark.parametrize("enlarge", [1.0, 2.0])
def test_what_is_found_is_described_again(
    name: str, enlarge: float, folder: Path, astronaut: torch.Tensor
) -> None:
    adapter = with_random_weights(name, folder, enlarge=enlarge)
    image = astronaut[:, 20:120, 60:150]  # sides that no network takes as they are
    found = adapter.extract(image)
    assert len(found) > 20
    assert torch.equal(found.scales, torch.full((len(found),), 1 / enlarge))
    again = adapter.describe(image, found)
    assert torch.equal(again.rows, torch.arange(len(found)))
    assert torch.equal(again.features.keypoints, found.keypoints)
    elsewhere = replace(found, keypoints=(found.keypoints + 9) % 80)
    moved = adapter.describe(image, elsewhere).features.descriptors
    vectors = adapter.encode(found.descriptors)
    right, wrong = ((vectors - v).norm(dim=1) for v in (again.features.descriptors, moved))
    assert right.max() < 0.01 * wrong.mean()  # random networks tell little of the place


@pytest.mark.parametrize("name", ["aliked-t16", "disk", "xfeat"])
def test_gradients_pass_through(name: str, folder: Path, astronaut: torch.Tensor) -> None:
    adapter = with_random_weights(name, folder)
    gray = astronaut[:, :64, :64].mean(0).clone().requires_grad_()
    batch = FeatureBatch.collate([stored(name)])
    adapter.respond(gray, batch)[:, 0].sum().backward()
    assert float(gray.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", ["aliked-t16", "disk", "xfeat"])
def test_the_strongest_are_kept(name: str, folder: Path, astronaut: torch.Tensor) -> None:
    every = with_random_weights(name, folder).extract(astronaut[:, :96, :96])
    few = with_random_weights(name, folder, max_num_keypoints=5).extract(astronaut[:, :96, :96])
    assert len(few) == 5
    assert few.scores.min() >= every.scores.sort(descending=True).values[4]


@pytest.mark.parametrize("name", ["aliked-t16", "disk", "xfeat"])
def test_tiny_pictures_do_no_harm(name: str, folder: Path) -> None:
    adapter = with_random_weights(name, folder)
    for height, width in ((1, 1), (5, 7), (16, 16), (17, 40)):
        image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
        found = adapter.extract(image)
        assert found.descriptors.shape == (len(found), adapter.dim)
        corner = LocalFeatures(
            keypoints=torch.zeros(1, 2),
            descriptors=torch.zeros(1, adapter.dim),
            image_size=(height, width),
            descriptor=name,
        )
        assert adapter.describe(image, corner).features.descriptors.isfinite().all()


def test_scales_say_how_large_the_network_saw_the_picture(
    folder: Path, astronaut: torch.Tensor
) -> None:
    adapter = with_random_weights("disk", folder)
    image = astronaut[:, :64, :64]
    fine = LocalFeatures(
        keypoints=torch.tensor([[20.0, 30.0]]),
        descriptors=torch.zeros(1, 128),
        image_size=(64, 64),
        descriptor="disk",
        scales=torch.tensor([0.5]),
    )
    larger = F.interpolate(image[None], scale_factor=2, mode="bicubic", antialias=True)[0]
    there = LocalFeatures(
        keypoints=fine.keypoints * 2 + 0.5,
        descriptors=fine.descriptors,
        image_size=(128, 128),
        descriptor="disk",
    )
    one = adapter.describe(image, fine).features.descriptors
    other = adapter.describe(larger.clamp(0, 1), there).features.descriptors
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", SHIPPED)
def test_stored_features_reconstruct_without_kornia(
    name: str, monkeypatch: pytest.MonkeyPatch, astronaut: torch.Tensor
) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    monkeypatch.setitem(sys.modules, "kornia.feature", None)
    adapter = create_descriptor(name)
    assert adapter.unfolding.frame == adapter.frame
    features = stored(name)
    picture = reconstruct(features, method="poisson")
    assert picture.shape == (3, 96, 96)
    assert picture.std() > 0.1
    assert reconstruct(features, method="unfold").isfinite().all()
    with pytest.raises(MissingDependencyError, match="kornia"):
        adapter.extract(astronaut)


def test_the_default_downloads_nothing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    import kornia.feature

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a download was tried")

    monkeypatch.setattr(kornia.feature.XFeat, "from_pretrained", refuse)
    features = stored("xfeat")
    plain = reconstruct(features)
    assert torch.equal(plain, reconstruct(features, method="unfold"))
    adapter = with_random_weights("xfeat", folder)
    assert reconstruct(features, descriptor=adapter).shape == plain.shape


@pytest.mark.parametrize("name", WHOLE)
def test_missing_scales_are_one(name: str) -> None:
    bare = stored(name)
    assert create_descriptor(name).frame.needs == ()
    one = replace(bare, scales=torch.ones(len(bare)))
    torch.testing.assert_close(
        reconstruct(bare, method="poisson"), reconstruct(one, method="poisson")
    )
    half = replace(bare, scales=torch.full((len(bare),), 0.5))
    assert not torch.allclose(
        reconstruct(bare, method="poisson"), reconstruct(half, method="poisson"), atol=0.01
    )


@pytest.mark.parametrize("name", STORED)
def test_stored_only(name: str, astronaut: torch.Tensor) -> None:
    adapter = create_descriptor(name)
    assert adapter.encode(torch.full((2, STORED[name]), 3.0)).norm(dim=1).allclose(torch.ones(2))
    with pytest.raises(InputError, match="with an extractor, got"):
        adapter.extract(astronaut)
    with pytest.raises(FileError, match=f"unfolding for '{name}'.*fit_unfolding"):
        _ = adapter.unfolding
    with pytest.raises(InputError, match=rf"\(N, {STORED[name]}\)"):
        adapter.encode(torch.zeros(1, 7))


def test_weights_that_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, astronaut: torch.Tensor
) -> None:
    import kornia.feature

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Failed to load weights from all 2 source(s)")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    for name, network in (("aliked-n32", "ALIKED"), ("disk", "DISK"), ("xfeat", "XFeat")):
        monkeypatch.setattr(getattr(kornia.feature, network), "from_pretrained", refuse)
        with (
            pytest.warns(DownloadWarning, match=f"'{name}'"),
            pytest.raises(FileError, match=rf"weights for '{name}'.*weights=PATH"),
        ):
            create_descriptor(name).extract(astronaut)
        with pytest.raises(FileError, match="found none at"):
            create_descriptor(name, weights=tmp_path / "none.pth").extract(astronaut)


def test_weights_of_another_network(folder: Path, astronaut: torch.Tensor) -> None:
    with_random_weights("disk", folder)
    with pytest.raises(FileError, match="Expected weights for 'xfeat', got"):
        create_descriptor("xfeat", weights=folder / "disk.pth").extract(astronaut)


def test_options_out_of_range() -> None:
    with pytest.raises(InputError, match="enlarge"):
        create_descriptor("xfeat", enlarge=0.0)
    with pytest.raises(InputError, match="max_num_keypoints"):
        create_descriptor("disk", max_num_keypoints=0)


def test_provenance_has_the_options(folder: Path, astronaut: torch.Tensor) -> None:
    found = with_random_weights("xfeat", folder, threshold=0.02).extract(astronaut[:, :64, :64])
    assert isinstance(found.provenance, Provenance)
    assert found.provenance.gray == "luma"
    assert found.provenance.producer.startswith("kornia ")
    assert found.provenance.parameters["threshold"] == 0.02
