"""How unfoldings tell strong patches from weak ones."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from invertdesc import LocalFeatures, create_descriptor
from invertdesc.errors import InputError
from invertdesc.image import to_gray
from invertdesc.unfolding.fit import fit_unfolding, gradients_around, measure_unfolding
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import FALLOFF, LARGEST, Unfolding


@dataclass(frozen=True)
class Telling:
    """A descriptor that holds its patch's gradients, of size 1, and the logarithm of their size."""

    frame: ClassVar[Frame] = Frame(support=6.0)
    name: ClassVar[str] = "telling"
    dim: ClassVar[int] = 19

    @property
    def unfolding(self) -> Unfolding:
        raise NotImplementedError

    def extract(self, image: Tensor) -> LocalFeatures:
        draw = torch.Generator().manual_seed(0)
        points = torch.rand(300, 2, generator=draw) * 40 + 12
        scales, turns = torch.rand(2, 300, generator=draw) + 1
        around = gradients_around(to_gray(image, "luma"), points, 6.0 * scales, turns, 3).flatten(1)
        size = around.square().mean(1, keepdim=True).sqrt() + 1e-4
        return LocalFeatures(
            keypoints=points,
            descriptors=torch.cat([around / size, size.log()], 1),
            image_size=(64, 64),
            descriptor=self.name,
            scales=scales,
            orientations=turns,
        )

    def encode(self, raw: Tensor) -> Tensor:
        return raw


def uneven_image(seed: int) -> Tensor:
    """Noise whose contrast grows to the right."""
    noise = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(seed)) - 0.5
    return noise * torch.linspace(0.05, 1, 64) + 0.5


@pytest.fixture(scope="module")
def fitted() -> Unfolding:
    return fit_unfolding(Telling(), [uneven_image(1), uneven_image(2)], grid=3, ridge=1e-6)


def test_contrast_is_found_where_the_vector_tells_it(fitted: Unfolding) -> None:
    assert float(fitted.contrast[18]) == pytest.approx(1, abs=0.02)
    assert float(fitted.contrast[:18].abs().max()) < 0.02
    assert fitted.falloff == pytest.approx(0, abs=0.02)
    raw = Telling().extract(uneven_image(3)).descriptors
    true = raw[:, :18] * raw[:, 18:].exp()
    told = fitted(raw).flatten(1)
    scale = (true * told).sum() / told.square().sum()
    assert float((scale * told - true).abs().max()) < 0.05 * float(true.abs().max())


def test_falloff_is_found_where_the_vector_does_not_tell(fitted: Unfolding) -> None:
    """White noise blurred to a cell has gradients that fall with its square."""

    @dataclass(frozen=True)
    class Mute(Telling):
        def encode(self, raw: Tensor) -> Tensor:
            return torch.cat([raw[:, :18], torch.zeros(len(raw), 1)], 1)

        def extract(self, image: Tensor) -> LocalFeatures:
            found = super().extract(image)
            return replace(found, scales=found.scales * 2)

    noise = [torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(s)) for s in range(4)]
    assert 0.2 < fit_unfolding(Mute(), noise, grid=3).falloff <= 2.0


def test_the_usual_falloff_is_taken_where_all_cells_are_alike() -> None:
    @dataclass(frozen=True)
    class Even(Telling):
        frame: ClassVar[Frame] = Frame(support=12.0, scaled=False)

    fitted = fit_unfolding(Even(), [uneven_image(1)], grid=3)
    assert fitted.falloff == FALLOFF
    assert float(fitted.contrast[18]) > 0.3


def test_quality_on_other_images(fitted: Unfolding) -> None:
    quality = measure_unfolding(fitted, Telling(), [uneven_image(4)])
    assert quality.patches == 300
    assert quality.correlation > 0.999
    assert quality.contrast > 0.999
    noise = replace(
        fitted,
        matrix=torch.randn(19, 18, generator=torch.Generator().manual_seed(5)),
        contrast=None,
    )
    poor = measure_unfolding(noise, Telling(), [uneven_image(4)])
    assert abs(poor.correlation) < 0.2
    assert abs(poor.contrast) < 0.3


def test_nothing_to_measure_is_told(fitted: Unfolding) -> None:
    with pytest.raises(InputError, match="found none"):
        measure_unfolding(fitted, Telling(), [])


def test_no_vector_drowns_all_others(fitted: Unfolding) -> None:
    loud = torch.zeros(1, 19)
    loud[0, 18] = 1e6
    assert float(fitted.sizes(loud)) == pytest.approx(torch.tensor(LARGEST).exp().item())
    plain = replace(fitted, contrast=None)
    assert float(plain.sizes(loud)) == 1
    assert torch.equal(plain(loud), fitted.directions(loud))


def test_contrast_survives_a_file(fitted: Unfolding, tmp_path: Path) -> None:
    for unfolding in (fitted, replace(fitted, contrast=None)):
        unfolding.save(tmp_path / "one.safetensors")
        loaded = Unfolding.load(tmp_path / "one.safetensors")
        assert (loaded.contrast is None) == (unfolding.contrast is None)
        assert loaded.contrast is None or torch.equal(loaded.contrast, unfolding.contrast)
        assert loaded.falloff == unfolding.falloff


def test_draws_keep_the_vectors_contrast() -> None:
    sift = create_descriptor("sift")
    vectors = sift.encode(torch.rand(5, 128, generator=torch.Generator().manual_seed(6)))
    known = sift.known_unfolding
    loud = replace(known, contrast=torch.linspace(-1, 1, 128))
    one, other = (u.sample(vectors, torch.Generator().manual_seed(7)) for u in (known, loud))
    torch.testing.assert_close(other, one * loud.sizes(vectors))
