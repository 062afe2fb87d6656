"""Each defence does what its source says, with hand-made cases."""

import math
from dataclasses import replace

import pytest
import torch

from invertdesc import LocalFeatures
from invertdesc.auditing.defences.lifting import (
    Subspaces,
    guess_by_gaussian,
    guess_by_mean,
    guess_by_nearest,
    intersect,
    lift,
)
from invertdesc.auditing.defences.privacy import (
    laplace_mechanism,
    posterior_mean,
    privatise,
    randomised_response,
    read_likely,
)
from invertdesc.auditing.surroundings import Surroundings
from invertdesc.auditing.typical import Typical
from invertdesc.descriptors import Descriptor
from invertdesc.features import changes
from invertdesc.features.bits import from_values, to_values


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def values() -> torch.Tensor:
    return torch.rand(40, 16, generator=draws(1))


@pytest.fixture
def others() -> torch.Tensor:
    return torch.rand(300, 16, generator=draws(2))


def line(origin: list[float], along: list[float]) -> Subspaces:
    """Return one subspace of one dimension."""
    return Subspaces(torch.tensor([origin]), torch.tensor([along])[..., None])


def test_nearest_points_of_a_line_by_hand() -> None:
    diagonal = line([1.0, 0.0], [0.6, 0.8])
    torch.testing.assert_close(
        diagonal.nearest_to(torch.tensor([[1.0, 5.0]])), torch.tensor([[3.4, 3.2]])
    )


def test_the_typical_vector_nearest_to_a_line_by_hand() -> None:
    upright = line([2.0, -7.0], [0.0, 1.0])
    typical = torch.tensor([[0.0, 0.0], [2.5, 3.0], [3.5, 9.0]])
    torch.testing.assert_close(guess_by_nearest(upright, typical), torch.tensor([[2.0, 3.0]]))


def test_a_vector_lies_in_its_subspace_and_a_stranger_does_not(
    values: torch.Tensor, others: torch.Tensor
) -> None:
    spaces = lift(values, others, 3, draws())
    torch.testing.assert_close(spaces.nearest_to(values), values, atol=1e-4, rtol=0)
    strangers = torch.rand(40, 16, generator=draws(3))
    assert float((spaces.nearest_to(strangers) - strangers).norm(dim=1).min()) > 0.3
    eye = torch.eye(3).expand(40, -1, -1)
    torch.testing.assert_close(spaces.basis.transpose(1, 2) @ spaces.basis, eye, atol=1e-5, rtol=0)


def test_each_subspace_holds_the_vectors_that_it_hides_among(values: torch.Tensor) -> None:
    only = torch.rand(1, 16, generator=draws(5))
    spaces = lift(values, only, 1, draws())
    same = only.expand_as(values)
    torch.testing.assert_close(spaces.nearest_to(same), same, atol=1e-4, rtol=0)


def test_guesses_do_not_hang_on_how_a_subspace_is_written(
    values: torch.Tensor, others: torch.Tensor
) -> None:
    spaces = lift(values, others, 3, draws())
    turn = torch.linalg.qr(torch.randn(3, 3, generator=draws(4))).Q
    moved = spaces.origin + (spaces.basis @ torch.ones(3, 1))[..., 0] * 0.5
    rewritten = Subspaces(moved, spaces.basis @ turn)
    for one in (spaces, rewritten):
        assert not torch.allclose(one.origin, values, atol=1e-2)
    known = torch.rand(50, 16, generator=draws(9))  # no vector of which lies in a subspace
    for guess, typical in ((guess_by_mean, known.mean(0)), (guess_by_nearest, known)):
        torch.testing.assert_close(
            guess(spaces, typical), guess(rewritten, typical), atol=1e-4, rtol=0
        )


def test_nearest_agrees_with_trying_all(values: torch.Tensor, others: torch.Tensor) -> None:
    spaces = lift(values, others, 2, draws())
    known = torch.rand(50, 16, generator=draws(9))
    guess = guess_by_nearest(spaces, known)
    for n in range(len(values)):
        one = Subspaces(spaces.origin[n : n + 1].expand(50, -1), spaces.basis[n : n + 1])
        points = one.nearest_to(known)
        best = (points - known).norm(dim=1).argmin()
        torch.testing.assert_close(guess[n], points[best], atol=1e-4, rtol=0)


def test_a_subspace_is_stored_without_a_trace_of_its_vector(
    values: torch.Tensor, others: torch.Tensor
) -> None:
    spaces = lift(values, others, 3, draws())
    across = torch.einsum("ndp,nd->np", spaces.basis, spaces.origin)
    torch.testing.assert_close(across, torch.zeros(40, 3), atol=1e-5, rtol=0)  # nearest to 0
    # Whichever point of the subspace it hides, the same is stored.
    other = values + torch.einsum(
        "ndp,np->nd", spaces.basis, torch.randn(40, 3, generator=draws(7))
    )
    along = torch.einsum("ndp,nd->np", spaces.basis, other)
    same = other - torch.einsum("ndp,np->nd", spaces.basis, along)
    torch.testing.assert_close(same, spaces.origin, atol=1e-4, rtol=0)


def test_distances_to_a_line_by_hand() -> None:
    upright = line([2.0, 0.0], [0.0, 1.0])
    points = torch.tensor([[5.0, 7.0], [2.0, -3.0]])
    torch.testing.assert_close(upright.distances(points), torch.tensor([[3.0, 0.0]]))


