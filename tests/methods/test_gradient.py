from dataclasses import replace
from typing import Any

import pytest
import torch
from skimage import data

from invertdesc import FeatureBatch, create_descriptor, create_method, extract, reconstruct
from invertdesc.errors import InputError, MissingFieldError, UnknownNameError
from invertdesc.evaluation.metrics import ncc, psnr, ssim
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_gray, to_image, to_uint8
from invertdesc.methods.gradient import Gradient, UnfoldGradient, distance


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return to_image(data.astronaut()[40:136, 180:276])


def _as_seen(photo: torch.Tensor) -> torch.Tensor:
    """Return the gray that extractors get, in steps of 1 / 255."""
    return torch.as_tensor(to_uint8(to_gray(photo))) / 255


def _apart(name: str, features: LocalFeatures, gray: torch.Tensor) -> float:
    """Return the mean squared distance of vectors of length 1."""
    adapter = create_descriptor(name)
    made = adapter.encode(adapter.respond(gray, FeatureBatch.collate([features])))
    return float((made - adapter.encode(features.descriptors)).square().sum(1).mean())


@pytest.mark.parametrize("name", ["sift", "rootsift", "sift-dense"])
def test_sift_responds_as_opencv_does(name: str) -> None:
    image = to_image(data.astronaut()[:200, 100:320])
    features = extract(image, descriptor=name)
    gray = _as_seen(image)
    assert _apart(name, features, gray) < 0.004  # 2 is the most
    elsewhere = replace(features, keypoints=features.keypoints + 2.0)
    assert _apart(name, elsewhere, gray) > 0.03


def test_keypoints_of_opencv_are_rounded_and_others_are_not() -> None:
    image = to_image(data.astronaut()[:200, 100:320])
    features = extract(image, descriptor="sift")
    foreign = replace(features, provenance=replace(features.provenance, producer="colmap"))
    gray = _as_seen(image)
    assert _apart("sift", features, gray) < 0.7 * _apart("sift", foreign, gray)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"block_norm": "L1", "cells_per_block": 2},
        {"block_norm": "L1-sqrt", "orientations": 7},
        {"block_norm": "L2", "transform_sqrt": True, "pixels_per_cell": 6},
    ],
    ids=str,
)
def test_hog_responds_as_scikit_image_does(photo: torch.Tensor, options: dict[str, Any]) -> None:
    image = photo.clone()
    image[:, 20:50, 30:70] = 0.0  # where roots and angles have no gradient
    adapter = create_descriptor("hog", **options)
    features = adapter.extract(image)[5:]
    gray = _as_seen(image).requires_grad_()
    made = adapter.respond(gray, FeatureBatch.collate([features]))
    torch.testing.assert_close(made.detach(), features.descriptors, atol=1e-4, rtol=0)
    assert bool(adapter.respond(gray - 0.5, FeatureBatch.collate([features])).isfinite().all())
    made.square().sum().backward()
    assert gray.grad is not None
    assert bool(gray.grad.isfinite().all())
    assert float(gray.grad.abs().max()) > 0


def test_hog_of_other_cells_is_refused(photo: torch.Tensor) -> None:
    features = create_descriptor("hog", pixels_per_cell=6).extract(photo)
    with pytest.raises(InputError, match="cells of 8 pixels, got others"):
        create_descriptor("hog").respond(to_gray(photo), FeatureBatch.collate([features]))


@pytest.mark.parametrize("name", ["sift", "rootsift", "sift-dense", "hog", "sift-kornia"])
def test_descriptors_come_tenfold_nearer(photo: torch.Tensor, name: str) -> None:
    adapter = create_descriptor(name)
    features = extract(photo, descriptor=adapter)
    batch = FeatureBatch.collate([features])
    given = adapter.encode(features.descriptors)
    start, end = (reconstruct(features, method=method) for method in ("poisson", "gradient"))
    before, after = (float(distance(adapter, one[0], batch, given)) for one in (start, end))
    assert after < before / 10
    assert 0 <= float(end.min()) < float(end.max()) <= 1
    if name != "hog":  # which does not tell light from dark
        gray = to_gray(photo)
        assert float(ncc(end[0], gray)) > float(ncc(start[0], gray)) + 0.01


def test_from_unfold_it_gets_nearer_to_the_truth_and_keeps_the_colours(photo: torch.Tensor) -> None:
    features = extract(photo)
    start, end = (reconstruct(features, method=name) for name in ("unfold", "unfold+gradient"))
    gray = to_gray(photo)
    for measure, more in ((ncc, 0.02), (ssim, 0.03)):
        assert float(measure(to_gray(end), gray)) > float(measure(to_gray(start), gray)) + more
    assert float(psnr(end, photo)) > float(psnr(start, photo))
    hues = [one.pow(1 / 2.2) - to_gray(one) for one in (start, end)]
    torch.testing.assert_close(*hues, atol=0.02, rtol=0.0)
    assert float(hues[0].abs().max()) > 0.05


def test_smoothing_takes_no_contrast(photo: torch.Tensor) -> None:
    """Descriptors do not contain it, so that a strong prior would leave a flat picture."""
    batch = FeatureBatch.collate([extract(photo)])
    start = to_gray(create_method("backprojection", steps=3)(batch)[0])
    end = to_gray(UnfoldGradient(steps=10, variation=50.0)(batch)[0])
    roughness = [float(one.diff(dim=0).square().mean()) for one in (start, end)]
    assert roughness[1] < 0.8 * roughness[0]
    assert float(end.std()) == pytest.approx(float(start.std()), rel=0.02)
    assert float(end.mean()) == pytest.approx(float(start.mean()), abs=0.005)


def test_it_starts_from_noise_where_there_is_no_unfolding(photo: torch.Tensor) -> None:
    features = extract(photo, descriptor="mkd")
    method = Gradient(start="noise", steps=40, rate=0.05)
    picture = reconstruct(features, method=method)
    assert float(ncc(picture[0], to_gray(photo))) > 0.3
    assert torch.equal(picture, reconstruct(features, method=method))


def test_what_it_cannot_do_is_told(photo: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"such as 'sift'.*got 'orb'.*'unfold'"):
        reconstruct(photo, descriptor="orb", method="gradient")
    lacking = extract(photo, descriptor="sift").without("orientations")
    with pytest.raises(MissingFieldError, match="orientations"):
        create_method("gradient")(FeatureBatch.collate([lacking]))
    with pytest.raises(UnknownNameError, match=r"'poison'.*Did you mean 'poisson'"):
        Gradient(start="poison")
    for name, bad in {"steps": 0, "rate": 0.0}.items():
        with pytest.raises(InputError, match=rf"Expected {name} >=? [01], got {bad}\."):
            Gradient(**{name: bad})


@pytest.mark.parametrize("name", ["sift", "hog", "sift-kornia"])
def test_no_keypoints_leave_the_start(name: str) -> None:
    features = extract(torch.full((3, 40, 40), 0.5), descriptor=name)[:0]
    method = create_method("gradient", descriptor=name)
    assert method(FeatureBatch.collate([features])).shape == (1, 3, 40, 40)
