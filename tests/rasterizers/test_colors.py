"""Colours of keypoints, in pictures where they are known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from invertdesc import FeatureBatch, InputError, LocalFeatures, reconstruct
from invertdesc.evaluation.metrics import psnr
from invertdesc.rasterizers.colors import paint_colors

RED = torch.tensor([0.8, 0.2, 0.2])


def features(points: list[tuple[float, float]], colors: Tensor, side: int = 96) -> LocalFeatures:
    return LocalFeatures(
        keypoints=torch.tensor(points, dtype=torch.float32).reshape(-1, 2),
        descriptors=torch.zeros(len(points), 128),
        image_size=(side, side),
        descriptor="sift",
        colors=colors.expand(len(points), 3).contiguous(),
    )


def painted(picture: Tensor, *some: LocalFeatures) -> Tensor:
    return paint_colors(picture.expand(len(some), -1, -1, -1), FeatureBatch.collate(some))


def crowd(x0: int, x1: int) -> list[tuple[float, float]]:
    return [(x, y) for x in range(x0, x1, 2) for y in range(0, 96, 2)]


def test_colours_come_and_stay_near() -> None:
    gray = torch.full((3, 96, 96), 0.4)
    one = painted(gray, features(crowd(0, 20), RED))[0]
    assert (one[:, :, :16] - RED[:, None, None]).abs().max() < 0.06
    assert (one[:, :, 70:] - 0.4).abs().max() < 0.02


def test_what_is_right_stays() -> None:
    ramp = torch.linspace(0.1, 0.9, 96).expand(3, 96, 96)
    points = crowd(2, 90)
    here = torch.tensor([float(ramp[0, 0, int(x)]) for x, _ in points])[:, None].expand(-1, 3)
    whole = replace(features(points, RED), colors=here.contiguous())
    assert (painted(ramp, whole)[0] - ramp).abs().max() < 1e-5


def test_the_bright_side_of_an_edge_is_not_coloured() -> None:
    picture = torch.full((3, 96, 96), 0.1)
    picture[:, :, 48:] = 0.95
    done = painted(picture, features(crowd(0, 48), torch.tensor([0.1, 0.1, 0.5])))[0]
    assert (done[2, :, 30:46] - 0.5).abs().max() < 0.06
    assert (done[:, :, 50:] - 0.95).abs().max() < 0.06


def test_detail_stays() -> None:
    draw = torch.Generator().manual_seed(0)
    picture = 0.4 + 0.02 * torch.randn(3, 96, 96, generator=draw)
    done = painted(picture, features(crowd(0, 96), RED))[0]
    kept = torch.corrcoef(torch.stack([done[0].flatten(), picture[0].flatten()]))[0, 1]
    assert kept > 0.9


def test_a_batch_is_its_images() -> None:
    gray = torch.full((3, 96, 96), 0.4)
    some = [features(crowd(0, 20), RED), features([], RED), features(crowd(50, 60), 1 - RED)]
    together = painted(gray, *some)
    for picture, one in zip(together, some, strict=True):
        assert torch.equal(picture, painted(gray, one)[0])
    assert torch.equal(together[1], gray)


def test_features_without_colours(some: LocalFeatures) -> None:
    picture = torch.rand(1, 3, *some.image_size)
    assert paint_colors(picture, FeatureBatch.collate([some])) is picture


def test_pictures_come_nearer(astronaut: Tensor, astronaut_features: LocalFeatures) -> None:
    x, y = astronaut_features.keypoints.round().long().clamp(0, 255).unbind(1)
    colored = replace(astronaut_features, colors=astronaut[:, y, x].T.contiguous())
    without, done = (reconstruct(one, method="poisson") for one in (astronaut_features, colored))
    assert psnr(done, astronaut) > psnr(without, astronaut) + 2


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        (torch.full((2, 3), 1.5), "from 0 to 1"),
        (torch.zeros(2), r"colors of shape \(N, 3\)"),
        (torch.zeros(2, 4), r"colors of shape \(N, 3\)"),
        (torch.full((2, 3), torch.nan), "finite colors"),
        (torch.zeros(2, 3, dtype=torch.uint8), "dtype"),
    ],
)
def test_what_are_no_colours(colors: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(features([(1, 1), (2, 2)], RED), colors=colors)


def test_colours_go_along(tmp_path: object) -> None:
    whole = features(crowd(0, 20), torch.rand(480, 3, generator=torch.Generator().manual_seed(0)))
    assert whole.colors is not None
    whole.save(f"{tmp_path}/one.npz")
    again = LocalFeatures.load(f"{tmp_path}/one.npz")
    assert again.colors is not None
    assert torch.equal(again.colors, whole.colors)
    part = whole.crop((0, 0, 6, 40))
    assert part.colors is not None
    assert torch.equal(part.colors, whole.colors[whole._in_box((0, 0, 6, 40))])
    assert whole.without("colors").colors is None
    assert "with colors" in repr(whole)
    inside = whole.inside((0, 0, 6, 40))
    pair = FeatureBatch.collate([whole, inside])
    assert torch.equal(pair[1].colors, inside.colors)
    with pytest.raises(InputError, match="alike in colors"):
        FeatureBatch.collate([whole, whole.without("colors")])
