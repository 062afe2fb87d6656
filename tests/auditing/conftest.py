import pytest
import torch
from skimage import data

from invertdesc import LocalFeatures, create_descriptor
from invertdesc.auditing.scenario import Surroundings
from invertdesc.auditing.subjects import Subject
from invertdesc.auditing.typical import Typical
from invertdesc.descriptors import Descriptor
from invertdesc.image import to_image


@pytest.fixture(scope="session")
def picture() -> torch.Tensor:
    """(3, 200, 240) RGB in [0, 1], with one face."""
    return to_image(data.astronaut()[:200, 110:350])


@pytest.fixture(scope="session")
def sift() -> Descriptor:
    return create_descriptor("sift")


@pytest.fixture(scope="session")
def orb() -> Descriptor:
    return create_descriptor("orb")


@pytest.fixture(scope="session")
def stored(picture: torch.Tensor, sift: Descriptor) -> LocalFeatures:
    return sift.extract(picture)


@pytest.fixture(scope="session")
def stored_bits(picture: torch.Tensor, orb: Descriptor) -> LocalFeatures:
    return orb.extract(picture)


@pytest.fixture(scope="session")
def subject(picture: torch.Tensor, stored: LocalFeatures) -> Subject:
    return Subject("astronaut.png", stored, picture)


@pytest.fixture(scope="session")
def typical(sift: Descriptor) -> Typical:
    return Typical(sift)


@pytest.fixture(scope="session")
def typical_bits(orb: Descriptor) -> Typical:
    return Typical(orb)


@pytest.fixture
def around(sift: Descriptor, typical: Typical) -> Surroundings:
    own, shared = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    return Surroundings(sift, own, shared, typical)
