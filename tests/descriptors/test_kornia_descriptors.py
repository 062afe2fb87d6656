import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from invertdesc import (
    DownloadWarning,
    FeatureBatch,
    FieldRasterizer,
    LocalFeatures,
    create_descriptor,
    fit_unfolding,
)
from invertdesc.errors import FileError, InputError, MissingDependencyError, MissingFieldError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray
from invertdesc.methods.poisson import Poisson

OFFLINE = ("sift-kornia", "mkd")
LEARNED = {"hardnet": "HardNet", "sosnet": "SOSNet", "hynet": "HyNet"}


def likeness(a: torch.Tensor, b: torch.Tensor) -> float:
    return F.cosine_similarity(a, b).mean().item()


@pytest.fixture(scope="module")
def few(astronaut_features: LocalFeatures) -> LocalFeatures:
    return astronaut_features[:40]


@pytest.mark.parametrize("name", OFFLINE)
def test_describe_keeps_keypoints(name: str, astronaut: torch.Tensor, few: LocalFeatures) -> None:
    adapter = create_descriptor(name)
    found = adapter.describe(astronaut, few).features
    assert torch.equal(found.keypoints, few.keypoints)
    assert found.descriptor == name
    assert found.provenance.producer.startswith("kornia ")
    lengths = adapter.encode(found.descriptors).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(len(few)))


def test_sift_agrees_with_opencv(astronaut: torch.Tensor, few: LocalFeatures) -> None:
    kornia, opencv = create_descriptor("sift-kornia"), create_descriptor("sift")
    ours = opencv.encode(few.descriptors)

    def read(features: LocalFeatures) -> torch.Tensor:
        return kornia.encode(kornia.describe(astronaut, features).features.descriptors)

    right = likeness(read(few), ours)
    assert right > 0.85
    turns = few.orientations
    for wrong in (
        replace(few, orientations=-turns),
        replace(few, orientations=turns + math.pi / 2),
        replace(few, scales=few.scales * 2),
        replace(few, scales=few.scales / 2),
    ):
        assert likeness(read(wrong), ours) < right - 0.1


def test_root_is_undone(astronaut: torch.Tensor, few: LocalFeatures) -> None:
    plain, root = (create_descriptor("sift-kornia", rootsift=r) for r in (False, True))
    a, b = (d.encode(d.describe(astronaut, few).features.descriptors) for d in (plain, root))
    torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", OFFLINE)
def test_turned_picture(name: str, astronaut: torch.Tensor, few: LocalFeatures) -> None:
    adapter = create_descriptor(name)
    turned = astronaut.rot90(-1, (1, 2))  # clockwise: x' = H - 1 - y, y' = x
    x, y = few.keypoints.unbind(1)
    moved = replace(
        few,
        keypoints=torch.stack([astronaut.shape[1] - 1 - y, x], 1),
        orientations=few.orientations + math.pi / 2,
    )
    a = adapter.describe(astronaut, few).features.descriptors
    b = adapter.describe(turned, moved).features.descriptors
    assert likeness(a, b) > 0.99


@pytest.mark.parametrize("name", OFFLINE)
def test_inverts(name: str, astronaut: torch.Tensor) -> None:
    adapter = create_descriptor(name)
    picture = Poisson(adapter)(FeatureBatch.collate([adapter.extract(astronaut)]))
    assert ncc(picture[0, 0], to_gray(astronaut)) > 0.7


def test_keeps_the_strongest(astronaut: torch.Tensor) -> None:
    found = create_descriptor("mkd", max_num_keypoints=5).extract(astronaut)
    every = create_descriptor("sift").extract(astronaut)
    assert len(found) == 5
    assert found.scores.min() >= every.scores.sort(descending=True).values[4]
    with pytest.raises(InputError, match="max_num_keypoints >= 1"):
        create_descriptor("mkd", max_num_keypoints=0)


