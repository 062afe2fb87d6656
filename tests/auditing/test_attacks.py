"""Attackers who know a defence see more than those who do not."""

import numpy as np
import pytest
import torch
from skimage import data

from invertdesc import LocalFeatures, create_descriptor, create_method, reconstruct
from invertdesc.auditing.attacks.attack import NAIVE, REFIT, Attack
from invertdesc.auditing.attacks.frames import FRAMELESS
from invertdesc.auditing.attacks.habits import (
    Habits,
    load_habits,
    save_habits,
    shipped_habits,
)
from invertdesc.auditing.attacks.lab import Lab, with_unfolding
from invertdesc.auditing.attacks.order import find_orders, in_order
from invertdesc.auditing.attacks.public import SHIPPED, Public
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.threats import THREATS
from invertdesc.auditing.typical import Typical
from invertdesc.descriptors import Descriptor
from invertdesc.errors import InputError, NotApplicableError
from invertdesc.evaluation.metrics import ncc
from invertdesc.features import changes
from invertdesc.features.bits import to_values
from invertdesc.image import to_gray, to_image


@pytest.fixture(scope="module")
def lab(sift: Descriptor, typical: Typical) -> Lab:
    pictures = [to_image(getattr(data, name)()) for name in ("coins", "rocket", "coffee", "camera")]
    public = Public.of(sift, pictures)
    return Lab(sift, create_method("poisson", descriptor=sift), public, typical)


def test_an_order_is_found_among_values_that_go_together() -> None:
    draws = torch.Generator().manual_seed(0)
    mixing = torch.randn(12, 12, generator=draws)
    shift = torch.arange(12.0)
    known, seen = (torch.randn(4000, 12, generator=draws) @ mixing + shift for _ in range(2))
    order = torch.randperm(12, generator=draws)
    found, *_ = find_orders(seen[:, order], Habits.of(known))
    assert order[found].tolist() == list(range(12))


@pytest.mark.parametrize(("name", "least"), [("sift", 0.9), ("orb", 0.8)])
def test_the_secret_order_of_stored_vectors_is_found(name: str, least: float) -> None:
    # Statistics alone cannot tell the right order of SIFT from that of mirrored patches.
    adapter = create_descriptor(name)
    pictures = [data.astronaut(), data.chelsea(), data.coffee(), data.camera()]
    stored = [adapter.extract(to_image(one)) for one in pictures]
    hidden = [changes.permute_columns(f, torch.Generator().manual_seed(3)) for f in stored]
    habits = shipped_habits(name)
    assert habits is not None
    lab = Lab(adapter, create_method("poisson"), Public(adapter, [], ""), Typical(adapter))
    found = in_order(hidden, habits, lab.fits)
    pairs = [
        torch.cosine_similarity(to_values(a.descriptors), to_values(b.descriptors)).mean()
        for a, b in zip(found, stored, strict=True)
    ]
    assert float(torch.stack(pairs).mean()) > least


def test_few_vectors_hide_their_order(stored: LocalFeatures) -> None:
    habits = shipped_habits("sift")
    assert habits is not None
    with pytest.raises(NotApplicableError, match="at least 100 vectors"):
        in_order([stored[:50]], habits, len)


def test_habits_go_to_a_file_and_back(tmp_path: pytest.TempPathFactory) -> None:
    values = torch.randn(500, 6, generator=torch.Generator().manual_seed(0)).cumsum(1)
    habits = Habits.of(values)
    path = f"{tmp_path}/habits.safetensors"
    save_habits(path, {"mine": habits}, "by hand")
    (name, read), *more = load_habits(path).items()
    assert (name, more) == ("mine", [])
    torch.testing.assert_close(read.correlation, habits.correlation, atol=0.005, rtol=0)
    torch.testing.assert_close(read.marginals, habits.marginals, atol=0.005, rtol=0)
    np.testing.assert_allclose(habits.covariance, np.cov(values.T, bias=True), atol=1e-4)
    torch.testing.assert_close(habits.mean, values.double().mean(0))
    assert shipped_habits("nobody-ships-this") is None


