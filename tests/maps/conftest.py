import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for scene
sys.path.insert(0, str(Path(__file__).parent.parent / "stores"))  # for make_stores

from scene import Scene, scattered


@pytest.fixture(scope="session")
def boxes() -> Scene:
    return Scene.boxes()


@pytest.fixture(scope="session")
def boxes_map(tmp_path_factory: pytest.TempPathFactory, boxes: Scene) -> Path:
    """A model, binary, with a folder of .npz features beside it."""
    folder = tmp_path_factory.mktemp("boxes")
    scattered(boxes, 6000).write(folder)
    return folder
