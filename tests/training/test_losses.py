import pytest
import torch
from skimage.metrics import structural_similarity

from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray
from invertdesc.training.losses import (
    adversarial,
    correlation,
    discrimination,
    gram,
    l1,
    l2,
    perceptual,
    ssim_loss,
    style,
)


def test_pixel_losses_are_means() -> None:
    picture, truth = torch.rand(2, 3, 5, 7), torch.rand(2, 3, 5, 7)
    assert float(l1(picture, truth)) == pytest.approx(float((picture - truth).abs().mean()))
    assert float(l2(picture, truth)) == pytest.approx(float((picture - truth).square().mean()))


def test_ssim_of_every_window_is_that_of_scikit_image() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 1, 24, 30, generator=generator).expand(1, 3, 24, 30)
    picture = (truth + 0.2 * torch.rand(1, 1, 24, 30, generator=generator)).clamp(0, 1)
    a, b = (image[0].mean(0).double().numpy() for image in (picture, truth))
    theirs = structural_similarity(a, b, win_size=7, data_range=1.0, use_sample_covariance=False)
    assert float(ssim_loss(picture, truth, window=7, stride=1)) == pytest.approx(
        1 - theirs, abs=1e-4
    )


def test_ssim_is_0_for_the_same_and_has_gradients() -> None:
    truth = torch.rand(2, 3, 32, 32)
    assert float(ssim_loss(truth, truth)) == pytest.approx(0, abs=1e-6)
    picture = torch.rand(2, 3, 32, 32, requires_grad=True)
    ssim_loss(picture, truth).backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0


def test_correlation_is_that_of_both_grays() -> None:
    generator = torch.Generator().manual_seed(0)
    picture, truth = (0.1 + 0.8 * torch.rand(2, 3, 16, 24, generator=generator) for _ in range(2))
    picture = (picture + truth) / 2
    expected = [
        float(ncc(to_gray(a, mode), to_gray(b, mode)))
        for a, b in zip(picture, truth, strict=True)
        for mode in ("gamma", "luma")
    ]
    assert float(correlation(picture, truth)) == pytest.approx(1 - sum(expected) / 4, abs=1e-4)
    assert float(correlation(0.5 + truth / 4, truth)) == pytest.approx(0, abs=5e-3)


def test_correlation_over_blocks_sees_shading_alone() -> None:
    ramp = torch.linspace(0.3, 0.6, 32).expand(1, 3, 32, 32)
    stripes = 0.2 * (torch.arange(32) % 2 - 0.5)[:, None]
    assert float(correlation(ramp + stripes, ramp)) > 0.2
    assert float(correlation(ramp + stripes, ramp, block=16)) == pytest.approx(0, abs=1e-3)
    black = torch.zeros(1, 3, 32, 32, requires_grad=True)
    correlation(black, ramp, block=16).backward()
    assert black.grad is not None
    assert bool(black.grad.isfinite().all())


def test_gram_sums_over_pixels_and_style_compares_it() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[0.0, -1.0]]]])  # (1, 2, 1, 2)
    assert gram(features).tolist() == [[[5.0, -2.0], [-2.0, 1.0]]]
    assert float(style(features, torch.zeros_like(features))) == (5 + 2 + 2 + 1) / 4
    assert float(perceptual(features, torch.zeros_like(features))) == 6 / 4
    moved = features.flip(-1)
    assert float(style(features, moved)) == 0
    assert float(perceptual(features, moved)) > 0


def test_adversarial_losses_are_binary_cross_entropies() -> None:
    real, fake = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    ones = torch.ones_like(real)
    assert float(adversarial(fake)) == pytest.approx(float(entropy(fake, ones)))
    expected = (entropy(real, ones) + entropy(fake, 0 * ones)) / 2
    assert float(discrimination(real, fake)) == pytest.approx(float(expected))
