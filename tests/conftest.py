import pytest
import torch
from skimage import data

from invertdesc import LocalFeatures, extract
from invertdesc.image import to_image


@pytest.fixture(scope="session")
def astronaut() -> torch.Tensor:
    """(3, 256, 256) RGB in [0, 1]."""
    return to_image(data.astronaut()[::2, ::2])


@pytest.fixture(scope="session")
def astronaut_features(astronaut: torch.Tensor) -> LocalFeatures:
    return extract(astronaut, descriptor="sift")