@pytest.mark.parametrize("name", OFFLINE)
def test_no_keypoints(name: str) -> None:
    adapter = create_descriptor(name)
    found = adapter.extract(torch.full((3, 40, 40), 0.5))
    assert found.descriptors.shape == (0, adapter.dim)


def test_needs_scales_and_this_size(astronaut: torch.Tensor, few: LocalFeatures) -> None:
    adapter = create_descriptor("mkd")
    with pytest.raises(MissingFieldError, match="scales"):
        adapter.describe(astronaut, few.without("scales"))
    with pytest.raises(InputError, match="features of an image of"):
        adapter.describe(astronaut[:, :100], few)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("hardnet", "nested.pth"), ("sosnet", ".pth"), ("hynet", ".safetensors")],
)
def test_learned_with_weights(
    name: str, suffix: str, tmp_path: Path, astronaut: torch.Tensor, few: LocalFeatures
) -> None:
    import kornia.feature
    from safetensors.torch import save_file

    torch.manual_seed(0)
    state = getattr(kornia.feature, LEARNED[name])(pretrained=False).state_dict()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if suffix == "nested.pth" else state, path)
    adapter = create_descriptor(name, weights=path)
    found = adapter.describe(astronaut, few).features
    assert found.descriptors.shape == (len(few), 128)
    torch.testing.assert_close(found.descriptors.norm(dim=1), torch.ones(len(few)))
    assert torch.equal(found.descriptors, adapter.describe(astronaut, few).features.descriptors)
    found.save(tmp_path / "features.npz")
    loaded = LocalFeatures.load(tmp_path / "features.npz")
    assert loaded.provenance.parameters["weights"] == str(path)


def test_learned_is_fitted_and_inverted(tmp_path: Path, astronaut: torch.Tensor) -> None:
    import kornia.feature

    torch.manual_seed(0)
    path = tmp_path / "hardnet.pth"
    torch.save(kornia.feature.HardNet(pretrained=False).state_dict(), path)
    adapter = create_descriptor("hardnet", weights=path, max_num_keypoints=30)
    with pytest.raises(FileError, match="Fit one in seconds with fit_unfolding"):
        _ = adapter.unfolding
    fitted = fit_unfolding(adapter, [astronaut])
    batch = FeatureBatch.collate([adapter.extract(astronaut)])
    assert FieldRasterizer(adapter, unfolding=fitted)(batch).picture.isfinite().all()


def test_learned_without_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, astronaut: torch.Tensor, few: LocalFeatures
) -> None:
    import kornia.feature

    def refuse(pretrained: bool) -> None:
        raise RuntimeError("Failed to load weights from all 2 source(s)")

    monkeypatch.setattr(kornia.feature, "SOSNet", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with (
        pytest.warns(DownloadWarning, match="'sosnet'"),
        pytest.raises(FileError, match=r"weights for 'sosnet'.*weights=PATH"),
    ):
        create_descriptor("sosnet").describe(astronaut, few)
    with pytest.raises(FileError, match="found none at"):
        create_descriptor("hynet", weights=tmp_path / "none.pth").describe(astronaut, few)
    for name, content in (("a.pth", b"no weights"), ("a.safetensors", b"none"), ("b.pth", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileError, match="Expected weights for 'hynet', got"):
            create_descriptor("hynet", weights=tmp_path / name).describe(astronaut, few)
    torch.save({"other": torch.zeros(1)}, tmp_path / "c.pth")
    with pytest.raises(FileError, match="Expected weights for 'hynet', got"):
        create_descriptor("hynet", weights=tmp_path / "c.pth").describe(astronaut, few)


def test_kornia_is_missing(
    monkeypatch: pytest.MonkeyPatch, astronaut: torch.Tensor, few: LocalFeatures
) -> None:
    monkeypatch.setitem(sys.modules, "kornia.feature", None)
    adapter = create_descriptor("mkd")
    with pytest.raises(MissingDependencyError, match="pip install kornia"):
        adapter.describe(astronaut, few)
    assert adapter.encode(torch.ones(2, 238)).shape == (2, 238)  # the attacker needs no kornia
