"""Random changes of training pictures."""

from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from invertdesc import create_descriptor, extract
from invertdesc.errors import InputError
from invertdesc.image import to_gray, to_image
from invertdesc.methods.recipe import Augmentation
from invertdesc.training.augmentation import configured, vary
from invertdesc.training.data import FeatureData

PICTURE = np.ascontiguousarray(data.astronaut()[:128, 100:228])
NOTHING = Augmentation(**dict.fromkeys(asdict(Augmentation()), 0.0))
OF_THE_PICTURE = ("zoom", "colour", "tone", "sharpness")
OF_WHAT_IS_SEEN = ("exposure", "noise", "jpeg", "luma", "mixed")


def test_without_changes_the_picture_is_described_on_gamma_gray() -> None:
    variant = vary(PICTURE, NOTHING, (0,))
    assert torch.equal(variant.picture, to_image(PICTURE))
    assert torch.equal(variant.seen, to_gray(to_image(PICTURE)).expand(3, -1, -1))
    assert variant.sparsity == 1


@pytest.mark.parametrize("name", [*OF_THE_PICTURE, *OF_WHAT_IS_SEEN])
def test_each_change_changes_what_it_should(name: str) -> None:
    changed = vary(PICTURE, replace(NOTHING, **{name: 1.0}), (0,))
    assert torch.equal(changed.picture, to_image(PICTURE)) == (name in OF_WHAT_IS_SEEN)
    assert not torch.equal(changed.seen, vary(PICTURE, NOTHING, (0,)).seen)
    assert changed.picture.shape == changed.seen.shape == (3, 128, 128)
    for image in changed.picture, changed.seen:
        assert 0 <= float(image.min()) < float(image.max()) <= 1
    assert torch.equal(changed.seen[0], changed.seen[2])


def test_luma_is_seen_as_luma() -> None:
    seen = vary(PICTURE, replace(NOTHING, luma=1.0), (0,)).seen
    assert torch.equal(seen[0], to_gray(to_image(PICTURE), "luma"))


def test_zoom_shows_a_part_or_the_whole_and_its_mirror_image() -> None:
    zoomed = [vary(PICTURE, replace(NOTHING, zoom=1.0), (seed,)).picture for seed in range(40)]
    small = cv2.resize(PICTURE, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    found = []
    for picture in zoomed:
        page = (picture.permute(1, 2, 0).numpy() * 255).astype(np.float32)
        for side in range(22, 33):  # of the whole picture in a page of 32 pixels
            template = cv2.resize(small, (side, side), interpolation=cv2.INTER_AREA)
            page_of_32 = cv2.resize(page, (32, 32), interpolation=cv2.INTER_AREA)
            score = cv2.matchTemplate(page_of_32, template, cv2.TM_CCOEFF_NORMED).max()
            if score > 0.95:
                found.append(side)
                break
    assert 8 <= len(found) <= 28  # ln(1 / 0.7) of ln(1 / 0.7) + ln(1 / 0.6) are shrunk: 16.5
    assert min(found) < 26


def test_a_plain_backdrop_gets_another_colour_and_a_busy_one_none() -> None:
    only = replace(NOTHING, backdrop=1.0)
    portrait = np.full((96, 96, 3), 230, np.uint8)
    cv2.circle(portrait, (48, 64), 30, (200, 120, 90), -1)
    one, other = (vary(portrait, only, (seed,)).picture for seed in (0, 1))
    truth = to_image(portrait)
    for made in one, other:
        assert torch.equal(made[:, 64, 48], truth[:, 64, 48])
        assert float((made[:, 5, 5] - truth[:, 5, 5]).abs().max()) > 0.05
    assert not torch.equal(one[:, 5, 5], other[:, 5, 5])
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    assert torch.equal(vary(noise, only, (0,)).picture, to_image(noise))


def test_the_seed_decides_all() -> None:
    often = Augmentation()
    assert torch.equal(vary(PICTURE, often, (3, 4)).seen, vary(PICTURE, often, (3, 4)).seen)
    assert not torch.equal(vary(PICTURE, often, (3, 4)).seen, vary(PICTURE, often, (3, 5)).seen)


def test_detectors_are_set_to_find_more() -> None:
    seen = vary(PICTURE, NOTHING, (0,)).seen
    for name in "sift", "akaze", "brisk":
        usual = configured(create_descriptor(name)).extract(seen)
        assert len(configured(create_descriptor(name), 0.3).extract(seen)) > len(usual)
    assert configured(create_descriptor("orb"), 0.3) == create_descriptor("orb", gray="luma")
    assert configured(create_descriptor("brisk"), 0.3).threshold == 6  # type: ignore[attr-defined]


def test_what_is_described_is_the_gray_that_is_seen() -> None:
    seen = vary(PICTURE, NOTHING, (0,)).seen
    ours, usual = configured(create_descriptor("sift")).extract(seen), extract(PICTURE)
    assert torch.equal(ours.keypoints, usual.keypoints)
    assert torch.equal(ours.descriptors, usual.descriptors)


def test_shares_are_checked() -> None:
    with pytest.raises(InputError, match="zoom >= 0 and <= 1"):
        Augmentation(zoom=2.0)
    with pytest.raises(InputError, match=r"luma \+ mixed"):
        Augmentation(luma=0.6, mixed=0.6)


def test_shares_are_parsed() -> None:
    assert Augmentation.parse("usual") == Augmentation()
    assert Augmentation.parse("luma=0.5, jpeg") == replace(NOTHING, luma=0.5, jpeg=1.0)
    with pytest.raises(InputError, match="Expected changes among zoom, "):
        Augmentation.parse("rain=1")


def _data(pictures: list[Path], cache: Path, variants: int) -> FeatureData:
    options = {"crop": 64, "cache": cache, "augmentation": Augmentation(), "workers": 0}
    return FeatureData(pictures[:2], ["sift", "orb"], variants=variants, **options)


def test_kept_variants_are_those_that_are_made_anew(pictures: list[Path], tmp_path: Path) -> None:
    fresh, kept = (_data(pictures, tmp_path, variants) for variants in (0, 3))
    assert len(list(tmp_path.rglob("*.npz"))) == 2 * 2 * 3
    for variant in range(3):
        (image, features), (same, stored) = (
            one.item(1, 0, False, variant) for one in (fresh, kept)
        )
        assert torch.equal(image, same)
        assert torch.equal(features.keypoints, stored.keypoints)
        assert torch.equal(features.descriptors, stored.descriptors)
    images = [fresh.item(1, 0, False, variant)[0] for variant in range(3)]
    assert not torch.equal(images[0], images[1])
    assert torch.equal(images[2], fresh.item(1, 1, False, 2)[0])  # whatever the descriptor


def test_other_changes_are_kept_elsewhere(pictures: list[Path], tmp_path: Path) -> None:
    for shares in (Augmentation(), NOTHING):
        FeatureData(
            pictures[:1],
            ["orb"],
            crop=64,
            cache=tmp_path,
            augmentation=shares,
            variants=1,
            workers=0,
        )
    assert len(list(tmp_path.rglob("*.npz"))) == 2


def test_a_picture_is_changed_alike_whatever_its_place(
    pictures: list[Path], tmp_path: Path
) -> None:
    one, other = (
        FeatureData(some, ["sift"], crop=64, cache=tmp_path, augmentation=Augmentation())
        for some in (pictures[:2], pictures[1:2])
    )
    assert torch.equal(one.item(1, variant=5)[0], other.item(0, variant=5)[0])
