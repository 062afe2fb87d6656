import math

import pytest
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from invertdesc import FeatureBatch, create_descriptor, extract, reconstruct
from invertdesc.descriptors.hog_uoctti import CLIP, TEXTURE, HogUoctti
from invertdesc.errors import InputError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return to_image(data.astronaut()[:256, 100:356])


def ramp(degrees: float) -> Tensor:
    """(3, 40, 40), the same gradient everywhere, towards a direction clockwise from the right."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    angle = math.radians(degrees)
    gray = 0.5 + 0.008 * ((x - 20) * math.cos(angle) + (y - 20) * math.sin(angle))
    return gray.expand(3, -1, -1)


@pytest.mark.parametrize("number", [3, 7, 12, 17])
def test_directions_count_from_the_right_clockwise(number: int) -> None:
    middle = HogUoctti(gray="luma").extract(ramp(20 * number)).descriptors[4]
    assert int(middle[:18].argmax()) == number
    assert int(middle[18:27].argmax()) == number % 9


@pytest.mark.parametrize("number", [0, 9])
def test_a_ramp_is_one_direction(number: int) -> None:
    """Four cells of equal energy: each number is 1 / 2 of its block's norm, cut at 0.2."""
    features = HogUoctti(gray="luma").extract(ramp(20 * number))
    assert features.descriptors.shape == (9, 31)
    middle = features.descriptors[4]
    wanted = torch.zeros(31)
    wanted[number], wanted[18 + number % 9] = 2 * CLIP, 2 * CLIP
    wanted[27:] = TEXTURE * CLIP
    torch.testing.assert_close(middle, wanted, atol=1e-3, rtol=0)


def test_its_negative_turns_the_signs_and_nothing_else(photo: Tensor) -> None:
    adapter = HogUoctti(gray="luma")
    one, other = (adapter.extract(image).descriptors for image in (photo, 1 - photo))
    around = torch.cat([other[:, 9:18], other[:, :9], other[:, 18:]], 1)
    # Rounded to 255 grays, faint gradients fall in other bins.
    assert float(F.cosine_similarity(one, around).median()) > 0.99
    assert float(F.cosine_similarity(one, other).median()) < 0.95


def test_contrast_between_cells_is_found_again() -> None:
    """The right half has four times the contrast of the left one."""
    noise = torch.rand(1, 1, 16, 24, generator=torch.Generator().manual_seed(0)) - 0.5
    smooth = F.interpolate(noise, scale_factor=4, mode="bicubic")[0]
    gray = (0.5 + smooth * torch.where(torch.arange(96) < 48, 0.2, 0.8)).expand(3, -1, -1)
    features = HogUoctti(gray="luma").extract(gray)
    cells = HogUoctti()._histograms(FeatureBatch.collate([features]))[0].sum(-1)
    ratio = float(cells[3:-3, 8].mean() / cells[3:-3, 2].mean())
    assert 1.5 < ratio < 5  # of 4; what adds up over many cells is pulled back
    alone = features.descriptors[:, :18].sum(1).view(6, 10)
    assert float(alone[2:-2, 7].mean() / alone[2:-2, 1].mean()) == pytest.approx(1, abs=0.3)


def test_signs_make_photographs_readable(photo: Tensor) -> None:
    gray = to_gray(photo)
    pictures = [reconstruct(photo, descriptor=name) for name in ("hog", "hog-uoctti")]
    unsigned, signed = (float(ncc(to_gray(one), gray)) for one in pictures)
    assert signed > max(unsigned, 0.75)


def test_other_blocks_are_refused(photo: Tensor) -> None:
    with pytest.raises(InputError, match=r"cells_per_block = 3, .*'hog-uoctti', got 2"):
        HogUoctti(cells_per_block=2)
    small = extract(photo[:, :23, :23], descriptor="hog-uoctti")
    assert len(small) == 0
    assert create_descriptor("hog-uoctti", orientations=6).dim == 22
