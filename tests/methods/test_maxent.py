import pytest
import torch
from skimage import data

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor, create_method, extract
from invertdesc.descriptors._histograms import SoftHistograms
from invertdesc.errors import InputError, MissingFieldError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.methods.maxent import MaxEnt


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return to_image(data.astronaut()[20:148, 150:310])


@pytest.fixture(scope="module")
def features(photo: torch.Tensor) -> LocalFeatures:
    return extract(photo, descriptor="sift")


def _apart(vectors: torch.Tensor, features: LocalFeatures) -> float:
    given = create_descriptor("sift").encode(features.descriptors)
    return float((vectors - given).square().sum(1).mean())


def test_histograms_are_those_of_opencv(photo: torch.Tensor, features: LocalFeatures) -> None:
    one = FeatureBatch.collate([features])
    histograms = SoftHistograms(one, create_descriptor("sift").frame, rounded=True)
    vectors, contrast = histograms(to_gray(photo))
    assert _apart(vectors, features) < 0.005  # of vectors of length 1; 2 is the most
    brighter, more = histograms(0.5 * to_gray(photo) + 0.3)
    torch.testing.assert_close(brighter, vectors, atol=0.05, rtol=0)
    torch.testing.assert_close(more, contrast / 2, atol=1e-3, rtol=1e-2)


def test_a_ramp_fills_the_bin_of_its_direction() -> None:
    # Upwards brighter, as the bins count: counter-clockwise from the right, 90 degrees is bin 2.
    ramp = torch.linspace(1, 0, 64)[:, None].expand(64, 64)
    features = LocalFeatures(
        keypoints=torch.tensor([[32.0, 32.0], [32.0, 32.0]]),
        descriptors=torch.zeros(2, 128),
        image_size=(64, 64),
        descriptor="sift",
        scales=torch.full((2,), 2.0),
        orientations=torch.tensor([0.0, -torch.pi / 2]),  # the second looks upwards itself
    )
    one = FeatureBatch.collate([features])
    vectors, _ = SoftHistograms(one, create_descriptor("sift").frame)(ramp)
    mass = vectors.view(2, 16, 8).sum(1)
    assert mass.argmax(1).tolist() == [2, 0]
    assert float(mass.max(1).values.min() / mass.sum(1).max()) > 0.99


def test_moments_come_nearer_to_the_given_ones_and_the_picture_to_the_truth(
    photo: torch.Tensor, features: LocalFeatures
) -> None:
    one = FeatureBatch.collate([features])
    chain = MaxEnt().draw(one)
    assert _apart(chain.moments, features) < _apart(chain.start, features) / 1.8
    start = create_method("poisson")(one)[0, 0]
    assert float(ncc(chain.picture, to_gray(photo))) > float(ncc(start, to_gray(photo)))


def test_a_seed_gives_one_picture_and_another_seed_another(features: LocalFeatures) -> None:
    one = FeatureBatch.collate([features[:30]])
    few = {"steps": 4, "samples": 2}
    first, again, other = (create_method("maxent", seed=s, **few)(one) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert float((first - other).abs().mean()) > 1e-3
    calm, too = (create_method("maxent", seed=s, noise=0.0, **few)(one) for s in (1, 2))
    assert torch.equal(calm, too)


def test_noise_alone_has_the_deviation_that_was_asked_for() -> None:
    method = MaxEnt(noise=0.02, rate=1e-9)
    features = LocalFeatures(
        keypoints=torch.tensor([[48.0, 48.0]]),
        descriptors=torch.ones(1, 128),
        image_size=(96, 96),
        descriptor="sift",
        scales=torch.tensor([3.0]),
        orientations=torch.tensor([0.0]),
    )
    one = FeatureBatch.collate([features])
    noise = method.draw(one).picture - create_method("poisson")(one)[0, 0]
    assert float(noise.std()) == pytest.approx(0.02, rel=0.03)


def test_what_it_cannot_do_is_told(photo: torch.Tensor, features: LocalFeatures) -> None:
    with pytest.raises(InputError, match=r"'rootsift'.*got 'brief'.*'unfold'"):
        create_method("maxent", descriptor="brief")
    with pytest.raises(InputError, match=r"got 'sift-kornia'.*'gradient'"):
        create_method("maxent", descriptor="sift-kornia")
    with pytest.raises(InputError, match="got 'hog'"):
        create_method("maxent")(FeatureBatch.collate([extract(photo, descriptor="hog")]))
    with pytest.raises(MissingFieldError, match="orientations"):
        create_method("maxent")(FeatureBatch.collate([features.without("orientations")]))
    for name, bad in {"steps": 0, "samples": 0, "noise": -1.0, "rate": 0.0}.items():
        with pytest.raises(InputError, match=rf"Expected {name} >=? [01], got {bad}\."):
            MaxEnt(**{name: bad})
