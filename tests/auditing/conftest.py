import pytest
import torch

from invertdesc.auditing.surroundings import Surroundings
from invertdesc.auditing.typical import Typical
from invertdesc.descriptors import Descriptor


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