@pytest.mark.parametrize(("name", "strength"), [("ldp-noise", 30.0), ("noisy", 2.0)])
def test_a_map_fitted_anew_undoes_more(
    lab: Lab, picture: torch.Tensor, stored: LocalFeatures, name: str, strength: float
) -> None:
    scenario = {**THREATS, **DEFENCES}[name].at(strength)
    known = scenario.apply(stored, lab.adapter, lab.typical, seed=0, image=0)
    likeness = [
        float(
            ncc(
                to_gray(reconstruct(known, method=lab.method_for(scenario, attack))),
                to_gray(picture),
            )
        )
        for attack in (NAIVE, REFIT)
    ]
    assert likeness[1] > likeness[0] + 0.02


def test_pieces_are_averaged_more_where_noise_drowns_them(lab: Lab) -> None:
    powers = [
        lab.method_for(DEFENCES["ldp-noise"].at(epsilon), REFIT).rasterizer.power  # type: ignore[union-attr]
        for epsilon in (20.0, 1e6)
    ]
    assert powers[0] < powers[1]


def test_a_method_keeps_its_own_map(lab: Lab) -> None:
    scenario = DEFENCES["quantise"].at()
    fitted = lab.method_for(scenario, REFIT)
    assert fitted is lab.method_for(scenario, REFIT)  # fitted once
    assert lab.method.rasterizer.unfolding is None  # type: ignore[union-attr]
    assert fitted.rasterizer.unfolding is not None  # type: ignore[union-attr]


def test_what_cannot_be_fitted_says_why(lab: Lab, sift: Descriptor, typical: Typical) -> None:
    with pytest.raises(NotApplicableError, match="as they were"):
        lab.method_for(THREATS["random"].at(), REFIT)
    with pytest.raises(NotApplicableError, match="takes no other unfolding"):
        with_unfolding(lambda batch: torch.zeros(1), sift.unfolding)
    hog = create_descriptor("hog")
    other = Lab(hog, create_method("poisson", descriptor=hog), lab.public, Typical(hog))
    with pytest.raises(NotApplicableError, match="unfolded together"):
        other.method_for(DEFENCES["quantise"].at(), REFIT)


def test_a_method_that_needs_no_frames_is_another_one(lab: Lab) -> None:
    method = lab.method_for(THREATS["no-frame"].at(), FRAMELESS)
    assert method.name == "coarse"  # type: ignore[union-attr]
    same = Attack("same", "the same", "", method="poisson")
    with pytest.raises(NotApplicableError, match="is audited"):
        lab.method_for(THREATS["no-frame"].at(), same)
    orb = create_descriptor("orb")
    other = Lab(orb, lab.method, lab.public, Typical(orb))
    with pytest.raises(NotApplicableError, match="No weights"):
        other.method_for(THREATS["no-frame"].at(), FRAMELESS)


def test_public_pictures_are_not_the_audited_ones(sift: Descriptor) -> None:
    camera = to_image(data.camera())
    names = len(SHIPPED)
    assert len(Public.shipped(sift).pictures) == names
    dim = torch.nn.functional.avg_pool2d(0.8 * camera, 2)
    assert len(Public.shipped(sift, [dim]).pictures) == names - 1
    with pytest.raises(InputError, match="public pictures"):
        Public.of(sift, [])


def test_no_keypoint_is_stored_on_a_face(stored: LocalFeatures, typical: Typical) -> None:
    face = (60.0, 60.0, 160.0, 160.0)
    left = (
        DEFENCES["avoid-faces"]
        .at()
        .apply(stored, typical.adapter, typical, seed=0, image=0, faces=[face])
    )
    assert 0 < len(left) < len(stored)
    assert len(left.inside((35.5, 35.5, 184.5, 184.5))) == 0  # a quarter of it around it
    assert len(left) == len(stored.outside((35.0, 35.0, 185.0, 185.0)))
