"""Large pictures are described tile by tile, with the same result."""

import pytest
import torch
from skimage import data

from invertdesc import LocalFeatures, create_descriptor, extract
from invertdesc.descriptors import _tiles, describing
from invertdesc.descriptors.describing import describe_gray
from invertdesc.image import to_gray, to_image


@pytest.mark.parametrize("name", ["sift", "rootsift"])
def test_tiles_describe_like_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = create_descriptor(name)
    image = to_image(data.astronaut())
    features = extract(image, descriptor=adapter)
    gray = to_gray(image, "gamma").flip(0)
    whole = describe_gray(adapter, gray, features)
    boxes = []
    crop = LocalFeatures.crop
    monkeypatch.setattr(
        LocalFeatures, "crop", lambda self, box: boxes.append(box) or crop(self, box)
    )
    monkeypatch.setattr(describing, "LARGE", 1000)
    monkeypatch.setattr(_tiles, "CORE", 64)
    tiled = describe_gray(adapter, gray, features)
    assert len(boxes) > 4
    assert min(x1 - x0 for x0, _, x1, _ in boxes) < 256
    assert torch.equal(tiled.rows, whole.rows)
    for field in ("keypoints", "scales", "orientations", "scores"):
        assert torch.equal(getattr(tiled.features, field), getattr(whole.features, field))
    assert tiled.features.provenance == whole.features.provenance
    made, wanted = (adapter.encode(one.features.descriptors) for one in (tiled, whole))
    apart = (made - wanted).abs()
    assert apart.max() < 0.005  # two levels of OpenCV's 255
    assert (apart > 1e-4).float().mean() < 0.01
