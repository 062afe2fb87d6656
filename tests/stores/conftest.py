from collections.abc import Callable

import pytest
import torch

from invertdesc import LocalFeatures

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def some(astronaut_features: LocalFeatures) -> LocalFeatures:
    """Sixty keypoints, from the whole width and height of a picture that is no square."""
    part = astronaut_features.crop((0, 0, 240, 200))
    return part[torch.linspace(0, len(part) - 1, 60).long()]


@pytest.fixture(scope="session")
def images(some: LocalFeatures) -> dict[str, LocalFeatures]:
    """Two images, called so that every format can hold them."""
    return {"101": some, "102": some[::2]}
