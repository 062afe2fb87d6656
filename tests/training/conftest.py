from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six small parts of scikit-image's pictures, as files."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    sources = [data.astronaut(), data.coffee(), data.chelsea()]
    for number in range(6):
        picture = sources[number % 3]
        y, x = (int(rng.integers(0, side - 150)) for side in picture.shape[:2])
        Image.fromarray(picture[y : y + 150, x : x + 140]).save(folder / f"{number}.png")
    return sorted(folder.iterdir())
