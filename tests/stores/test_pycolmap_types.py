"""Learned features in databases that pycolmap itself writes."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from invertdesc import open_store

pytestmark = pytest.mark.skipif(find_spec("pycolmap") is None, reason="pycolmap is not installed")

# In a process of its own: beside libraries that bring their own zlib and PNG, pycolmap aborts.
WRITE = """
import sys
import numpy as np, pycolmap
database = pycolmap.Database.open(sys.argv[1])
camera = pycolmap.Camera(model="SIMPLE_PINHOLE", width=64, height=48, params=[50, 32, 24])
camera = database.write_camera(camera)
image = database.write_image(pycolmap.Image(name="a.jpg", camera_id=camera))
vectors = np.random.default_rng(0).normal(size=(5, int(sys.argv[3]))).astype("<f4")
database.write_keypoints(image, np.arange(10, dtype="f4").reshape(5, 2) + 0.5)
kind = getattr(pycolmap.FeatureExtractorType, sys.argv[2])
database.write_descriptors(image, pycolmap.FeatureDescriptors(kind, vectors.view("u1")))
database.close()
"""


@pytest.mark.parametrize(
    ("kind", "name"),
    [("ALIKED_N16ROT", "aliked-n16rot"), ("ALIKED_N32", "aliked-n32"), ("LOMA_B", "loma-b")],
)
def test_learned_features_come_back(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "database.db"
    command = [sys.executable, "-c", WRITE, str(path), kind, "128"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    with open_store(path) as store:
        features = store.load("a.jpg")
        assert store.description.descriptor == name
        assert store.description.missing == ("scales", "orientations", "scores")
    expected = np.random.default_rng(0).normal(size=(5, 128)).astype("f4")
    assert torch.equal(features.descriptors, torch.from_numpy(expected))
    assert features.keypoints.tolist() == np.arange(10).reshape(5, 2).tolist()
    assert features.image_size == (48, 64)
