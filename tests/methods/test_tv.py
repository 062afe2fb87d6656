from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from skimage import data

from invertdesc import FeatureBatch, create_descriptor, create_method, extract, reconstruct
from invertdesc.errors import InputError, MissingFieldError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.methods.biht import Biht
from invertdesc.methods.tv import Tv, halves, least_variation
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.pattern import Pattern
from invertdesc.unfolding.sample import image_gradients


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return to_image(data.astronaut()[20:212, 130:322])


@dataclass(frozen=True)
class Differences:
    """BRIEF before it takes the signs: its pattern's differences as numbers."""

    name: ClassVar[str] = "brief"
    dim: ClassVar[int] = 512
    pattern: ClassVar[Pattern] = Pattern.shipped("brief")
    frame: ClassVar[Frame] = pattern.frame
    unfolding: ClassVar[Any] = create_descriptor("brief").unfolding

    def extract(self, image: torch.Tensor) -> Any:
        features = create_descriptor("brief").extract(image)
        told = self.pattern.differences(to_gray(image), FeatureBatch.collate([features]))
        return replace(features, descriptors=told)

    def encode(self, raw: torch.Tensor) -> torch.Tensor:
        return raw


def test_halves_tell_the_gradients_of_cells() -> None:
    pattern = halves(4, Frame(16.0))
    ramp = torch.arange(16.0).expand(16, 16)
    told = pattern.matrix(16) @ torch.stack([ramp.flatten(), ramp.T.flatten()], 1)
    right, down = told.view(2, 16, 2).unbind(2)
    assert right.tolist() == [[2.0] * 16, [0.0] * 16]  # half a cell is 2 pixels
    assert down.tolist() == [[0.0] * 16, [2.0] * 16]


def test_a_square_comes_back_from_differences() -> None:
    square = torch.zeros(1, 16, 16)
    square[:, 4:10, 5:12] = 2.0
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn(120, 256, generator=draw)  # fewer than cells
    matrix -= matrix.mean(1, keepdim=True)
    measured = square.flatten(1) @ matrix.T
    found = least_variation(matrix, measured, weight=4.0, steps=1500)
    torch.testing.assert_close(found, square - square.mean(), atol=0.05, rtol=0)
    measured[:, ::17] += 20.0  # what L1 forgives
    found = least_variation(matrix, measured, weight=4.0, steps=1500)
    torch.testing.assert_close(found, square - square.mean(), atol=0.1, rtol=0)


def test_contrast_goes_with_the_measurements() -> None:
    matrix = halves(4, Frame(16.0)).matrix(16)
    measured = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    once, thrice = (least_variation(matrix, m, 4.0, 50) for m in (measured, 3 * measured))
    torch.testing.assert_close(thrice, 3 * once)


def test_pictures_come_back_from_differences_better_than_from_their_signs(
    photo: torch.Tensor,
) -> None:
    adapter, gray = Differences(), to_gray(photo)
    features = adapter.extract(photo)
    picture = Tv(adapter, stride=2, steps=40)(FeatureBatch.collate([features]))
    from_bits = reconstruct(photo, descriptor="brief", method=Biht(stride=2))
    assert float(ncc(picture[0, 0], gray)) > 0.9
    assert float(ncc(picture[0, 0], gray)) > float(ncc(from_bits[0], gray))


@pytest.mark.parametrize(("name", "least"), [("sift", 0.85), ("hog", 0.6)])
def test_pictures_come_back_through_the_unfolding(
    name: str, least: float, photo: torch.Tensor
) -> None:
    picture = reconstruct(photo, descriptor=name, method=Tv(stride=2, steps=40))
    assert (
        float(ncc(picture[0], to_gray(photo))) > least
    )  # 0.38 where HOG is unfolded block by block


def test_its_gradients_are_those_of_patches() -> None:
    ramp = torch.arange(5.0).expand(1, 5, 5)
    assert image_gradients(ramp)[0, 0].tolist() == [[1.0] * 5] * 5
    assert not image_gradients(ramp)[0, 1].any()


def test_what_it_cannot_do_is_told(photo: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"not their signs; got the bits of 'brief'.*'biht'"):
        create_method("tv", descriptor="brief")
    with pytest.raises(InputError, match=r"got the bits of 'orb'"):
        reconstruct(photo, descriptor="orb", method="tv")
    lacking = extract(photo, descriptor="sift").without("scales")
    with pytest.raises(MissingFieldError, match="scales"):
        create_method("tv")(FeatureBatch.collate([lacking]))
    with pytest.raises(InputError, match="Expected 512 differences a vector, got 128"):
        reconstruct(photo, descriptor="sift", method=Tv(pattern=Differences.pattern))
    for name, bad in {"weight": 0.0, "steps": 0, "grid": 1}.items():
        with pytest.raises(InputError, match=rf"Expected {name} >=? [012], got {bad}\."):
            Tv(**{name: bad})
