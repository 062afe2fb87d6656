import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor, create_method, extract
from invertdesc.errors import InputError, MissingFieldError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.unfolding.fit import fit_unfolding, gradients_around
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import Unfolding


def picture(name: str, side: int = 256) -> Tensor:
    """(3, side, side), one of those that come with scikit-image."""
    image = to_image(getattr(data, name)())[None]
    return functional.interpolate(image, (side, side), mode="area")[0]


def grid_of(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    return torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij")


MIDDLES = torch.tensor([[40.0, 50.0], [44.25, 46.5], [52.0, 40.0], [48.5, 50.75]])
SIDES = torch.tensor([4.0, 9.0, 16.0, 24.0])
TURNS = torch.tensor([0.0, math.pi / 2, 0.7, -2.5])


def test_the_gradient_of_a_ramp_turns_with_the_frame():
    y, x = grid_of((90, 100))
    found = gradients_around(0.03 * x - 0.02 * y, MIDDLES, SIDES, TURNS, 3)
    right = 0.03 * TURNS.cos() - 0.02 * TURNS.sin()
    down = -0.02 * TURNS.cos() - 0.03 * TURNS.sin()
    expected = torch.stack([right, down], 1)[..., None, None].expand(-1, -1, 3, 3)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_quarter_turn_by_hand():
    """The frame's right is the picture's down, its down the picture's left."""
    _, x = grid_of((90, 100))
    found = gradients_around(0.01 * x, MIDDLES[:1], SIDES[:1], torch.tensor([math.pi / 2]), 2)
    torch.testing.assert_close(found[0, 0], torch.zeros(2, 2), rtol=0, atol=1e-6)
    torch.testing.assert_close(found[0, 1], torch.full((2, 2), -0.01), rtol=0, atol=1e-6)


def test_gradients_are_taken_at_the_middles_of_the_cells():
    """Of (x^2 + 2 y^2) / 100 the gradient tells the place: (x, 2 y) / 50, blurred or not."""
    y, x = grid_of((90, 100))
    found = gradients_around((x**2 + 2 * y**2) / 100, MIDDLES, SIDES, TURNS, 4)
    cos, sin = (part[:, None, None] for part in (TURNS.cos(), TURNS.sin()))
    x, y, side = (part[:, None, None] for part in (*MIDDLES.unbind(1), SIDES))
    steps = (torch.arange(4) - 1.5) / 4
    down, right = steps[:, None], steps
    gx = (x + side * (right * cos - down * sin)) / 50
    gy = (y + side * (right * sin + down * cos)) / 25
    expected = torch.stack([gx * cos + gy * sin, gy * cos - gx * sin], 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-3)


@pytest.mark.parametrize("side", [8.0, 40.0, 80.0])
def test_the_picture_is_blurred_to_the_grid(side):
    """A wave loses exp(-sigma^2 frequency^2 / 2), with sigma near 0.4 cells, in half octaves."""
    _, x = grid_of((200, 200))
    frequency, grid = 0.15, 8
    wave = torch.sin(frequency * (x - 100))
    found = gradients_around(
        wave, torch.tensor([[100.0, 100.0]]), torch.tensor([side]), torch.zeros(1), grid
    )
    sigma = 2 ** (round(2 * math.log2(max(side / (2.5 * grid), 0.8))) / 2)
    steps = side * ((torch.arange(grid) + 0.5) / grid - 0.5)
    slope = math.sin(frequency) * math.exp(-(sigma**2 * frequency**2) / 2)
    expected = (slope * torch.cos(frequency * steps)).expand(grid, grid)
    torch.testing.assert_close(found[0, 0], expected, rtol=0, atol=4e-3)


def test_beyond_the_border_the_last_gradient_goes_on():
    y, x = grid_of((40, 50))
    found = gradients_around(
        0.02 * x + 0.01 * y,
        torch.tensor([[-0.5, 20.0]]),
        torch.tensor([30.0]),
        torch.zeros(1),
        2,
    )
    assert found.isfinite().all()
    assert (found[0, 1, 0] > 0).all()


def test_no_keypoints_have_no_gradients():
    none = torch.zeros(0)
    assert gradients_around(torch.zeros(9, 9), none.view(0, 2), none, none, 5).shape == (0, 2, 5, 5)


@dataclass(frozen=True)
class Linear:
    """A descriptor whose vectors are, but for a factor, a linear map of the gradients."""

    frame: ClassVar[Frame] = Frame(support=3.0)
    name: ClassVar[str] = "linear"
    grid: ClassVar[int] = 3
    tells_turns: bool = True
    tells_contrast: bool = False
    most: int = 200

    @property
    def dim(self) -> int:
        return 18 + self.tells_contrast

    @property
    def unfolding(self) -> Unfolding:
        raise NotImplementedError

    @property
    def mixing(self) -> Tensor:
        """(18, 18), easy to invert."""
        noise = torch.randn(18, 18, generator=torch.Generator().manual_seed(3))
        return torch.linalg.qr(noise).Q * torch.linspace(0.5, 2, 18)

    def extract(self, image: Tensor) -> LocalFeatures:
        draw = torch.Generator().manual_seed(0)
        points = torch.rand(self.most, 2, generator=draw) * 50 + 5
        scales, turns = torch.rand(2, self.most, generator=draw) * 2 + 2
        around = gradients_around(
            to_gray(image, "luma"), points, self.frame.support * scales, turns, self.grid
        ).flatten(1)
        size = around.square().mean(1, keepdim=True).sqrt() + 1e-4  # as the fit scales its targets
        vectors = around / size @ self.mixing + 0.25
        return LocalFeatures(
            keypoints=points,
            descriptors=torch.cat([vectors, size.log()], 1) if self.tells_contrast else vectors,
            image_size=(64, 64),
            descriptor=self.name,
            scales=scales,
            orientations=turns if self.tells_turns else None,
        )

    def encode(self, raw: Tensor) -> Tensor:
        return raw


def noise_images(count: int) -> list[Tensor]:
    draw = torch.Generator().manual_seed(1)
    return [torch.rand(3, 64, 64, generator=draw) for _ in range(count)]


def test_a_linear_descriptor_is_inverted_exactly():
    descriptor = Linear()
    fitted = fit_unfolding(descriptor, noise_images(3), grid=3, ridge=0.0)
    torch.testing.assert_close(
        fitted.matrix, torch.linalg.inv(descriptor.mixing), rtol=0, atol=1e-4
    )
    vectors = descriptor.extract(noise_images(5)[-1]).descriptors
    exact = (vectors - 0.25) @ torch.linalg.inv(descriptor.mixing)
    torch.testing.assert_close(fitted.directions(vectors).flatten(1), exact, rtol=0, atol=1e-3)
    assert (fitted.frame, fitted.grid, fitted.bins) == (Linear.frame, 3, None)


def test_a_contrast_that_the_vector_tells_is_found():
    """Then nothing is left for the cell's width to explain, so gradients do not fall off."""
    images = [
        0.5 + (image - 0.5) * f for image, f in zip(noise_images(3), (1, 0.5, 0.2), strict=True)
    ]
    fitted = fit_unfolding(Linear(tells_contrast=True), images, grid=3, ridge=0.0)
    expected = torch.cat([torch.zeros(18), torch.ones(1)])
    torch.testing.assert_close(fitted.contrast, expected, rtol=0, atol=1e-3)
    assert fitted.falloff == pytest.approx(0, abs=1e-3)


def test_the_ridge_shrinks_the_map():
    norms = [
        float(fit_unfolding(Linear(), noise_images(1), grid=3, ridge=ridge).matrix.norm())
        for ridge in (0.0, 0.1, 10.0)
    ]
    assert norms[0] > 1.02 * norms[1] > 2 * norms[2]


def test_more_images_are_as_good_as_their_sum():
    """Images are read one at a time; their order does not matter."""
    images = noise_images(3)
    one = fit_unfolding(Linear(), iter(images), grid=3)
    other = fit_unfolding(Linear(), reversed(images), grid=3)
    torch.testing.assert_close(one.matrix, other.matrix)
    torch.testing.assert_close(one.bias, other.bias)


def test_no_keypoints_cannot_be_fitted_to():
    flat = torch.full((3, 64, 64), 0.5)
    with pytest.raises(InputError, match="found none in any"):
        fit_unfolding(create_descriptor("sift"), [flat])
    with pytest.raises(InputError, match="found none in any"):
        fit_unfolding(create_descriptor("sift"), [])


def test_images_without_keypoints_are_passed_over():
    flat, camera = torch.full((3, 64, 64), 0.5), picture("camera", 128)
    sift = create_descriptor("sift")
    one = fit_unfolding(sift, [camera], grid=2)
    other = fit_unfolding(sift, [flat, camera, flat], grid=2)
    assert torch.equal(one.matrix, other.matrix)


def test_what_the_frame_needs_is_asked_for():
    with pytest.raises(MissingFieldError, match=r"orientations.*frame of 'linear'"):
        fit_unfolding(Linear(tells_turns=False), noise_images(1), grid=3)


def test_a_progress_bar_changes_nothing():
    one = fit_unfolding(create_descriptor("sift"), [picture("coins", 128)], progress=True)
    other = fit_unfolding(create_descriptor("sift"), [picture("coins", 128)])
    assert torch.equal(one.matrix, other.matrix)
    assert one.grid == 8


def test_a_fit_to_a_few_photographs_reads_another():
    """About as well as the map that SIFT's definition gives."""
    names = ("camera", "coffee", "chelsea", "rocket")
    sift = create_descriptor("sift")
    fitted = fit_unfolding(sift, [picture(name) for name in names], ridge=0.05)
    held_out = picture("astronaut")
    batch = FeatureBatch.collate([extract(held_out)])
    truth = to_gray(held_out)
    likeness = {
        name: ncc(create_method("poisson", unfolding=unfolding)(batch)[0, 0], truth).item()
        for name, unfolding in {"fitted": fitted, "known": sift.known_unfolding}.items()
    }
    assert likeness["known"] > 0.8
    assert likeness["fitted"] > likeness["known"] - 0.02
