import pytest
import torch
from skimage import data

from invertdesc import FeatureBatch, create_descriptor, create_method, extract, reconstruct
from invertdesc.errors import InputError, MissingFieldError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.reconstructors.gradient import Gradient, distance


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return to_image(data.astronaut()[40:136, 180:276])


def test_descriptors_come_tenfold_nearer_and_so_does_the_picture(photo: torch.Tensor) -> None:
    adapter = create_descriptor("sift-kornia")
    features = extract(photo, descriptor=adapter)
    batch = FeatureBatch.collate([features])
    given = adapter.encode(features.descriptors)
    start, end = (reconstruct(features, method=name) for name in ("poisson", "gradient"))
    before, after = (float(distance(adapter, one[0], batch, given)) for one in (start, end))
    assert after < before / 10
    gray = to_gray(photo)
    assert float(ncc(end[0], gray)) > float(ncc(start[0], gray))
    assert 0 <= float(end.min()) < float(end.max()) <= 1


def test_it_starts_from_noise_where_there_is_no_unfolding(photo: torch.Tensor) -> None:
    features = extract(photo, descriptor="mkd")
    method = Gradient(start="noise", steps=40, rate=0.05)
    picture = reconstruct(features, method=method)
    assert float(ncc(picture[0], to_gray(photo))) > 0.3
    assert torch.equal(picture, reconstruct(features, method=method))


def test_what_it_cannot_do_is_told(photo: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"'sift-kornia'.*got 'sift'.*'unfold'"):
        reconstruct(photo, descriptor="sift", method="gradient")
    lacking = extract(photo, descriptor="sift-kornia").without("orientations")
    with pytest.raises(MissingFieldError, match="orientations"):
        create_method("gradient")(FeatureBatch.collate([lacking]))
    for options in ({"start": "black"}, {"steps": 0}, {"rate": 0.0}):
        with pytest.raises(InputError, match="Expected start"):
            Gradient(**options)


def test_no_keypoints_leave_the_start() -> None:
    features = extract(torch.full((3, 40, 40), 0.5), descriptor="sift-kornia")
    method = create_method("gradient")
    assert method(FeatureBatch.collate([features])).shape == (1, 3, 40, 40)