def test_the_likeliest_point_of_a_line_by_hand() -> None:
    # Mean (0, 0), variances 1 and 4, on the line x + y = 5: x^2 + y^2 / 4 is least at (1, 4).
    half = 0.5**0.5
    known = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    found = guess_by_gaussian(line([2.5, 2.5], [half, -half]), known, ridge=0.0)
    torch.testing.assert_close(found, torch.tensor([[1.0, 4.0]]), atol=1e-4, rtol=0)


def test_subspaces_of_one_vector_meet_in_it(values: torch.Tensor, others: torch.Tensor) -> None:
    mean = others.mean(0)
    seen = [lift(values, others, 4, draws(n)) for n in range(3)]
    errors = [float((intersect(seen[:n], mean) - values).norm(dim=1).mean()) for n in (1, 2, 3)]
    assert errors[0] > 0.3
    assert errors[2] < 0.01


def test_defender_and_attacker_know_different_vectors(typical: Typical) -> None:
    ours = {tuple(row) for row in typical.defender.tolist()}
    theirs = {tuple(row) for row in typical.attacker.tolist()}
    assert len(ours) > 500
    assert len(theirs) > 500
    assert not ours & theirs


@pytest.mark.parametrize("epsilon", [1.0, 20.0])
def test_laplace_noise_is_added_to_vectors_of_sum_one(epsilon: float) -> None:
    vectors = torch.rand(4000, 8, generator=draws(1)) * 255
    unit = vectors / vectors.sum(1, keepdim=True)
    noise = laplace_mechanism(vectors, epsilon, draws()) - unit
    scale = 2 / epsilon  # that of a sensitivity of 2
    assert float(noise.abs().mean()) == pytest.approx(scale, rel=0.03)
    assert float(noise.std()) == pytest.approx(scale * math.sqrt(2), rel=0.03)
    assert float(noise.mean()) == pytest.approx(0, abs=0.05 * scale)


def test_bits_are_turned_over_at_their_share_of_epsilon() -> None:
    bits = torch.ones(2000, 8)
    kept = float((randomised_response(bits, 8.0, draws()) > 0).float().mean())
    assert kept == pytest.approx(math.e / (1 + math.e), abs=0.01)
    assert torch.equal(randomised_response(bits, 1e9, draws()), bits)


def test_more_epsilon_keeps_more(
    stored: LocalFeatures,
    stored_bits: LocalFeatures,
    sift: Descriptor,
    orb: Descriptor,
    typical: Typical,
    typical_bits: Typical,
) -> None:
    for features, adapter, known in ((stored, sift, typical), (stored_bits, orb, typical_bits)):
        around = Surroundings(adapter, draws(), draws(), known)
        true = adapter.encode(features.descriptors)
        cosines = [
            float(
                torch.cosine_similarity(
                    adapter.encode(privatise(features, epsilon, around).descriptors), true
                ).mean()
            )
            for epsilon in (1.0, 100.0, 100000.0)
        ]
        assert cosines == sorted(cosines)
        assert cosines[-1] > 0.99


def test_noise_is_read_back_without_the_length_of_the_picture_s_vectors(
    stored: LocalFeatures, around: Surroundings
) -> None:
    longer = replace(stored, descriptors=2 * stored.descriptors)
    own = [Surroundings(around.adapter, draws(), draws(), around.typical) for _ in range(2)]
    one, other = (
        privatise(f, 100, a).descriptors for f, a in zip((stored, longer), own, strict=True)
    )
    torch.testing.assert_close(one, other)


def test_quantising_rounds_to_the_middle_of_steps() -> None:
    features = LocalFeatures(
        keypoints=torch.zeros(1, 2),
        descriptors=torch.tensor([[0.0, 1.0, 2.0, 3.0, 3.999, 4.0]]),
        image_size=(8, 8),
        descriptor="sift",
    )
    made = changes.quantise(features, 1)
    # From 0 to the 99.5th percentile, here the last but one: two steps of 2, nearly.
    wanted = torch.tensor([[1.0, 1.0, 3.0, 3.0, 3.0, 3.0]])
    torch.testing.assert_close(made.descriptors, wanted, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", ["akaze", "brisk"])
def test_packed_bits_go_there_and_back(picture: torch.Tensor, name: str) -> None:
    from invertdesc import create_descriptor

    raw = create_descriptor(name).extract(picture).descriptors
    values = to_values(raw)
    assert values.shape[1] == 8 * raw.shape[1]
    assert torch.equal(from_values(values, raw), raw)
    encoded = create_descriptor(name).encode(raw)
    assert torch.equal(values[:, : encoded.shape[1]], encoded)


def test_an_expected_value_is_nearer_than_a_noisy_one(
    stored: LocalFeatures, around: Surroundings
) -> None:
    state = around.generator.get_state()
    away = []
    for read in (privatise, read_likely):
        around.generator.set_state(state)  # the same noise for both
        found = read(stored, 30.0, around).descriptors
        away.append(float((found - stored.descriptors).square().mean()))
    assert away[1] < 0.2 * away[0]


def test_expected_values_by_hand() -> None:
    known = torch.tensor([[0.0], [4.0]])
    # Halfway both are as likely; beyond all known values, how far beyond tells nothing.
    found = posterior_mean(torch.tensor([[2.0], [5.0], [500.0]]), known, 2.0)
    sure = 4 / (1 + math.exp(-2.0))
    torch.testing.assert_close(found, torch.tensor([[2.0], [sure], [sure]]))
